"""What becomes of a row of integer sums before it is kept: scaled, rounded to the sites' grids, biased, activated.

A program is a list of elementwise steps, so that the row stays in the processor's nearest cache through all of them and
only its last form, mostly int8 codes, goes to memory. Values are float32 between the steps and rounded in float64,
in the order of the layers' own arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.kernels.grid import Grid
from engine.kernels.jit import kernel
from engine.kernels.rounding import clamp

ROUND, CODES, ADD, MULTIPLY, RELU, ROWS = range(6)
"""Steps: to a grid's values; to a grid's codes (the last step); a vector added; multiplied; ReLU; the row's factor."""


@dataclass(frozen=True)
class Step:
    """``grid``: of ROUND and CODES; ``vector``: of ADD and MULTIPLY, float32 [width]."""

    kind: int
    grid: Grid | None = None
    vector: np.ndarray | None = None


@dataclass(frozen=True)
class Program:
    """value = sum·scale, then the steps. ``scale``: float64 [width]; ``factor``: of ROWS, float32 [rows]."""

    scale: np.ndarray
    steps: Sequence[Step] = ()
    factor: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """As the kernels take it: scale, factor, kinds [steps], numbers [steps, 5], vectors [steps, width]."""
        kinds = np.array([step.kind for step in self.steps], np.int64)
        numbers = np.zeros((len(self.steps), 5))
        vectors = np.zeros((len(self.steps), self.scale.size), np.float32)
        for at, step in enumerate(self.steps):
            if step.grid is not None:
                grid = step.grid
                numbers[at] = 1 / grid.divisor, grid.d, grid.c, grid.first, grid.last
            if step.vector is not None:
                vectors[at] = step.vector
        return self.scale, self.factor, kinds, numbers, vectors


@kernel
def finish_row(sums, i, v, scale, factor, kinds, numbers, vectors, out):
    """Row ``i`` of out from its sums; v: room for a row, float32."""
    width = sums.size
    for k in range(width):
        v[k] = np.float64(sums[k]) * scale[k]
    for step in range(kinds.size):
        kind, vector = kinds[step], vectors[step]
        if kind == ROUND or kind == CODES:
            inverse, d, c, first, last = numbers[step]
            if kind == ROUND:
                for k in range(width):
                    v[k] = (clamp(np.rint(np.float64(v[k]) * inverse - d), first, last) + d) * c
            else:
                for k in range(width):
                    v[k] = clamp(np.rint(np.float64(v[k]) * inverse - d), first, last)
        elif kind == ADD:
            for k in range(width):
                v[k] += vector[k]
        elif kind == MULTIPLY:
            for k in range(width):
                v[k] *= vector[k]
        elif kind == RELU:
            for k in range(width):
                v[k] = v[k] if v[k] > 0 else np.float32(0)
        else:
            f = factor[i]
            for k in range(width):
                v[k] *= f
    row = out[i]
    for k in range(width):
        row[k] = v[k]


@kernel
def finish_rows(sums, scale, factor, kinds, numbers, vectors, out, first, last):
    """Rows of sums that lie in memory already."""
    v = np.empty(sums.shape[1], np.float32)
    for i in range(first, last):
        finish_row(sums[i], i, v, scale, factor, kinds, numbers, vectors, out)


@kernel
def column_extremes(values, lows, highs, first, last):
    """Each column's least and largest of rows in float32."""
    for k in range(lows.size):
        lows[k], highs[k] = np.inf, -np.inf
    for i in range(first, last):
        row = values[i]
        for k in range(lows.size):
            lows[k] = row[k] if row[k] < lows[k] else lows[k]
            highs[k] = row[k] if row[k] > highs[k] else highs[k]


def follow_extremes(low: np.ndarray, high: np.ndarray, step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The columns' extremes after a step other than CODES and ROWS: each is monotone in every column."""
    ends = [_apply(end, step) for end in (low, high)]
    return np.minimum(*ends), np.maximum(*ends)


def _apply(v: np.ndarray, step: Step) -> np.ndarray:
    if step.kind == ROUND:
        grid: Any = step.grid
        codes = np.clip(np.rint(v.astype(np.float64) * (1 / grid.divisor) - grid.d), grid.first, grid.last)
        return ((codes + grid.d) * grid.c).astype(np.float32)
    if step.kind == RELU:
        return np.maximum(v, np.float32(0))
    assert step.vector is not None
    return v + step.vector if step.kind == ADD else v * step.vector
