"""Drawing a large graph with planted classes and heavy-tailed degrees, edge by edge, in memory proportional to it.

Every draw is hashed from (key, its number), so equal keys give equal graphs whatever the machine or the threads.
Targets come by alias tables (Walker 1977; Vose 1991), one a class, in constant time.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from engine.kernels.csr import Csr
from engine.kernels.hashing import hash_uniform, splitmix
from engine.kernels.jit import kernel
from engine.kernels.threads import split
from engine.randomness import Key

PATIENCE = 8
"""Draws within a class that may fail in a row (drawn already) before the whole graph is drawn from."""
LIMIT = 64
"""Draws that may fail in a row before the next free node is taken."""

_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@numba.njit(inline="always")
def _pick(bits, start, count, keep, alias):
    """An element of [start, start + count) by its alias table: the upper bits choose a column, the lower its half."""
    at = start + np.int64(((bits >> _32) * np.uint64(count)) >> _32)
    return at if np.float64(bits & _LOW) * 2.0**-32 < keep[at] else np.int64(alias[at])


@kernel
def _fill_alias(starts, weights, keep, alias):
    """The alias tables of the segments [starts[c], starts[c + 1]) of positive weights."""
    for c in range(starts.size - 1):
        first, last = starts[c], starts[c + 1]
        total = 0.0
        for p in range(first, last):
            total += weights[p]
        small = np.empty(last - first, np.int64)
        large = np.empty(last - first, np.int64)
        smalls = larges = 0
        for p in range(first, last):
            keep[p] = weights[p] * (last - first) / total
            alias[p] = p
            if keep[p] < 1:
                small[smalls] = p
                smalls += 1
            else:
                large[larges] = p
                larges += 1
        while smalls and larges:
            smalls -= 1
            less, more = small[smalls], large[larges - 1]
            alias[less] = more
            keep[more] -= 1 - keep[less]
            if keep[more] < 1:
                larges -= 1
                small[smalls] = more
                smalls += 1


@numba.njit(inline="always")
def _holds(targets, first, last, node):
    while first < last:
        middle = (first + last) // 2
        if targets[middle] < node:
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def _draw_edges(
    counts, label, homophily, confined, key, class_keep, class_alias, class_starts, keep, alias, members, starts, out
):
    """Each node i draws ``counts[i]`` neighbours: no loops, no pair twice; returns how many found no place.

    A neighbour's class is i's own with probability ``homophily``, else by the classes' tables; within a class it
    comes by the nodes' tables (over places in ``members``, the nodes in order of their class). ``confined``: every
    neighbour is of the own class, and the nodes are numbered in order of their class. ``out`` holds ascending
    lists, list i in [starts[i], starts[i + 1]).
    """
    nodes, classes = counts.size, class_starts.size - 1
    seen = np.full(nodes, -1, np.int32)
    number = carried = 0
    starts[0] = 0
    for i in range(nodes):
        begin = starts[i]
        end, wanted = begin, begin + counts[i] + carried
        failed = 0
        while end < wanted:
            chance = splitmix(key, number)
            bits = splitmix(key, number + 1)
            c = label[i]
            if not confined and (failed >= PATIENCE or np.float64(chance >> _32) * 2.0**-32 >= homophily):
                c = _pick(splitmix(key, number + 2), 0, classes, class_keep, class_alias)
            number += 3
            j = members[_pick(bits, class_starts[c], class_starts[c + 1] - class_starts[c], keep, alias)]
            if failed >= LIMIT:
                # Nearly everything is taken: the next free one after a drawn place, if there is any.
                first, j = j, -1
                low, span = (class_starts[c], class_starts[c + 1] - class_starts[c]) if confined else (0, nodes)
                for step in range(span):
                    k = low + (first - low + step) % span
                    if k != i and seen[k] != i:
                        at = _holds(out, starts[k], starts[k + 1], i) if k < i else 0
                        if k > i or at == starts[k + 1] or out[at] != i:
                            j = k
                            break
                if j < 0:
                    break
            taken = j == i or seen[j] == i
            if not taken and j < i:
                at = _holds(out, starts[j], starts[j + 1], i)
                taken = at < starts[j + 1] and out[at] == i
            if taken:
                failed += 1
                continue
            seen[j] = i
            out[end] = j
            end += 1
            failed = 0
        carried = wanted - end
        starts[i + 1] = end
        out[begin:end].sort()
    return carried


@kernel
def _merge_both_ways(starts, targets, back_starts, sources, merged_starts, merged):
    """Row i of the undirected graph: what i drew and who drew i, both ascending, merged."""
    for i in range(starts.size - 1):
        p, q, t = starts[i], back_starts[i], merged_starts[i]
        while p < starts[i + 1] or q < back_starts[i + 1]:
            if q == back_starts[i + 1] or (p < starts[i + 1] and targets[p] < sources[q]):
                merged[t] = targets[p]
                p += 1
            else:
                merged[t] = sources[q]
                q += 1
            t += 1


@kernel
def _write_edges(starts, columns, sources, targets):
    """The entries of rows as pairs (column, row), int64."""
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            sources[p] = columns[p]
            targets[p] = i


@kernel
def _draw_features(label, centres, first_key, second_key, out, first, last):
    """out[i, k] = centres[label[i], k] + uniform noise of variance 1."""
    width = out.shape[1]
    for i in range(first, last):
        for k in range(width):
            noise = hash_uniform(i * width + k, first_key, second_key) - np.float32(0.5)
            out[i, k] = centres[label[i], k] + noise * np.float32(3.4641016)


def plant_edges(
    weights: Tensor,
    label: Tensor,
    members: Tensor,
    sizes: Tensor,
    *,
    homophily: float,
    key: Key,
    pairs: int,
    confined: bool = False,
) -> Tensor:
    """An undirected graph with expected degrees in proportion to ``weights`` [N]: edge_index [2, 2·pairs] int64.

    Sorted by target and then source; no loops, no edge twice. ``members`` [N]: the nodes in the order of their
    ``label`` [N], whose classes have ``sizes``. ``confined``: no edge leaves a class; ``members`` are 0 … N − 1 then.
    Raises ValueError where ``pairs`` find no place.
    """
    nodes = weights.numel()
    # Each node draws its share of the pairs; that ends of shares are rounded makes them sum up exactly.
    ends = (weights.cumsum(0) / weights.sum() * pairs).round().long()
    ends[-1] = pairs
    counts = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.int64))

    def tables(starts: Tensor, values: Tensor) -> tuple[np.ndarray, np.ndarray]:
        keep, alias = np.empty(values.numel()), np.empty(values.numel(), np.int32)
        _fill_alias(starts.numpy(), values.numpy(), keep, alias)
        return keep, alias

    first = torch.zeros(sizes.numel() + 1, dtype=torch.int64)
    first[1:] = sizes.cumsum(0)
    ordered = weights[members]
    keep, alias = tables(first, ordered)
    total = torch.stack([part.sum() for part in ordered.split(sizes.tolist())])
    class_keep, class_alias = tables(torch.tensor([0, sizes.numel()]), total)

    starts, out = np.zeros(nodes + 1, np.int64), np.empty(pairs, np.int32)
    drawn = _draw_edges(
        counts.numpy(), label.numpy(), homophily, confined, np.uint64(key.first << 32 | key.second),
        class_keep, class_alias, first.numpy(), keep, alias, members.numpy(), starts, out,
    )  # fmt: skip
    if drawn:
        raise ValueError(f"{drawn} of {pairs} edges found no place between {nodes} nodes")
    targets = Csr(torch.from_numpy(starts), torch.from_numpy(out))
    sources = targets.transpose()
    merged = targets.starts + sources.starts
    columns = np.empty(2 * pairs, np.int32)
    _merge_both_ways(starts, out, sources.starts.numpy(), sources.columns.numpy(), merged.numpy(), columns)
    del out, targets, sources
    edge_index = torch.empty(2, 2 * pairs, dtype=torch.int64)
    _write_edges(merged.numpy(), columns, edge_index[0].numpy(), edge_index[1].numpy())
    return edge_index


def plant_features(label: Tensor, centres: Tensor, key: Key) -> Tensor:
    """x [N, F] float32: the centre of each node's class, [classes, F], and uniform noise of variance 1."""
    out = torch.empty(label.numel(), centres.shape[1])
    arrays = label.numpy(), centres.numpy(), np.uint32(key.first), np.uint32(key.second), out.numpy()
    split(label.numel(), out.numel(), lambda first, last: _draw_features(*arrays, first, last))
    return out
