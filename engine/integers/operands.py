"""What goes from layer to layer: codes with their grid, or values in float32 that are not rounded yet.

Rows are as wide as the kernels take them, a multiple of 16 columns; what is beyond ``columns`` stands for 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.integers.sites import Site
from engine.kernels import finish
from engine.kernels.finish import Program, Step, column_extremes, finish_rows, follow_extremes
from engine.kernels.grid import Grid, plain_grid
from engine.kernels.integer_sums import LANES
from engine.kernels.rounding import NEAREST
from engine.kernels.sparse import SparseOperand
from engine.kernels.threads import split
from engine.layers.operand import Constant


@dataclass(frozen=True)
class Codes:
    """value = grid.c·(code + grid.d); ``codes`` int8 [N, width]."""

    codes: np.ndarray
    grid: Grid


@dataclass(frozen=True)
class SparseCodes:
    """The same of a sparse tensor: ``integers`` int16 [entries] are code + d, and 0 everywhere else."""

    places: SparseOperand
    integers: np.ndarray
    grid: Grid


@dataclass(frozen=True)
class Values:
    """float32 [N, width], of which ``columns`` count."""

    values: np.ndarray
    columns: int

    def tensor(self) -> Tensor:
        """[N, columns]; the runtime writes into these numbers again in its next pass."""
        return torch.from_numpy(self.values)[:, : self.columns]


def widened(columns: int) -> int:
    return -(-max(columns, 1) // LANES) * LANES


def values_of(x: Tensor) -> Values:
    """A tensor [N, F] as the kernels take it."""
    out = np.zeros((x.shape[0], widened(x.shape[1])), np.float32)
    out[:, : x.shape[1]] = x.detach().numpy()
    return Values(out, x.shape[1])


def offset(grid: Grid) -> int:
    return int(grid.d)


def largest(grid: Grid) -> int:
    """The greatest magnitude of code + d."""
    return int(max(abs(grid.first + grid.d), abs(grid.last + grid.d)))


@torch.no_grad()
def constant_codes(x: Constant, site: Site) -> Codes | SparseCodes:
    """The dataset's features, or what follows from them, as the site rounds them; sparse where they are."""
    operand = x.operand
    if isinstance(operand, SparseOperand):
        values = operand.values
        grid = site.grid_for(values, operand.shape[0] * operand.shape[1] - values.numel())
        integers = _rounded(values, grid) + grid.d
        return SparseCodes(operand, integers.to(torch.int16).numpy(), grid)
    dense = operand.dense()
    grid = site.grid_for(dense)
    out = np.full((dense.shape[0], widened(dense.shape[1])), -grid.d, np.int8)
    out[:, : dense.shape[1]] = _rounded(dense, grid).numpy()
    return Codes(out, grid)


def _rounded(x: Tensor, grid: Grid) -> Tensor:
    codes = torch.empty(x.shape, dtype=torch.int16)
    return plain_grid(x.contiguous(), codes, grid, NEAREST, codes=True).add_(int(grid.first))


Op = tuple[int, Site | np.ndarray | None]
"""An elementwise step (see engine.kernels.finish) and its site, or its vector [columns]."""

Produce = Callable[[np.ndarray, Program | None], None]
"""Sums that are finished by a program into an array."""


class Scratch:
    """Arrays that a plan writes into again in every pass: what is new is faulted in page by page."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, str], np.ndarray] = {}

    def take(self, owner: object, shape: tuple[int, int], kind: str) -> np.ndarray:
        found = self._kept.get((owner, kind))
        if found is None or found.shape != shape:
            found = self._kept[owner, kind] = np.empty(shape, kind)
        return found


def run(
    produce: Produce,
    scale: np.ndarray,
    ops: Sequence[Op],
    factor: np.ndarray | None,
    rows: int,
    columns: int,
    scratch: Scratch,
    owner: object,
    ready: np.ndarray | None = None,
) -> Codes | Values:
    """Sums times their scale, float64 [width], through the ops; ``factor``: each row's, of ROWS; ``ready``: the
    sums, where they are values already.

    Where a site's range is the tensor's own, the values before it are made first, their columns' extremes are looked
    at, and the steps between (each monotone in a column) say what the range is without a pass of its own.
    """
    factors = np.ones(1, np.float32) if factor is None else factor
    start = next((at for at, (_, what) in enumerate(ops) if isinstance(what, Site) and what.grid is None), len(ops))
    shape, steps = (rows, len(scale)), [_step(op, len(scale)) for op in ops[:start]]
    if start == len(ops):
        coded = bool(ops) and ops[-1][0] == finish.CODES
        out = scratch.take(owner, shape, "int8" if coded else "float32")
        produce(out, Program(scale, steps, factors))
        grid = steps[-1].grid if coded else None
        return Values(out, columns) if grid is None else Codes(out, grid)
    values = ready
    if values is None or start:
        values = scratch.take(owner, shape, "float32")
        produce(values, Program(scale, steps, factors))
    lows, highs = extremes(values)
    settled: list[Op] = []
    for at, (kind, what) in enumerate(ops[start:], start):
        if kind == finish.ROWS:
            settled += ops[at:]
            break
        if isinstance(what, Site) and what.grid is None:
            what = _Settled(what.grid_of(float(lows[:columns].min()), float(highs[:columns].max())))
        settled.append((kind, what))
        if kind != finish.CODES:
            lows, highs = follow_extremes(lows, highs, _step((kind, what), len(scale)))
    ones = np.ones(len(scale))
    return run(Rows(values), ones, settled, factor, rows, columns, scratch, (owner, start), ready=values)


class _Settled(Site):
    """A site of this pass, whose range is known."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid


@dataclass(frozen=True)
class Rows:
    """Finishes sums that lie in memory."""

    sums: np.ndarray

    def __call__(self, out: np.ndarray, program: Program | None) -> None:
        assert program is not None
        finish_rows(self.sums, program, out)


def finished(x: Values, ops: Sequence[Op], scratch: Scratch, owner: object) -> Codes | Values:
    """Values through the ops, as ``run`` does it with sums."""
    ones = np.ones(x.values.shape[1])
    return run(Rows(x.values), ones, ops, None, len(x.values), x.columns, scratch, owner, ready=x.values)


def rounded(x: Values, site: Site, scratch: Scratch, owner: object) -> Codes:
    """Values as the site rounds them."""
    found = finished(x, [(finish.CODES, site)], scratch, owner)
    assert isinstance(found, Codes)
    return found


def _step(op: Op, width: int) -> Step:
    kind, what = op
    if isinstance(what, Site):
        return Step(kind, grid=what.grid)
    if what is None:
        return Step(kind)
    vector = np.zeros(width, np.float32)
    vector[: what.size] = what
    return Step(kind, vector=vector)


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each column's least and largest value, float32 [width]."""
    width = values.shape[1]

    def work(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        lows, highs = np.empty(width, np.float32), np.empty(width, np.float32)
        column_extremes(values, lows, highs, first, last)
        return lows, highs

    parts = split(len(values), values.size, work)
    return np.min([low for low, _ in parts], axis=0), np.max([high for _, high in parts], axis=0)
