"""A schedule before its run: which formats hold when, or at the earliest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from engine.formats import Format
from engine.schedule import Course, Schedule, Signals, Step
from engine.scheme import Rule, Scheme

RESTLESS_LOSS = 1.0


@dataclass(frozen=True)
class Stage:
    """A stretch of epochs at one step of the ladder (a static scheme is one stage)."""

    first_epoch: int
    """Of a stage that is not certain: the earliest epoch at which it can begin."""
    last_epoch: int
    label: str
    formats: tuple[tuple[str, tuple[str, ...] | None, int | None, Format], ...]
    """(site, products or None: all, layer or None: all, format) of each rule."""
    bits: float
    """Mean over the rules of the bits an element."""
    certain: bool


def plan(scheme: Scheme, epochs: int, plateau_ratio: float = 0.9) -> list[Stage]:
    """The stages of a run: known where the clock decides, else each step at the earliest epoch that can reach it."""
    if scheme.schedule is None:
        return [_stage(scheme, 1, epochs, scheme.text if scheme.rules else "fp32", certain=True)]
    certain = scheme.schedule.controller.clocked
    stages: list[Stage] = []
    for first, last, step in stretches(scheme.schedule, epochs, plateau_ratio):
        stages.append(_stage(scheme.at(step), first, last, step.label, certain=certain or first == 1))
    return stages


def stretches(schedule: Schedule, epochs: int, plateau_ratio: float) -> Iterator[tuple[int, int, Step]]:
    """(first epoch, last epoch, step) with the signals that raise precision the soonest."""
    course = schedule.begin(epochs, plateau_ratio)
    first, step = 1, course.step
    for epoch in range(1, epochs + 1):
        if course.after(restless(epoch, schedule.controller.window)) is not None:
            yield first, epoch, schedule.ladder[step]
            first, step = epoch + 1, course.step
    yield first, epochs, schedule.ladder[step]


def restless(epoch: int, window: int) -> Signals:
    """Signals of a run that has stopped learning: every controller raises as soon as it may."""
    return Signals(
        epoch=epoch,
        train_loss=RESTLESS_LOSS,
        val_loss=RESTLESS_LOSS,
        loss_ratio=float("inf"),
        # It falls so fast that any threshold is passed; the powers stay within a float's range.
        gradient_diversity=1e300 * 64.0 ** -min(epoch // window, 330) if epoch % window == 0 else None,
        # The first epoch's loss is the least.
        validation_stall=float(epoch - 1),
    )


def _stage(scheme: Scheme, first: int, last: int, label: str, *, certain: bool) -> Stage:
    formats = tuple(_row(rule) for rule in scheme.rules)
    bits = fmean(format.bits for *_, format in formats) if formats else 32.0
    return Stage(first, last, label, formats, bits, certain)


def _row(rule: Rule) -> tuple[str, tuple[str, ...] | None, int | None, Format]:
    return rule.site, rule.products, rule.layer, rule.quantization.format


def course_of(scheme: Scheme, epochs: int, plateau_ratio: float) -> Course | None:
    """The course of a run; None for a static scheme."""
    return None if scheme.schedule is None else scheme.schedule.begin(epochs, plateau_ratio)
