"""How an attempt ends, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How an attempt ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """The message was a repetition: nothing was trained."""
    GIVEN_BACK = "given back"
    """The worker is being stopped: the run goes to another attempt."""
    LOST = "lost"
    """A newer attempt has the run: nothing more was said."""


@dataclass(frozen=True)
class Verdict:
    """An attempt shall end before its training does."""

    outcome: Outcome
    reason: str = ""
    """Why it failed, in words."""
    keeps: bool = True
    """Whether the state after the last step is still to be kept."""


class Left(BaseException):
    """The training is left here: there is a verdict."""
