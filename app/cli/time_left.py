"""How long a run will take yet: told after its first step, and from its last epochs as soon as there are any."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.progress import ProgressColumn, Task
from rich.text import Text

WINDOW = 5
"""Epochs whose mean length is taken: the first one is longer than the others (kernels load, constants are found)."""


class TimeLeft:
    """The time left of ``epochs`` epochs. ``begin``, ``step`` and ``epoch`` are called as these happen."""

    def __init__(self, epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.epochs, self.clock = epochs, clock
        self.done = 0
        self.share = 0.0
        self.lengths: deque[float] = deque(maxlen=WINDOW)
        self.began: float | None = None

    def begin(self, done: int = 0) -> None:
        """An epoch begins now; ``done``: epochs that were there before."""
        self.began, self.done, self.share = self.clock(), done, 0.0

    def step(self, number: int, batches: int) -> None:
        """The ``number``-th of an epoch's ``batches`` steps is done."""
        self.share = number / max(batches, number)

    def epoch(self, seconds: float) -> None:
        """An epoch of this length is done, and the next one begins."""
        self.lengths.append(seconds)
        self.begin(self.done + 1)

    @property
    def seconds(self) -> float | None:
        """None before the first step."""
        if self.began is None:
            return None
        if self.done >= self.epochs:
            return 0.0
        gone = self.clock() - self.began
        if self.lengths:
            length = sum(self.lengths) / len(self.lengths)
        elif self.share:
            length = gone / self.share
        else:
            return None
        return max(0.0, length - gone) + length * (self.epochs - self.done - 1)


class TimeLeftColumn(ProgressColumn):
    """The time left of a task whose field ``left`` is a TimeLeft; before the first step what is being done."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text("")
        seconds = task.fields["left"].seconds
        return Text("loading" if seconds is None else f"about {as_text(seconds)} left")


def as_text(seconds: float) -> str:
    """Hours, minutes and seconds as a clock shows them.

    >>> as_text(59.6), as_text(3725)
    ('1:00', '1:02:05')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
