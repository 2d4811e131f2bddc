"""Under what conditions a process measures: processor, memory allocator, host."""

from __future__ import annotations

import os
import platform
from pathlib import Path

REPLACED = {"jemalloc": "jemalloc", "tcmalloc": "tcmalloc", "mimalloc": "mimalloc"}
"""Libraries that take malloc's place, by a part of their file's name."""
TUNINGS = ("GLIBC_TUNABLES", "MALLOC_")
"""Environment variables, by how they begin, that change glibc's malloc."""


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def allocator() -> str:
    """The allocator of this process: "glibc 2.36", with what the environment tunes, or a library in its place."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        mapped = ""
    names = {line.rpartition("/")[2] for line in mapped.splitlines() if "/" in line}
    for part, name in REPLACED.items():
        if any(part in file for file in names):
            return f"{name} (LD_PRELOAD)"
    library, version = platform.libc_ver()
    found = f"{library} {version}" if library else f"{platform.system()} malloc"
    tuned = [f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith(TUNINGS)]
    return f"{found} ({', '.join(tuned)})" if tuned else found
