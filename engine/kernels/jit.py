"""Compiling CPU kernels: cached on disk where some folder can be written, without the GIL, same bits always.

No kernel uses numba's own parallel regions: they reset torch's thread count, and their pools survive
neither a fork nor two callers at once. Work is split by engine.kernels.threads instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Without Python's error model: its check for a zero divisor keeps loops from being vectorized."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at first call for each signature; the cache is left out where no folder can hold it."""
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**OPTIONS)(function)
