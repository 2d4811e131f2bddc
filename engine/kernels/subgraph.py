"""Taking a part of a large graph: the edges between some nodes, or some of the edges into them.

Work and memory go with what is taken, save one int32 a node of the whole. Draws are hashed from (key, node, number),
so they do not depend on the order of work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import torch
from torch import Tensor

from engine.kernels.csr import Csr
from engine.kernels.hashing import hash_uniform
from engine.kernels.jit import kernel
from engine.randomness import Key


@kernel
def _count_inside(starts, columns, nodes, place, counts):
    for t in range(nodes.size):
        found = 0
        for p in range(starts[nodes[t]], starts[nodes[t] + 1]):
            found += place[columns[p]] >= 0
        counts[t] = found


@kernel
def _fill_inside(starts, columns, nodes, place, taken_starts, out):
    for t in range(nodes.size):
        q = taken_starts[t]
        for p in range(starts[nodes[t]], starts[nodes[t] + 1]):
            if place[columns[p]] >= 0:
                out[q] = place[columns[p]]
                q += 1


@numba.njit(inline="always")
def _draw(node, number, bound, first, second):
    """A number in [0, bound], hashed from the node and the draw's number."""
    index = np.uint32(node) * np.uint32(0x85EBCA77) ^ np.uint32(number) * np.uint32(0xC2B2AE3D)
    # Two hashes of 24 bits: a row may have more entries than one can tell apart.
    high = np.float64(hash_uniform(index, first, second))
    low = np.float64(hash_uniform(index ^ np.uint32(0x5BD1E995), second, first))
    return min(np.int64((high + low * 2.0**-24) * (bound + 1)), bound)


@kernel
def _sample_entries(starts, nodes, first, second, taken_starts, out):
    """Of each node's entries as many distinct ones as ``taken_starts`` has room for, ascending (Floyd's method)."""
    for t in range(nodes.size):
        v = nodes[t]
        begin, degree, q = starts[v], starts[v + 1] - starts[v], taken_starts[t]
        count = taken_starts[t + 1] - q
        if count == degree:
            for p in range(degree):
                out[q + p] = begin + p
            continue
        for n in range(count):
            last = degree - count + n
            chosen = _draw(v, n, last, first, second)
            for k in range(q, q + n):
                if out[k] == begin + chosen:
                    chosen = last
                    break
            out[q + n] = begin + chosen
        out[q : q + count].sort()


def _starts_of(counts: Tensor) -> Tensor:
    starts = torch.zeros(counts.numel() + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=starts[1:])
    return starts


def take_inside(matrix: Csr, nodes: Tensor) -> Csr:
    """The entries between ``nodes`` [n] (ascending), as a matrix over them."""
    place = np.full(matrix.rows, -1, np.int32)
    place[nodes.numpy()] = np.arange(nodes.numel(), dtype=np.int32)
    arrays = matrix.starts.numpy(), matrix.columns.numpy(), nodes.numpy(), place
    counts = torch.empty(nodes.numel(), dtype=torch.int64)
    _count_inside(*arrays, counts.numpy())
    starts = _starts_of(counts)
    columns = torch.empty(int(starts[-1]), dtype=torch.int32)
    _fill_inside(*arrays, starts.numpy(), columns.numpy())
    return Csr(starts, columns)


def sample_around(matrix: Csr, roots: Tensor, fanouts: Sequence[int | None], key: Key) -> tuple[Tensor, Csr]:
    """Nodes reached from ``roots`` [b] (ascending), ascending [n], and the sampled entries as a matrix over them.

    In each round the nodes that the one before reached first take at most its fanout of their entries (None: all),
    without replacement. Those of the last round take none.
    """
    known = np.full(matrix.rows, -1, np.int32)
    known[roots.numpy()] = 0
    fresh = roots
    taken: list[tuple[Tensor, Tensor, Tensor]] = []
    for fanout in fanouts:
        degrees = matrix.starts[fresh + 1] - matrix.starts[fresh]
        counts = degrees if fanout is None else degrees.clamp(max=fanout)
        starts = _starts_of(counts)
        entries = torch.empty(int(starts[-1]), dtype=torch.int64)
        keys = np.uint32(key.first), np.uint32(key.second)
        _sample_entries(matrix.starts.numpy(), fresh.numpy(), *keys, starts.numpy(), entries.numpy())
        columns = matrix.columns[entries]
        taken.append((fresh, counts, columns))
        reached = columns.unique().long()
        fresh = reached[torch.from_numpy(known[reached.numpy()] < 0)]
        known[fresh.numpy()] = 0
    nodes = torch.from_numpy(np.flatnonzero(known >= 0))
    known[nodes.numpy()] = np.arange(nodes.numel(), dtype=np.int32)
    counts = torch.zeros(nodes.numel(), dtype=torch.int64)
    place = torch.from_numpy(known)
    for rows, found, _ in taken:
        counts[place[rows].long()] = found
    starts = _starts_of(counts)
    out = torch.empty(int(starts[-1]), dtype=torch.int32)
    for rows, found, columns in taken:
        at = torch.repeat_interleave(starts[place[rows].long()] - (found.cumsum(0) - found), found)
        out[at + torch.arange(columns.numel())] = place[columns]
    return nodes, Csr(starts, out)
