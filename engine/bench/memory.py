"""Peak memory of training ÷ that of PyG's own layers in fp32: by the thesis' protocol, and of the process beside it.

The protocol: the most that torch has allocated at a time since the model was made, plus the features. The process: by
how much its resident memory's peak lies above what it held when the data lay ready, plus the features. What torch does
not count (a kernel's scratch, say) shows in the second alone, under a malloc that gives freed blocks back: with
glibc's own, which is shown too, the holes that it keeps add to anybody's peak. Each variant is a process of its own.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.bench import Goal, Report
from engine.bench.datasets import DATASETS, SMALL, choose
from engine.bench.processes import answer, ask, conditions, environment
from engine.bench.steps import Prepared, Variant, prepare
from engine.bench.train import DEGREE_QUANT, MODELS, STASH, groups

MODULE = "engine.bench.memory"
MOST, MOST_SPARSE = 0.95, 0.15
"""The promises, × PyG's: dense features; Cora's kept sparse."""
MOST_STASHED, STRETCH = 0.6, 0.45
"""The promise of activations kept packed in 4 bits, × PyG's, and what is hoped for."""
MOST_HIDDEN = 1.2
"""The promise: the process' peak, × the protocol's."""
STEPS = 3


def run(
    datasets: str = ",".join(DATASETS),
    models: str = "gcn",
    *,
    threads: int = 1,
    wanted: Callable[[str, str], Sequence[Variant]] | None = None,
) -> Report:
    """Measure. ``datasets`` and ``models``: names, set apart by commas; ``wanted``: (dataset, model) → what is
    measured, the first the denominator. Raises InputError for an unknown name."""
    rows: list[dict[str, Any]] = []
    for dataset in choose(datasets, "dataset", DATASETS):
        for model in choose(models, "model", MODELS):
            for found in groups(dataset, model) if wanted is None else [wanted(dataset, model)]:
                rows += _rows(found, {each.name: _ask(each, threads) for each in found})
    notes = [
        f"{threads} thread(s), {os.cpu_count()} cores; {STEPS} steps, each variant in a fresh process",
        *conditions(("default", "returning"), threads),
        "10^6 bytes; no input dropout; features count as they are held: dense as fp32, or their entries and places",
    ]
    return Report(rows, judge(rows), notes)


def _ask(variant: Variant, threads: int) -> dict[str, int]:
    """The peaks, the process' under both mallocs."""
    default, returning = (ask(MODULE, asdict(variant), environment(m, threads)) for m in ("default", "returning"))
    return {**returning, "default": default["process"]}


def _rows(found: Sequence[Variant], peaks: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    base, twin = peaks[found[0].name], peaks.get("fp32")
    return [
        {
            "dataset": each.dataset,
            "model": each.shape,
            "variant": each.name,
            "torch": round(peaks[each.name]["torch"] / 1e6, 2),
            "ratio": round(peaks[each.name]["torch"] / base["torch"], 3),
            "twin": twin and round(peaks[each.name]["torch"] / twin["torch"], 3),
            "process": round(peaks[each.name]["process"] / 1e6, 2),
            "process_ratio": round(peaks[each.name]["process"] / base["process"], 3),
            "default": round(peaks[each.name]["default"] / 1e6, 2),
            "hidden": round(peaks[each.name]["process"] / peaks[each.name]["torch"], 3),
        }
        for each in found
    ]


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """Peaks are promised of GCN; that nothing is hidden, of every quantized step of ours."""
    goals: list[Goal] = []
    for row in rows:
        name, sparse = row["variant"].removesuffix(", sparse features"), row["variant"].endswith("sparse features")
        where = f"{row['model']} {row['variant']}, {row['dataset']}"
        most = MOST_SPARSE if sparse else MOST
        promised = row["model"] == "gcn" and name in ("int8", "msfp13") and (not sparse or row["dataset"] == "cora")
        if promised:
            goals.append(Goal(f"peak at most {most:g} × PyG's, {where}", f"{row['ratio']:.2f}", row["ratio"] <= most))
        if name == STASH:
            for prefix, limit in (("", MOST_STASHED), ("stretch: ", STRETCH)):
                title = f"{prefix}peak at most {limit:g} × PyG's, {where}"
                goals.append(Goal(title, f"{row['ratio']:.2f}", row["ratio"] <= limit))
        if name in ("int8", "msfp13", DEGREE_QUANT, STASH):
            title = f"process' peak at most {MOST_HIDDEN:g} × the protocol's, {where}"
            goals.append(Goal(title, f"{row['hidden']:.2f}", row["hidden"] <= MOST_HIDDEN))
    return goals


def measure(variant: Variant) -> dict[str, int]:
    """Bytes: the peaks of a variant's first steps, in this process."""
    from engine.measure import peak_memory, reset_peak_memory
    from engine.measure.allocated import Allocations

    # The code that runs later is loaded on a graph of 34 nodes, which no peak shows.
    small = prepare(replace(variant, dataset=SMALL[0], sparse=False))
    _train(small)
    prepared = prepare(variant)
    del small
    gc.collect()
    _give_back()
    reset_peak_memory()
    before = peak_memory()
    _train(prepared)
    process = peak_memory() - before + prepared.features
    # Anew: what the first steps made of the constants is kept with the data.
    prepared = prepare(variant)
    allocations = Allocations()
    with allocations.followed():
        _train(prepared)
    return {"torch": allocations.most + prepared.features, "process": process}


def _train(prepared: Prepared) -> None:
    step = prepared.start()
    for _ in range(STEPS):
        step()


def _give_back() -> None:
    """Pages that were freed go back to the system (glibc), lest they hide what is taken next."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main() -> None:
    answer(lambda asked: measure(Variant(**asked)))


if __name__ == "__main__":
    main()
