"""Sums of neighbours' integer codes ÷ the product of torch.sparse in fp32, over a generated graph of a million edges.

The sums are exact integers, int32 [nodes, columns]; torch's take the same numbers in fp32. Each variant is a process of
its own; they take turns, as those of the bench "train".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.bench import Goal, Report
from engine.bench.processes import (
    MALLOCS,
    Malloc,
    Times,
    answer_turns,
    compared,
    environment,
    said_of_turns,
    take_turns,
)

MODULE = "engine.bench.aggregation"
BASE = "torch.sparse, fp32"
VARIANTS = (BASE, "ours, fp32", "int8 codes", "int4 codes, packed")
COLUMNS = (64, 256)
GOAL = 0.25
GOAL_COLUMNS = 256


def run(
    *, nodes: int = 50_000, edges: int = 1_000_000, rounds: int = 5, seconds: float = 0.3, threads: int = 0
) -> Report:
    """Measure. ``threads``: the most, beside one; 0: all cores."""
    most = threads or os.cpu_count() or 1
    counts = sorted({1, most})
    rows: list[dict[str, Any]] = []
    for columns in COLUMNS:
        asked = [{"by": name, "columns": columns, "nodes": nodes, "edges": edges} for name in VARIANTS]
        times: dict[Malloc, dict[str, Times]] = {}
        for malloc in MALLOCS:
            found = take_turns(MODULE, asked, environment(malloc, most), threads=counts, rounds=rounds, seconds=seconds)
            times[malloc] = dict(zip(VARIANTS, found, strict=True))
        for count in counts:
            rows += [
                {"columns": columns, "variant": name, "threads": count, **compared(times, name, BASE, count)}
                for name in VARIANTS
            ]
    notes = [
        *said_of_turns(counts, rounds),
        f"a generated graph (synthetic): {nodes} nodes, {edges} edges, sources drawn by a power law; codes lie ready",
    ]
    return Report(rows, judge(rows), notes)


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """The promise is of the widest, for each kind of codes."""
    return [
        Goal(
            f"{row['variant']} at most {GOAL:g} × torch.sparse's fp32 at {row['columns']} columns, "
            f"{'1 thread' if row['threads'] == 1 else str(row['threads']) + ' threads'}",
            f"{row['ratio']:.2f}",
            row["ratio"] <= GOAL,
        )
        for row in rows
        if row["columns"] == GOAL_COLUMNS and "codes" in row["variant"]
    ]


def make_sum(asked: Mapping[str, Any]) -> Callable[[], object]:
    """One sum over the graph, made ready."""
    import numpy as np
    import torch

    from engine.kernels.csr import csr
    from engine.kernels.integer_sums import pack_nibbles, sum_codes, sum_nibbles

    nodes, edges, columns = asked["nodes"], asked["edges"], asked["columns"]
    random = np.random.default_rng(0)
    weights = np.cumsum(np.arange(1, nodes + 1) ** -0.6)
    sources = random.permutation(nodes)[np.searchsorted(weights, random.random(edges) * weights[-1])]
    matrix = csr(torch.from_numpy(random.integers(0, nodes, edges)), torch.from_numpy(sources), nodes)
    codes = random.integers(0, 16, (nodes, columns), dtype=np.uint8)
    values = torch.from_numpy(codes.astype(np.float32))
    out = np.empty((nodes, columns), np.int32)
    if asked["by"] == BASE:
        places = matrix.starts.to(torch.int32), matrix.columns
        sparse = torch.sparse_csr_tensor(*places, torch.ones(edges), size=(nodes, nodes), check_invariants=False)
        return lambda: sparse @ values
    if asked["by"] == "int8 codes":
        narrow = codes.astype(np.int8)
        return lambda: (sum_codes(matrix, narrow, 0, out), out)[1]
    if asked["by"] == "int4 codes, packed":
        packed = pack_nibbles(codes)
        return lambda: (sum_nibbles(matrix, packed, 0, out), out)[1]
    return lambda: matrix.sum_rows(values)


if __name__ == "__main__":
    answer_turns(make_sum)
