"""What becomes of rows of integer sums before they are kept: scaled, rounded to the sites' grids, biased, activated.

A program is a list of elementwise steps, so that a few rows stay in the processor's nearest cache through all of them
and only their last form, mostly int8 codes, goes to memory. Values are float32 between the steps and rounded in
float64, as the formats' own kernels do, save that 1/c is multiplied with: what lies within 1e-15 of a rounding
boundary may take the other code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.kernels.grid import Grid
from engine.kernels.jit import kernel
from engine.kernels.rounding import clamp
from engine.kernels.threads import split

ROUND, CODES, ADD, MULTIPLY, RELU, ROWS = range(6)
"""Steps: to a grid's values; to a grid's codes (the last step); a vector added; multiplied; ReLU; the row's factor."""


@dataclass(frozen=True)
class Step:
    """``grid``: of ROUND and CODES; ``vector``: of ADD and MULTIPLY, float32 [width]."""

    kind: int
    grid: Grid | None = None
    vector: np.ndarray | None = None


BLOCK = 768
"""Elements that go through the steps together: a few rows, in the nearest cache."""
TILE_ROWS = 6
"""Rows that a dense product makes at a time (engine.kernels.vectors)."""


@kernel
def rows_together(width):
    """How many rows of this width are finished together."""
    return TILE_ROWS * max(BLOCK // (TILE_ROWS * width), 1)


@dataclass(frozen=True)
class Program:
    """value = sum·scale, then the steps. ``scale``: float64 [width]; ``factor``: of ROWS, float32 [rows]."""

    scale: np.ndarray
    steps: Sequence[Step] = ()
    factor: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """As the kernels take it, for as many rows as are finished together.

        scale [rows·width], factor, kinds [steps], numbers [steps, 5] (what ``_to_grid`` takes of a grid),
        vectors [steps, rows·width].
        """
        together = rows_together(self.scale.size)
        kinds = np.array([step.kind for step in self.steps], np.int64)
        numbers = np.zeros((len(self.steps), 5))
        vectors = np.zeros((len(self.steps), together * self.scale.size), np.float32)
        for at, step in enumerate(self.steps):
            if step.grid is not None:
                grid, coded = step.grid, step.kind == CODES
                ends = grid.first + grid.d, grid.last + grid.d
                numbers[at] = 1 / grid.divisor, *ends, 1.0 if coded else grid.c, -grid.d if coded else 0.0
            if step.vector is not None:
                vectors[at] = np.tile(step.vector, together)
        return np.tile(self.scale, together), self.factor, kinds, numbers, vectors


@kernel
def _to_grid(x, inverse, least, most, c, d):
    """x = c·(k + d) with k + d = round(x/c), clamped, as engine.kernels.grid has it; with c = 1: k alone."""
    for k in range(x.size):
        x[k] = clamp(np.rint(np.float64(x[k]) * inverse), least, most) * c + d


Outs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Where rows go: the sums as they are, int8 codes, float32 values; two of the three have no rows. One type of arguments
for each kernel, which takes seconds to compile."""


def targets(out: np.ndarray, program: Program | None, sums: type[np.generic]) -> tuple[Any, Outs]:
    """(the program's arrays, where its rows go) for ``out``, which is of the sums' type without a program."""
    width = out.shape[1]
    kept, codes, values = (np.empty((0, width), kind) for kind in (sums, np.int8, np.float32))
    if program is None:
        return Program(np.ones(width)).arrays, (out, codes, values)
    return program.arrays, (kept, out, values) if out.dtype == np.int8 else (kept, codes, out)


@kernel
def finish_block(sums, start, rows, width, room, program, outs):
    """Some rows of one of ``outs`` from ``start`` on, from their sums, which lie flat; ``room``: for their values."""
    scale, factor, kinds, numbers, vectors = program
    kept, codes, values = outs
    count = rows * width
    if kept.shape[0]:
        kept[start : start + rows].reshape(-1)[:] = sums[:count]
        return
    x, half = room[:count], np.float32(0.5)
    for k in range(count):
        x[k] = np.float64(sums[k]) * scale[k]
    for step in range(kinds.size):
        kind, vector = kinds[step], vectors[step]
        if kind == ROUND or kind == CODES:  # noqa: SIM109 - numba compares a tuple's members one by one, slower
            grid = numbers[step]
            _to_grid(x, grid[0], grid[1], grid[2], grid[3], grid[4])
        elif kind == ADD:
            for k in range(count):
                x[k] += vector[k]
        elif kind == MULTIPLY:
            for k in range(count):
                x[k] *= vector[k]
        elif kind == RELU:
            # Exact, and without a choice, which would keep the loop from being vectorized.
            for k in range(count):
                x[k] = (x[k] + abs(x[k])) * half
        else:
            for r in range(rows):
                f, row = factor[start + r], x[r * width : (r + 1) * width]
                for k in range(width):
                    row[k] *= f
    if codes.shape[0]:
        target = codes[start : start + rows].reshape(-1)
        for k in range(count):
            target[k] = x[k]
    else:
        values[start : start + rows].reshape(-1)[:] = x


@kernel
def _finish_rows(sums, program, outs, first, last):
    width = sums.shape[1]
    together = rows_together(width)
    room = np.empty(together * width, np.float32)
    for i in range(first, last, together):
        rows = min(together, last - i)
        finish_block(sums[i : i + rows].reshape(-1), i, rows, width, room, program, outs)


def finish_rows(sums: np.ndarray, program: Program, out: np.ndarray) -> None:
    """Rows of sums that lie in memory already, float32 [N, width]."""
    arrays, outs = targets(out, program, np.int32)
    split(len(sums), sums.size, lambda first, last: _finish_rows(sums, arrays, outs, first, last))


@kernel
def column_extremes(values, lows, highs, first, last):
    """Each column's least and largest of rows in float32."""
    lows[:], highs[:] = np.inf, -np.inf
    # Into other arrays and back: a choice that is stored where it came from keeps the loop from being vectorized.
    low, high = np.empty(lows.size, np.float32), np.empty(highs.size, np.float32)
    for i in range(first, last):
        row = values[i]
        for k in range(lows.size):
            low[k] = row[k] if row[k] < lows[k] else lows[k]
            high[k] = row[k] if row[k] > highs[k] else highs[k]
        for k in range(lows.size):
            lows[k], highs[k] = low[k], high[k]


def follow_extremes(low: np.ndarray, high: np.ndarray, step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The columns' extremes after a step other than CODES and ROWS: each is monotone in every column."""
    ends = [_apply(end, step) for end in (low, high)]
    return np.minimum(*ends), np.maximum(*ends)


def _apply(v: np.ndarray, step: Step) -> np.ndarray:
    if step.kind == ROUND:
        grid: Any = step.grid
        places = np.rint(v.astype(np.float64) * (1 / grid.divisor))
        return (np.clip(places, grid.first + grid.d, grid.last + grid.d) * grid.c).astype(np.float32)
    if step.kind == RELU:
        return np.maximum(v, np.float32(0))
    assert step.vector is not None
    return v + step.vector if step.kind == ADD else v * step.vector
