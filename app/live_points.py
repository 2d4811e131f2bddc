"""What a browser has of the runs on its screen, and the messages that bring it what it has not.

A figure goes without the points of its curves, and only when it is another one; points go by run and column, and the
page puts them together (app/assets/live_chart.js). A browser that is busy skips messages, so each one repeats what was
new in the few before it; a page that lacks more than that, or is a new one, asks for all.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from app.charts.layout import traces_of

RUN, COLUMN = 2, 3
"""Places in a curve's ``meta``: the run and the column whose points it shows (app/charts/learning.py)."""


OVERLAP = 4
"""Messages that bring the same news: a page may miss all of them but one."""

Held = dict[str, tuple[str, int]]
"""Of each run the past that its points belong to, and how many there are."""


class LivePoints:
    """One page's view of its runs; ``message`` makes what it is told next."""

    def __init__(self) -> None:
        self._number = 0
        self._shape: Hashable = None
        self._figures: list[dict[str, Any]] | None = None
        self._columns: list[str] = []
        self.begin_anew()

    def begin_anew(self) -> None:
        """The page has nothing (any more)."""
        self._told: deque[Held] = deque([{}], maxlen=OVERLAP)
        self._drawn = self._number + 1

    def message(
        self,
        epochs: Mapping[str, pa.Table],
        lives: Mapping[str, Hashable],
        shape: Hashable,
        draw: Callable[[], Sequence[go.Figure]],
    ) -> dict[str, Any]:
        """The next message: {number, drawn (which figures), figures (None: told before), held {run: (past, count)},
        points {run: {start, columns}}}.

        ``lives``: of each run, what changes when its past does (rows of ``epochs`` are only added while it stays).
        ``shape``: whatever the figures show besides points; only if it has changed are they drawn, by ``draw``.
        """
        self._number += 1
        if self._figures is None or shape != self._shape:
            drawn = draw()
            self._columns = sorted({column for figure in drawn for column in _columns(figure)})
            self._figures, self._shape = [without_points(figure) for figure in drawn], shape
            self._drawn = self._number
        # Other columns are another past: those that are new have to come with all their points.
        held: Held = {run: (f"{lives[run]!r} {','.join(self._columns)}", rows.num_rows) for run, rows in epochs.items()}
        before = self._told[0]
        points = {}
        for run, (past, count) in held.items():
            told, start = before.get(run, ("", 0))
            start = start if told == past else 0
            if start < count:
                points[run] = {"start": start, "columns": self._since(epochs[run], start)}
        self._told.append(held)
        return {
            "number": self._number,
            "drawn": self._drawn,
            "figures": self._figures if self._number - self._drawn < OVERLAP else None,
            "held": held,
            "points": points,
        }

    def _since(self, rows: pa.Table, start: int) -> dict[str, list[Any]]:
        new = rows.slice(start)
        columns = {name: [_short(value) for value in new[name].to_pylist()] for name in self._columns}
        return {"epoch": new["epoch"].to_pylist()} | columns


def without_points(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON, its curves' points left out (the page has them, or is sent them)."""
    found = json.loads(str(figure.to_json()))
    for trace in found["data"]:
        if _is_curve(trace.get("meta")):
            for name in ("x", "y"):
                trace.pop(name, None)
            if "labels" in (trace["meta"][-1] if isinstance(trace["meta"][-1], dict) else {}):
                trace.pop("customdata", None)
    found["layout"].pop("template", None)
    return found


def _columns(figure: go.Figure) -> list[str]:
    return [trace.meta[COLUMN] for trace in traces_of(figure) if _is_curve(trace.meta)]


def _is_curve(meta: Any) -> bool:
    return isinstance(meta, list | tuple) and len(meta) > COLUMN


def _short(value: float | None) -> float | None:
    """Six digits, as many as a screen can show; nothing for what is no number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
