"""How much of the chart a family of schemes dominates: the hypervolume of its front in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from app.charts.dominance import pareto_front
from app.comparison.frames import Frame


def hypervolume(x: ArrayLike, y: ArrayLike, corner: tuple[float, float]) -> float:
    """The area that points dominate above a corner, both axes higher is better (Zitzler & Thiele 1998).

    Points that are not beyond the corner in both, or not finite, add nothing.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    inside = np.isfinite(xs) & np.isfinite(ys) & (xs > corner[0]) & (ys > corner[1])
    xs, ys = xs[inside], ys[inside]
    front = pareto_front(xs, ys)
    order = np.argsort(-xs[front], kind="stable")
    xs, ys = xs[front][order], ys[front][order]
    # From the right: each step of the front adds what lies above the one before.
    return float(np.sum((xs - corner[0]) * np.diff(np.concatenate(([corner[1]], ys)))))


def family_shares(
    families: Sequence[str], x: ArrayLike, y: ArrayLike, *, higher_x: bool = True, higher_y: bool = True
) -> Frame:
    """Each family's hypervolume as a share of the rectangle between the worst and best values of all (0 to 1).

    Columns family, share, points, on_front (of the common front), the largest share first. No rows where the points
    span no rectangle.
    """
    xs = np.asarray(x, dtype=float) * (1 if higher_x else -1)
    ys = np.asarray(y, dtype=float) * (1 if higher_y else -1)
    names = np.asarray(families, dtype=object)
    finite = np.isfinite(xs) & np.isfinite(ys)
    xs, ys, names = xs[finite], ys[finite], names[finite]
    if not xs.size or not (area := (xs.max() - xs.min()) * (ys.max() - ys.min())):
        return pd.DataFrame(columns=["family", "share", "points", "on_front"])
    corner, front = (float(xs.min()), float(ys.min())), pareto_front(xs, ys)
    rows = [
        {
            "family": family,
            "share": hypervolume(xs[names == family], ys[names == family], corner) / area,
            "points": int(np.count_nonzero(names == family)),
            "on_front": int(np.count_nonzero(front[names == family])),
        }
        for family in dict.fromkeys(names)
    ]
    return pd.DataFrame(rows).sort_values("share", ascending=False, kind="stable", ignore_index=True)
