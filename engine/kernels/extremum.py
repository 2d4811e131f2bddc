"""The greatest of the incoming messages, element by element, with the gradient shared evenly among equals."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.kernels import segments
from engine.kernels.aggregate import Adjacency
from engine.kernels.csr import Csr
from engine.kernels.jit import kernel
from engine.kernels.threads import split


@kernel
def _row_max(starts, columns, x, out, first, last):
    width = x.shape[1]
    for i in range(first, last):
        p, end = starts[i], starts[i + 1]
        if p == end:
            for k in range(width):
                out[i, k] = 0
            continue
        j = columns[p]
        for k in range(width):
            out[i, k] = x[j, k]
        for q in range(p + 1, end):
            j = columns[q]
            for k in range(width):
                # NaN passes on.
                if not (x[j, k] <= out[i, k]):
                    out[i, k] = x[j, k]


@kernel
def _shares(starts, columns, x, out, gradient, shares, first, last):
    """The gradient over the number of messages that are the greatest."""
    width = x.shape[1]
    for i in range(first, last):
        for k in range(width):
            shares[i, k] = 0
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for k in range(width):
                if x[j, k] == out[i, k]:
                    shares[i, k] += 1
        for k in range(width):
            if shares[i, k] > 0:
                shares[i, k] = gradient[i, k] / shares[i, k]


@kernel
def _collect(starts, columns, x, out, shares, result, first, last):
    width = x.shape[1]
    for j in range(first, last):
        for k in range(width):
            result[j, k] = 0
        for p in range(starts[j], starts[j + 1]):
            i = columns[p]
            for k in range(width):
                if x[j, k] == out[i, k]:
                    result[j, k] += shares[i, k]


def _by_rows(matrix: Csr, work: Any, *tensors: Tensor) -> Tensor:
    """``work`` over the rows of a matrix; its result comes in a new tensor like the last one."""
    out = torch.empty_like(tensors[-1])
    arrays = [tensor.numpy() for tensor in (matrix.starts, matrix.columns, *tensors, out)]
    split(matrix.rows, matrix.columns.numel() * out.shape[1], lambda first, last: work(*arrays, first, last))
    return out


class _MaxAggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, adjacency: Adjacency) -> Tensor:
        x = x.detach().contiguous()
        out = segments.greatest(adjacency.incoming, x) if x.is_cuda else _by_rows(adjacency.incoming, _row_max, x)
        ctx.adjacency = adjacency
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (x, out), adjacency = ctx.saved_tensors, ctx.adjacency
        gradient = gradient.contiguous()
        if x.is_cuda:
            return segments.greatest_gradient(adjacency.incoming, adjacency.outgoing, x, out, gradient), None
        shares = _by_rows(adjacency.incoming, _shares, x, out, gradient)
        return _by_rows(adjacency.outgoing, _collect, x, out, shares), None


def max_aggregate(message: Tensor, adjacency: Adjacency) -> Tensor:
    """The greatest message that comes into each node, element by element, 0 where none does: [N, F] → [N, F].

    Equal messages share the gradient evenly, as in torch.amax. (PyG's scatter counts the zero that its
    result began with as one more equal, where the greatest is 0.)
    """
    return _MaxAggregate.apply(message, adjacency)
