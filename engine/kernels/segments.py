"""The sums and softmax over edges in plain torch, for tensors on an accelerator.

A row's entries lie one after the other, so each is a segment with a sum of its own: no atomics. These
make tensors of size [edges, width], which the CPU's kernels do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from engine.kernels.csr import Csr


def row_of_entry(matrix: Csr) -> Tensor:
    """The row of each entry, int64 [E]."""
    counts = matrix.starts[1:] - matrix.starts[:-1]
    rows = torch.arange(counts.numel(), device=counts.device)
    return torch.repeat_interleave(rows, counts, output_size=matrix.columns.numel())


def sum_entries(matrix: Csr, values: Tensor) -> Tensor:
    """Values [E, F] in the matrix' order → [N, F]."""
    return torch.segment_reduce(values, "sum", offsets=matrix.starts, axis=0, initial=0)


def sum_rows(matrix: Csr, x: Tensor) -> Tensor:
    """See Csr.sum_rows."""
    ones = torch.ones(matrix.columns.numel(), device=x.device, dtype=x.dtype)
    # Row starts and columns must be of one type.
    starts = matrix.starts.to(matrix.columns.dtype)
    return torch.sparse_csr_tensor(starts, matrix.columns, ones, (matrix.rows, x.shape[0])) @ x


def sum_weighted_rows(matrix: Csr, weights: Tensor, x: Tensor) -> Tensor:
    """See Csr.sum_weighted_rows."""
    heads = weights.shape[1]
    messages = weights[matrix.edges].unsqueeze(-1) * x.view(-1, heads, x.shape[1] // heads)[matrix.columns]
    return sum_entries(matrix, messages.flatten(1))


def dot_edges(matrix: Csr, a: Tensor, b: Tensor, heads: int) -> Tensor:
    """See Csr.dot_edges."""
    products = a[row_of_entry(matrix)] * b[matrix.columns]
    return products.view(-1, heads, a.shape[1] // heads).sum(-1)


def softmax(matrix: Csr, scores: Tensor) -> Tensor:
    """See edge_softmax."""
    rows = row_of_entry(matrix)
    top = torch.segment_reduce(scores, "max", offsets=matrix.starts, axis=0)
    out = torch.exp(scores - top[rows])
    return out / sum_entries(matrix, out)[rows]


def softmax_gradient(matrix: Csr, alpha: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of the scores from that of the softmax."""
    mean = sum_entries(matrix, alpha * gradient)
    return alpha * (gradient - mean[row_of_entry(matrix)])


def greatest(matrix: Csr, x: Tensor) -> Tensor:
    """See max_aggregate."""
    out = torch.segment_reduce(x[matrix.columns], "max", offsets=matrix.starts, axis=0)
    return out.masked_fill((matrix.starts[1:] == matrix.starts[:-1]).unsqueeze(1), 0)


def greatest_gradient(incoming: Csr, outgoing: Csr, x: Tensor, out: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of x from that of ``greatest``, shared evenly among equals."""
    rows = row_of_entry(incoming)
    equal = (x[incoming.columns] == out[rows]).to(x.dtype)
    shares = gradient / sum_entries(incoming, equal).clamp(min=1)
    return sum_entries(outgoing, (equal * shares[rows])[outgoing.edges])
