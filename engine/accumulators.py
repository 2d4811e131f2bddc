"""The width of accumulator that a quantized product really needs: its largest partial sum, in bits.

Where both operands of a linear product lie on grids through zero, x̂ = c·n with integers n, and c does not change
along the sum, the product adds integers; so does the sum of such messages. Other products (fp32, shared exponents,
grids with an offset that is no integer) have no integer accumulator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.formats.grid import GridFormat
from engine.kernels.aggregate import Adjacency
from engine.kernels.partial_sums import largest_of_product, largest_of_sparse_product, largest_of_sum
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Operand

MOST_WORK = 2**27
"""Multiply-accumulates that are followed; of a larger product, so many of its rows, evenly spaced."""
PART = 1 << 18
"""Elements that are taken to their integers at a time."""
OFF = 1e-2
"""How far from an integer x̂/c may come out in float32."""

Step = float | Tensor


def step_of(x: Tensor, quantizer: nn.Module, axis: int, protected: Tensor | None) -> Step | None:
    """c of the grid on which the quantizer has put x: a number, or a tensor that broadcasts over x; None: no such grid.

    ``x``: what came to the quantizer, ``protected``: its rows that stayed as they were.
    """
    from engine.learned_bits import LearnedSteps, NodeBits
    from engine.quantizer import Quantizer

    if isinstance(quantizer, LearnedSteps):
        shape = list(x.shape)
        shape[quantizer.axis] = 1
        return quantizer.step.detach() if list(quantizer.step.shape) == shape else None
    if isinstance(quantizer, NodeBits):
        return None if quantizer.learning.groups else quantizer.step.detach().unsqueeze(1)
    if not isinstance(quantizer, Quantizer) or not isinstance(quantizer.format, GridFormat) or x.is_cuda:
        return None
    if quantizer.estimator == "lsq":
        return getattr(quantizer.range, "step", None)
    low, high = getattr(quantizer.range, "low", None), getattr(quantizer.range, "high", None)
    settings: dict[str, Any] = {"granularity": quantizer.granularity}
    if low is not None and high is not None:
        if bool(torch.isnan(low).any()) or low.dim() > 0:
            return None
        settings["range"] = (low, high)
    elif quantizer.range_name != "min-max":
        return None
    seen = x.detach() if protected is None else x.detach()[~protected]
    if not seen.numel() or (protected is not None and quantizer.granularity != "tensor"):
        return None
    grid, _ = quantizer.format.grid(seen, axis, **settings)
    if _any(grid.m) or _any(_fraction(grid.d)):
        return None
    return grid.c


def _any(value: Any) -> bool:
    return bool(value.any()) if isinstance(value, Tensor) else value != 0


def _fraction(value: Any) -> Any:
    return value - value.round() if isinstance(value, Tensor) else value - round(value)


def integers(values: Tensor, step: Step | None) -> Tensor | None:
    """n of x̂ = c·n, int64 of x̂'s shape; None where they are none."""
    if step is None:
        return None
    c = torch.as_tensor(step, dtype=torch.float64)
    values = values.detach()
    out = torch.empty(values.shape, dtype=torch.int64)
    by_row = values.dim() > 0 and c.dim() == values.dim() and c.shape[0] == values.shape[0]
    # In parts: looking must not take more memory than the step that is looked into.
    size = max(1, PART * values.shape[0] // max(values.numel(), 1)) if values.dim() else 1
    for first in range(0, values.shape[0] if values.dim() else 1, size):
        part = slice(first, first + size) if values.dim() else ...
        unit = c[part] if by_row else c
        found = torch.where(unit > 0, values[part].double() / torch.where(unit > 0, unit, 1.0), 0.0)
        rounded = found.round()
        if found.numel() and float(found.sub_(rounded).abs_().max()) > OFF:
            return None
        out[part] = rounded.long()
    return out


def bits_of(largest: int) -> int:
    """Bits of a signed accumulator that holds ± this."""
    return largest.bit_length() + 1


def product_bits(x: Operand, step: Step | None, weight: Tensor | None, kept: Tensor | None) -> int | None:
    """Of X̂·Ŵᵀ; ``weight`` as integers, ``kept``: the rows of x that were quantized (bool; None: all)."""
    if weight is None:
        return None
    if isinstance(x, SparseOperand):
        if isinstance(step, Tensor) and step.dim() > 0:
            step = step.expand(x.shape[0], -1)[:, 0][x.entry_rows]
        values = x.values if kept is None else x.values * kept[x.entry_rows]
        numbers = integers(values, step)
        if numbers is None:
            return None
        rows = _rows(x.shape[0], x.values.numel() * weight.shape[0], kept)
        return bits_of(largest_of_sparse_product(x.starts, x.columns, numbers, weight, rows))
    rows = _rows(x.shape[0], x.shape[0] * x.shape[1] * weight.shape[0], kept)
    if isinstance(step, Tensor) and step.dim() > 0 and step.shape[0] == x.shape[0]:
        step = step[rows]
    numbers = integers(x.take(rows), step)
    return None if numbers is None else bits_of(largest_of_product(numbers, weight, torch.arange(len(rows))))


def sum_bits(message: Tensor, step: Step | None, adjacency: Adjacency, kept: Tensor | None) -> int | None:
    """Of the sums of messages, by node or by edge; what a protected node sends is left out."""
    if isinstance(step, Tensor) and step.dim() > 0 and step.shape[0] != 1:
        return None  # a step a node cannot be taken out of the sum
    if kept is not None:
        message = message * kept.view(-1, *[1] * (message.dim() - 1))
    numbers = integers(message, step)
    if numbers is None or adjacency.weights is not None:
        return None
    by_edge = message.shape[0] != adjacency.nodes or message.shape[0] == adjacency.sources.numel()
    edges = adjacency.sources.numel()
    rows = _rows(adjacency.nodes, edges * message.shape[1], None)
    return bits_of(largest_of_sum(adjacency.incoming, numbers, rows, by_edge=by_edge))


def _rows(count: int, work: int, kept: Tensor | None) -> Tensor:
    rows = torch.arange(count) if kept is None else kept.nonzero().squeeze(1)
    stride = -(-work // MOST_WORK)
    return rows[::stride] if stride > 1 else rows
