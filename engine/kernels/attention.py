"""The softmax over the edges into each node, head by head."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.kernels import segments
from engine.kernels.aggregate import Adjacency
from engine.kernels.jit import kernel
from engine.kernels.threads import split


@kernel
def _shift(starts, scores, out, first, last):
    """Minus the greatest score of the row: no exponential overflows."""
    heads = scores.shape[1]
    top = np.empty(heads, scores.dtype)
    for i in range(first, last):
        top[:] = -np.inf
        for p in range(starts[i], starts[i + 1]):
            for h in range(heads):
                top[h] = max(top[h], scores[p, h])
        for p in range(starts[i], starts[i + 1]):
            for h in range(heads):
                out[p, h] = scores[p, h] - top[h]


@kernel
def _normalize(starts, out, first, last):
    heads = out.shape[1]
    total = np.empty(heads, out.dtype)
    for i in range(first, last):
        total[:] = 0
        for p in range(starts[i], starts[i + 1]):
            for h in range(heads):
                total[h] += out[p, h]
        for p in range(starts[i], starts[i + 1]):
            for h in range(heads):
                out[p, h] /= total[h]


@kernel
def _backward(starts, alpha, gradient, out, first, last):
    heads = alpha.shape[1]
    mean = np.empty(heads, alpha.dtype)
    for i in range(first, last):
        mean[:] = 0
        for p in range(starts[i], starts[i + 1]):
            for h in range(heads):
                mean[h] += alpha[p, h] * gradient[p, h]
        for p in range(starts[i], starts[i + 1]):
            for h in range(heads):
                out[p, h] = alpha[p, h] * (gradient[p, h] - mean[h])


def _each_row(adjacency: Adjacency, work: Any, *tensors: Tensor) -> None:
    arrays = [tensor.numpy() for tensor in (adjacency.incoming.starts, *tensors)]
    split(adjacency.nodes, tensors[0].numel(), lambda first, last: work(*arrays, first, last))


class _EdgeSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores: Tensor, adjacency: Adjacency) -> Tensor:
        scores = scores.detach().contiguous()
        if scores.is_cuda:
            out = segments.softmax(adjacency.incoming, scores)
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
            return segments.softmax_gradient(adjacency.incoming, alpha, gradient), None
        out = torch.empty_like(alpha)
        _each_row(adjacency, _backward, alpha, gradient, out)
        return out, None


def edge_softmax(scores: Tensor, adjacency: Adjacency) -> Tensor:
    """exp(s_e)/Σ exp over the edges into the same node, of each head: [E, H] → [E, H]."""
    return _EdgeSoftmax.apply(scores, adjacency)
