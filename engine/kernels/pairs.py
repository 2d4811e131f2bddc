"""Dot products of the vectors of pairs of nodes, as a link's score is: no tensor of [pairs, columns] is made.

The backward pass is a sum by nodes over the pairs that each is in, in the order of the pairs, never a scatter: the same
bits for any number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.kernels.edge_vectors import dot, sum_heads
from engine.kernels.jit import kernel
from engine.kernels.threads import split


@kernel
def _pair_dots(ones, others, x, out, first, last):
    width = x.shape[1]
    flat = x.reshape(x.size)
    for p in range(first, last):
        out[p] = dot(flat, ones[p] * width, flat, others[p] * width, width)


@kernel
def _gather_pairs(ones, others, starts, partners, numbers):
    """By node, starts [N + 1]: the other ends of its pairs and the pairs' numbers, first those that begin with it."""
    for p in range(ones.size):
        starts[ones[p] + 1] += 1
        starts[others[p] + 1] += 1
    for i in range(starts.size - 1):
        starts[i + 1] += starts[i]
    slots = starts[:-1].copy()
    for p in range(ones.size):
        slot = slots[ones[p]]
        partners[slot], numbers[slot] = others[p], p
        slots[ones[p]] += 1
    for p in range(ones.size):
        slot = slots[others[p]]
        partners[slot], numbers[slot] = ones[p], p
        slots[others[p]] += 1


@kernel
def _sum_partners(starts, partners, numbers, weights, x, out, first, last):
    width = x.shape[1]
    flat, sums = x.reshape(x.size), out.reshape(out.size)
    for i in range(first, last):
        sum_heads(weights, 1, flat, width, partners, numbers, starts[i], starts[i + 1], sums, i * width)


class _DotPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, pairs: Tensor) -> Tensor:
        ctx.save_for_backward(x, pairs)
        out = x.new_empty(pairs.shape[1])
        arrays = (*pairs.numpy(), x.detach().numpy(), out.numpy())
        split(out.numel(), out.numel() * x.shape[1], lambda first, last: _pair_dots(*arrays, first, last))
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        x, pairs = ctx.saved_tensors
        ones, others = pairs.numpy()
        starts = np.zeros(len(x) + 1, np.int64)
        partners, numbers = np.empty((2, 2 * ones.size), np.int32)
        _gather_pairs(ones, others, starts, partners, numbers)
        out = torch.empty_like(x)
        arrays = (starts, partners, numbers, gradient.contiguous().numpy(), x.numpy(), out.numpy())
        split(len(x), partners.size * x.shape[1], lambda first, last: _sum_partners(*arrays, first, last))
        return out, None


def dot_pairs(x: Tensor, pairs: Tensor) -> Tensor:
    """x_a·x_b of each pair (a, b): float [N, D], int64 [2, P] → [P]; the gradient goes to x.

    Raises ValueError for a pair that names a node outside [0, N); on CUDA torch itself does.
    """
    if x.is_cuda:
        return (x[pairs[0]] * x[pairs[1]]).sum(1)
    if pairs.numel() and not 0 <= int(pairs.min()) <= int(pairs.max()) < len(x):
        raise ValueError(f"a pair names a node that there is not: the numbers go from 0 to {len(x) - 1}")
    return _DotPairs.apply(x.contiguous(), pairs.contiguous())
