"""The softmax over the edges into each node, head by head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.kernels.aggregate import Adjacency
from engine.kernels.jit import kernel
from engine.kernels.threads import split


@kernel
def _shift(starts, scores, out, first, last):
    """Minus the greatest score of the row: no exponential overflows."""
    heads = scores.shape[1]
    for i in range(first, last):
        for h in range(heads):
            top = scores.dtype.type(-float("inf"))
            for p in range(starts[i], starts[i + 1]):
                top = max(top, scores[p, h])
            for p in range(starts[i], starts[i + 1]):
                out[p, h] = scores[p, h] - top


@kernel
def _normalize(starts, out, first, last):
    heads = out.shape[1]
    for i in range(first, last):
        for h in range(heads):
            total = out.dtype.type(0)
            for p in range(starts[i], starts[i + 1]):
                total += out[p, h]
            for p in range(starts[i], starts[i + 1]):
                out[p, h] /= total


@kernel
def _backward(starts, alpha, gradient, out, first, last):
    heads = alpha.shape[1]
    for i in range(first, last):
        for h in range(heads):
            mean = alpha.dtype.type(0)
            for p in range(starts[i], starts[i + 1]):
                mean += alpha[p, h] * gradient[p, h]
            for p in range(starts[i], starts[i + 1]):
                out[p, h] = alpha[p, h] * (gradient[p, h] - mean)


def _each_row(adjacency: Adjacency, work: Any, *tensors: Tensor) -> None:
    arrays = [tensor.numpy() for tensor in (adjacency.incoming.starts, *tensors)]
    split(adjacency.nodes, tensors[0].numel(), lambda first, last: work(*arrays, first, last))


class _EdgeSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores: Tensor, adjacency: Adjacency) -> Tensor:
        scores = scores.detach().contiguous()
        if scores.is_cuda:
            starts, targets = adjacency.incoming.starts, adjacency.targets
            top = torch.segment_reduce(scores, "max", offsets=starts, axis=0)
            out = torch.exp(scores - top[targets])
            out = out / adjacency.incoming.sum_edges(out)[targets]
        else:
            out = torch.empty_like(scores)
            _each_row(adjacency, _shift, scores, out)
            out.exp_()
            _each_row(adjacency, _normalize, out)
        ctx.adjacency = adjacency
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (alpha,), adjacency = ctx.saved_tensors, ctx.adjacency
        gradient = gradient.contiguous()
        if alpha.is_cuda:
            mean = adjacency.incoming.sum_edges(alpha * gradient)
            return alpha * (gradient - mean[adjacency.targets]), None
        out = torch.empty_like(alpha)
        _each_row(adjacency, _backward, alpha, gradient, out)
        return out, None


def edge_softmax(scores: Tensor, adjacency: Adjacency) -> Tensor:
    """exp(s_e)/Σ exp over the edges into the same node, of each head: [E, H] → [E, H]."""
    return _EdgeSoftmax.apply(scores, adjacency)
