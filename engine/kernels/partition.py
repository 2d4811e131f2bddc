"""Parting a graph's nodes by linear deterministic greedy streaming, restreamed.

A node goes to the part that holds most of its neighbours, times (1 − fill), the fill over the part's room of
⌈N/parts⌉ nodes (Stanton & Kliot, KDD 2012). In later passes a neighbour that was not streamed yet counts where it
lay before (Nishimura & Ugander, KDD 2013). Nodes are streamed breadth first, so a part grows along edges.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.kernels.csr import Csr
from engine.kernels.jit import kernel
from engine.randomness import Key, uniform


@kernel
def _breadth_first(in_starts, in_columns, out_starts, out_columns, roots, order):
    """Every node once, in the order of a breadth-first search both ways from each root that is not reached yet."""
    reached = np.zeros(roots.size, np.bool_)
    head = tail = 0
    for root in roots:
        if reached[root]:
            continue
        reached[root] = True
        order[tail] = root
        tail += 1
        while head < tail:
            i = order[head]
            head += 1
            for p in range(in_starts[i], in_starts[i + 1]):
                j = in_columns[p]
                if not reached[j]:
                    reached[j] = True
                    order[tail] = j
                    tail += 1
            for p in range(out_starts[i], out_starts[i + 1]):
                j = out_columns[p]
                if not reached[j]:
                    reached[j] = True
                    order[tail] = j
                    tail += 1


@kernel
def _stream(in_starts, in_columns, out_starts, out_columns, order, room, part, fill):
    """One pass: ``part`` [N] holds the pass before (−1: none), and the new one afterwards; ``fill`` [parts] is 0."""
    parts = fill.size
    linked = np.zeros(parts, np.int64)
    touched = np.empty(parts, np.int64)
    emptiest = 0
    for i in order:
        count = 0
        for p in range(in_starts[i], in_starts[i + 1]):
            c = part[in_columns[p]]
            if c >= 0 and in_columns[p] != i:
                if linked[c] == 0:
                    touched[count] = c
                    count += 1
                linked[c] += 1
        for p in range(out_starts[i], out_starts[i + 1]):
            c = part[out_columns[p]]
            if c >= 0 and out_columns[p] != i:
                if linked[c] == 0:
                    touched[count] = c
                    count += 1
                linked[c] += 1
        best, most = -1, 0.0
        for t in range(count):
            c = touched[t]
            score = linked[c] * (1.0 - fill[c] / room)
            if score > most or (score == most and best >= 0 and c < best):
                best, most = c, score
            linked[c] = 0
        if best < 0:
            # Nobody knows it, or all its parts are full: the first of the emptiest parts.
            for c in range(parts):
                if fill[c] < fill[emptiest] or (fill[c] == fill[emptiest] and c < emptiest):
                    emptiest = c
            best = emptiest
        part[i] = best
        fill[best] += 1


def partition(incoming: Csr, outgoing: Csr, parts: int, key: Key, *, passes: int = 5) -> Tensor:
    """The part of each node, int64 [N] in [0, parts), each of at most ⌈N/parts⌉ nodes; equal keys, equal parts."""
    nodes = incoming.rows
    roots = uniform(key, (nodes,)).argsort(stable=True)
    matrices = [tensor.numpy() for matrix in (incoming, outgoing) for tensor in (matrix.starts, matrix.columns)]
    order, part = np.empty(nodes, np.int64), np.full(nodes, -1, np.int32)
    _breadth_first(*matrices, roots.numpy(), order)
    room = -(-nodes // parts)
    for _ in range(passes if parts > 1 else 1):
        _stream(*matrices, order, float(room), part, np.zeros(parts, np.int64))
    return torch.from_numpy(part).long()
