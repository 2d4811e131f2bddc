"""Dynamic precision in one's own training loop: the schedule of a model that ``engine.quantize`` has instrumented.

engine.quantize(model, "adq[int4,int8]")
schedule = engine.follow(model, epochs=200)
for epoch in range(200):
    ...                                       # one epoch of training: the gradients of its last batch stay
    schedule.after_epoch(train_loss, val_loss)
"""

from __future__ import annotations

from typing import Any

from torch import nn

from engine.errors import InputError
from engine.instrument import live_scheme
from engine.schedule import Course, Decision
from engine.signals import SignalLog


class Follower:
    """Where a model stands on its ladder; ``after_epoch`` moves it."""

    def __init__(self, model: nn.Module, epochs: int, plateau_ratio: float = 0.90) -> None:
        self.live = live_scheme(model)
        schedule = self.live.scheme.schedule
        if schedule is None:
            raise InputError(
                f"the scheme {self.live.scheme.text!r} has no schedule to follow: quantize the model with one, such "
                "as adq[int4,int8]"
            )
        if epochs < 1:
            raise InputError(f"epochs = {epochs} is not allowed: a schedule needs at least one epoch")
        self.model = model
        self.course: Course = schedule.begin(epochs, plateau_ratio)
        self.signals = SignalLog(schedule.controller.window)
        self.epoch = 0

    @property
    def label(self) -> str:
        """The formats that the model trains with now."""
        return self.course.label

    def after_epoch(self, train_loss: float, val_loss: float | None = None) -> Decision | None:
        """Hear an epoch; a decision that comes back has been carried out. Optimizer and parameters stay as they are."""
        self.epoch += 1
        signals = self.signals.after(self.epoch, train_loss, val_loss, self.model.parameters())
        decision = self.course.after(signals)
        if decision is not None:
            self.live.assign(self.course.schedule.ladder[decision.step])
        return decision

    def state(self) -> dict[str, Any]:
        """Where the schedule stands, to be kept beside the model's state dict (which has the formats)."""
        return {"epoch": self.epoch, "course": self.course.state(), "signals": self.signals.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the model's own state dict was loaded."""
        self.epoch = state["epoch"]
        self.course.restore(state["course"])
        self.signals.restore(state["signals"])
        self.live.assign(self.course.schedule.ladder[self.course.step])


def follow(model: nn.Module, epochs: int, plateau_ratio: float = 0.90) -> Follower:
    """Follow an instrumented model's schedule over ``epochs`` epochs.

    ``plateau_ratio``: ADQ's θ where the scheme gives none (0.90 for nodes and links, 0.95 for graphs).
    Raises InputError where the model is not quantized, or its scheme has no schedule.
    """
    return Follower(model, epochs, plateau_ratio)
