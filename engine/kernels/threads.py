"""Splitting a kernel's work over threads, with results that do not depend on their number.

Kernels release the GIL, so a plain thread pool serves; it has torch's number of threads, starts at
the first large tensor, and is dropped in a forked child.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

LEAST = 1 << 17
"""Elements that are worth a thread of their own."""

T = TypeVar("T")
_pool: tuple[int, ThreadPoolExecutor] | None = None


def _get_pool(workers: int) -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] < workers:
        _pool = (workers, ThreadPoolExecutor(workers, thread_name_prefix="kernel"))
    return _pool[1]


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def split(items: int, elements: int, work: Callable[[int, int], T]) -> list[T]:
    """Call ``work(start, stop)`` on parts that cover range(items), which hold ``elements`` elements in all.

    Results come in the order of the parts. The calling thread does the first part.
    """
    workers = min(torch.get_num_threads(), elements // LEAST, items)
    if workers <= 1:
        return [work(0, items)]
    bounds = [items * i // workers for i in range(workers + 1)]
    pool = _get_pool(workers - 1)
    others = [pool.submit(work, start, stop) for start, stop in pairwise(bounds[1:])]
    first = work(bounds[0], bounds[1])
    return [first, *(other.result() for other in others)]
