"""How a constant is quantized, and under what its quantized values are kept with it.

A constant outlives a run: what is kept of it must be told apart by all that its values depend on, and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Constant, DenseOperand, make_operand
from engine.quantizer import Quantizer
from engine.topology import Topology


def repeats(quantizer: nn.Module) -> bool:
    """Whether it gives the same values for the same tensor in every step."""
    return bool(getattr(quantizer, "repeats", False))


def way(quantizer: nn.Module) -> Hashable:
    """What the values of a quantizer that repeats depend on: equal ways, equal values, also of another run."""
    if type(quantizer) is not Quantizer:
        return quantizer
    return quantizer.format, quantizer.granularity, quantizer.rounding, quantizer.estimator, quantizer.range_name


def kept_as(
    key: str, quantizer: nn.Module, kept_axis: int, axis: int, graph: Topology | None = None
) -> tuple[Hashable, tuple[object, ...]]:
    """Under what a constant keeps its quantized values, and their version: a switched format gives others, which take
    the place of the ones before; another graph could get this one's number in memory."""
    return (key, kept_axis, id(graph)), (way(quantizer), axis, graph)


def apply(quantizer: nn.Module, x: Tensor, axis: int, protected: Tensor | None, bucket: Tensor | None) -> Tensor:
    """``x`` [rows, columns] quantized with a range each of ``axis``; ``protected`` [rows] stays as it is, ``bucket``
    [rows] names each row's range where a quantizer keeps several."""
    if bucket is not None:
        return quantizer(x, axis, protected, bucket)
    return quantizer(x, axis=axis, protected=protected)


def goes_by_entries(quantizer: nn.Module) -> bool:
    """Whether it quantizes a sparse tensor by its entries alone."""
    return hasattr(quantizer, "quantize_sparse") or (isinstance(quantizer, Quantizer) and quantizer.spares_zeros)


@torch.no_grad()
def quantize_constant(
    x: Constant, quantizer: nn.Module, axis: int, protected: Tensor | None, bucket: Tensor | None
) -> Constant:
    """A sparse constant's entries alone, where its zeros stay zeros and one range serves all.

    Sparse stays sparse, entry for entry, also where an entry has become 0: what the layers keep of it (where a sum
    over neighbours lies) depends on the form and on the places.
    """
    operand = x.operand
    if isinstance(operand, SparseOperand) and hasattr(quantizer, "quantize_sparse"):
        return Constant(cast(Any, quantizer).quantize_sparse(operand, protected))
    if isinstance(operand, SparseOperand) and goes_by_entries(quantizer):
        rows = None if protected is None else protected[operand.entry_rows]
        entries = operand.values.numel()
        zeros = operand.shape[0] * operand.shape[1] - entries
        if protected is not None and rows is not None:
            zeros -= int(protected.sum()) * operand.shape[1] - int(rows.sum())
        values = quantizer(operand.values, axis=-1, protected=rows, zeros=zeros)
        return Constant(operand.with_values(values))
    # A constant that comes out the same is quantized once: its dense form need not stay.
    dense = operand.dense() if repeats(quantizer) and protected is None else x.dense()
    out = apply(quantizer, dense, axis, protected, bucket)
    if isinstance(operand, SparseOperand):
        return Constant(operand.values_of(out) or make_operand(out))
    return Constant(DenseOperand(out))
