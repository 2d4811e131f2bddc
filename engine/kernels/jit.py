"""Compiling CPU kernels: cached on disk where some folder can be written, without the GIL, same bits always.

No kernel uses numba's own parallel regions: they reset torch's thread count, and their pools survive
neither a fork nor two callers at once. Work is split by engine.kernels.threads instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numba.core.config

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Without Python's error model: its check for a zero divisor keeps loops from being vectorized."""


SOURCES = ("kernels", "compiled", "integers")
"""Packages of engine whose functions are compiled, some of them into others."""


@cache
def digest() -> str:
    """Of all that is compiled, 16 hex digits.

    numba's cache looks at the file of the outermost function alone: it would go on with an older version of those
    that were compiled into it.
    """
    root, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for name in SOURCES for path in (root / name).glob("*.py")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at first call for each signature; the cache is left out where no folder can hold it.

    In the folder that NUMBA_CACHE_DIR names each version of the sources has one of its own.
    """
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        numba.core.config.CACHE_DIR = str(Path(folder) / digest())  # pyright: ignore[reportAttributeAccessIssue]
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**OPTIONS)(function)
