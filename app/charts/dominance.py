"""Which points no other point beats in both directions: the Pareto front, in O(n log n)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(x: ArrayLike, y: ArrayLike, *, higher_x: bool = True, higher_y: bool = True) -> NDArray[np.bool_]:
    """Mark the points of the front: shape [n] twice in, mask of shape [n] out.

    A point is dominated where another is at least as good in both and better in one. Equal points
    stand or fall together, so several runs on one spot are all on the front. A point with a value
    that is not finite is never on it.
    """
    xs = np.asarray(x, dtype=float) * (1 if higher_x else -1)
    ys = np.asarray(y, dtype=float) * (1 if higher_y else -1)
    front = np.zeros(xs.shape, dtype=bool)
    finite = np.flatnonzero(np.isfinite(xs) & np.isfinite(ys))
    if not finite.size:
        return front
    order = finite[np.lexsort((-ys[finite], -xs[finite]))]
    xs, ys = xs[order], ys[order]
    starts = np.flatnonzero(np.concatenate(([True], xs[1:] != xs[:-1])))
    group = np.repeat(np.arange(starts.size), np.diff(np.append(starts, xs.size)))
    best_so_far = np.maximum.accumulate(ys)
    best_before = np.concatenate(([-np.inf], best_so_far[starts[1:] - 1]))
    front[order] = (ys == ys[starts][group]) & (ys > best_before[group])
    return front
