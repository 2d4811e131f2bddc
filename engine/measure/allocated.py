"""What torch allocates on the CPU, followed by its profiler's memory events."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch.profiler import ProfilerActivity, profile


class Allocations:
    """Bytes allocated since the first ``followed`` block: ``now``, and the ``most`` at any time.

    Blocks may follow one another directly: what one allocates and another frees is counted. What was there before the
    first does not count, nor does its release, unless the profiler had seen it made: one of these to a process.
    Profiling slows what it follows, and takes memory of its own (which is not torch's): time and process memory are
    measured elsewhere.
    """

    def __init__(self) -> None:
        self.now = self.most = 0

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            yield
        for event in recorded.profiler.kineto_results.events():  # pyright: ignore[reportOptionalMemberAccess]
            if event.name() == "[memory]":
                self.now += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue] - not in torch's stub
                self.most = max(self.most, self.now)


def allocated(call: Callable[[], Any]) -> int:
    """The most bytes that a call has allocated at one time on the CPU, its result included."""
    allocations = Allocations()
    with allocations.followed():
        result = call()
    del result
    return allocations.most
