"""Which formats a run trains with, epoch by epoch: what its controller decides, and what is said of it."""

from __future__ import annotations

from typing import Any

from engine.datasets import GraphSize
from engine.events import FormatChange, PrecisionChanged
from engine.ledger import Stretch, epoch_bits
from engine.live import LiveScheme
from engine.schedule import CLOCK, START, WINDOW, Course, Signals
from engine.scheme import FP32, Phase
from engine.spec import RunSpec


class Precision:
    """The formats of one run. ``course`` is None for a static scheme, whose phases may still switch it on and off."""

    def __init__(self, spec: RunSpec, live: LiveScheme, size: GraphSize, *, epochs: int, plateau_ratio: float) -> None:
        self.spec, self.live, self.size = spec, live, size
        schedule = live.scheme.schedule
        self.course: Course | None = schedule.begin(epochs, plateau_ratio) if schedule else None
        self.window = schedule.controller.window if schedule else WINDOW
        self._begun: list[tuple[int, int]] = [(1, self.course.step)] if self.course else []
        self._epochs = epochs
        self._learns = live.learns_formats
        self._now: dict[tuple[str, str, int], str] = {}
        self._bits: dict[Any, float] = {}

    def enter(self, phase: Phase, epoch: int) -> list[PrecisionChanged]:
        """A phase begins with this epoch; said where it changes a format, and before the first epoch."""
        changes = self._changes()
        if epoch == 1:
            return [self._say(epoch, changes, START, f"the run starts with {self.label}")]
        if changes:
            return [self._say(epoch, changes, CLOCK, f"the phase {phase.name!r} begins: {self.label}")]
        return []

    def after(self, signals: Signals) -> list[PrecisionChanged]:
        """Hear an epoch's signals; a decision holds from the next epoch on, and has been carried out."""
        if self.course is None or not self.live.enabled:
            return []
        decision = self.course.after(signals)
        if decision is None:
            return []
        following = signals.epoch + 1
        self._begun.append((following, decision.step))
        self.live.assign(self.course.schedule.ladder[decision.step])
        changed = self._say(following, self._changes(), decision.signal, decision.reason)
        return [changed.model_copy(update={"value": decision.value, "threshold": decision.threshold})]

    def settled_until(self, epoch: int, last: int) -> int:
        """The last epoch, from this one to ``last``, that surely has this one's formats: after it they may change."""
        if self.course is None or not self.live.enabled:
            return last
        return next((each for each in range(epoch, last) if self.course.may_decide(each)), last)

    @property
    def label(self) -> str:
        """The ladder's step, or the one format of all sites, or the scheme's text."""
        if not self.live.enabled:
            return FP32.name
        if self.course is not None:
            return self.course.label
        names = {format.name for *_, format in self.live.formats()}
        return names.pop() if len(names) == 1 else self.live.scheme.text if names else FP32.name

    @property
    def bits(self) -> float:
        """Bits an element of the quantized part at this epoch; 32 while nothing is quantized."""
        if not self.live.enabled:
            return float(FP32.bits)
        step = None if self.course is None else self.course.step
        if self._learns:
            return epoch_bits(self.spec, self.size, None, self.live)
        if step not in self._bits:
            ladder = None if self.course is None else self.course.schedule.ladder[self.course.step]
            self._bits[step] = epoch_bits(self.spec, self.size, ladder)
        return self._bits[step]

    @property
    def stretches(self) -> list[Stretch] | None:
        """Which step of the ladder held when; None for a static scheme."""
        if self.course is None:
            return None
        ladder = self.course.schedule.ladder
        ends = [first - 1 for first, _ in self._begun[1:]] + [self._epochs]
        return [(first, end, ladder[step]) for (first, step), end in zip(self._begun, ends, strict=True)]

    def state(self) -> dict[str, Any]:
        """All that changes in a run; the formats follow from it."""
        return {"course": self.course.state() if self.course else None, "begun": list(self._begun)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state, with its formats assigned."""
        self._begun = [(first, step) for first, step in state["begun"]]
        if self.course is not None:
            self.course.restore(state["course"])
            self.live.assign(self.course.schedule.ladder[self.course.step])
        self._changes()

    def _changes(self) -> list[FormatChange]:
        """What differs from the last call."""
        before, self._now = self._now, self._formats()
        return [
            FormatChange(site=site, product=product, layer=layer, format=name)
            for (site, product, layer), name in self._now.items()
            if before.get((site, product, layer)) != name
        ]

    def _formats(self) -> dict[tuple[str, str, int], str]:
        enabled = self.live.enabled
        return {
            (site, product, layer): format.name if enabled else FP32.name
            for site, product, layer, format in self.live.formats()
        }

    def _say(self, epoch: int, changes: list[FormatChange], signal: Any, reason: str) -> PrecisionChanged:
        return PrecisionChanged(epoch=epoch, label=self.label, changes=changes, signal=signal, reason=reason)
