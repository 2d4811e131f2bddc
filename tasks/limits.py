"""What a run may take on a worker: time and memory, and the words for a run that ran out of either.

Two things watch the memory. The system refuses an allocation that would take the process over its limit, so that a
sudden one fails as an error of the training; and the watch (tasks.watch) looks at the resident memory, which is what
people mean.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from engine.settings import Settings

ADVICE = "train on batches, take a smaller model or a narrower stash, or raise what is allowed"

_SIGNS = ("can't allocate memory", "not enough memory", "cannot allocate memory", "std::bad_alloc", "out of memory")
"""How torch's allocators and the C library say it."""


@dataclass(frozen=True)
class Breach:
    """A limit that a run has passed."""

    kind: Literal["time", "memory"]
    reason: str
    """Why the run shall fail, in words."""


@dataclass(frozen=True)
class Limits:
    """``seconds`` of training, ``memory`` in bytes of the process; None: as much as there is."""

    seconds: float | None = None
    memory: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        memory = settings.run_memory_gb
        return cls(settings.run_seconds, None if memory is None else memory * 1e9)

    def broken(self, seconds: float, memory: float) -> Breach | None:
        """The limit that a run which took so much has passed; None where it may go on."""
        if self.seconds is not None and seconds > self.seconds:
            return Breach(
                "time",
                f"it trained for longer than the {self.seconds:g} s that a run may take here (BITFRONT_RUN_SECONDS): "
                "train fewer epochs, or raise what is allowed",
            )
        if self.memory is not None and memory > self.memory:
            return Breach("memory", self._over(memory))
        return None

    def explain(self, error: BaseException) -> str | None:
        """What to say of an error where it means that memory ran out; None where it does not."""
        if not is_out_of_memory(error):
            return None
        if "CUDA" in str(error):
            first = str(error).splitlines()[0]
            return f"out of memory on the GPU ({first}): train on batches, or take a smaller model or another device"
        if self.memory is not None:
            return self._over(None)
        return f"out of memory: the machine has {machine_memory() / 1e9:.1f} GB; {ADVICE}"

    def _over(self, memory: float | None) -> str:
        assert self.memory is not None
        took = "needed more than" if memory is None else f"took {memory / 1e9:.2f} of"
        allowed = f"{self.memory / 1e9:.2f} GB that a run may take here (BITFRONT_RUN_MEMORY_GB)"
        return f"out of memory: it {took} the {allowed}; {ADVICE}"

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Have the system refuse what would take this process over its memory limit, until the block ends."""
        if self.memory is None or not sys.platform.startswith("linux"):
            yield
            return
        before = resource.getrlimit(resource.RLIMIT_DATA)
        # The limit counts what is reserved, which is more than what is resident: so the growth from here on is limited.
        allowed = int(_reserved() + max(0.0, self.memory - resident()))
        if before[1] != resource.RLIM_INFINITY:
            allowed = min(allowed, before[1])
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (allowed, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's own, torch's, or what wraps one."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(sign in text for sign in _SIGNS)


def resident() -> int:
    """Resident memory of this process, bytes."""
    return psutil.Process().memory_info().rss


def machine_memory() -> int:
    """What the processes of this machine, or of this container, may use together, bytes."""
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            return min(total, int(Path(path).read_text()))
    return total


def _reserved() -> int:
    """What the system counts against the limit, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
