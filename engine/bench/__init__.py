"""Measurements of the engine's parts, found by name; `bitfront bench` runs them.

A bench gives rows (one a case), goals (what was promised, and whether it is met) and notes on how it was measured.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A promise, the measured value, and whether it is met."""

    goal: str
    value: str
    met: bool


@dataclass(frozen=True)
class Report:
    """``rows``: a mapping a case, with the keys of the bench's ``columns``."""

    rows: Sequence[Mapping[str, Any]]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Bench:
    """``columns`` maps a row's keys to their titles, in order; ``target`` is the module that measures."""

    name: str
    summary: str
    columns: Mapping[str, str]
    target: str

    def run(self, **options: Any) -> Report:
        """Measure; takes minutes. ``options`` are those of the target's ``run``."""
        return importlib.import_module(self.target).run(**options)

    @property
    def options(self) -> Mapping[str, int | float | str]:
        """The options of ``run`` that are numbers or names, with their defaults."""
        parameters = inspect.signature(importlib.import_module(self.target).run).parameters.values()
        return {each.name: each.default for each in parameters if isinstance(each.default, int | float | str)}


BENCHES: dict[str, Bench] = {
    bench.name: bench
    for bench in (
        Bench(
            "machine",
            "this machine's peak of fp32 work and its memory bandwidth, for the rooflines of cost cards",
            {
                "machine": "machine",
                "peak": "peak, GMAC/s",
                "bandwidth": "bandwidth, GB/s",
                "ridge": "ridge, MAC a byte",
            },
            "engine.bench.machine",
        ),
        Bench(
            "formats",
            "time and peak memory of fake-quantization, beside the plain formula, torch's own and a copy",
            {
                "size": "size",
                "case": "format",
                "milliseconds": "ms",
                "copies": "× a copy",
                "plain_copies": "plain formula, × a copy",
                "speedup": "faster than plain",
                "torch_copies": "torch's own, × a copy",
                "memory": "peak extra, × output",
                "plain_memory": "plain's peak extra",
            },
            "engine.bench.formats",
        ),
        Bench(
            "rematching",
            "the bytes that SGQuant's rematching really allocates, beside the paper's claim",
            {
                "case": "features",
                "bits": "bits",
                "fp32": "fp32, kB",
                "claim": "claim, kB",
                "codes": "codes, kB",
                "ranges": "ranges a row, kB",
                "kept": "kept, kB",
                "rematching": "peak rematching, kB",
                "by_blocks": "peak by blocks, kB",
                "emulation": "peak of emulation, kB",
                "claimed_saving": "claimed saving ×",
                "kept_saving": "kept saving ×",
                "rematching_saving": "peak's saving ×",
                "by_blocks_saving": "by blocks ×",
            },
            "engine.bench.rematching",
        ),
        Bench(
            "signals",
            "what logging every signal of dynamic precision costs of an epoch",
            {
                "dataset": "dataset",
                "model": "model",
                "scheme": "scheme",
                "epoch": "epoch, ms",
                "signals": "signals, µs",
                "share": "share, %",
            },
            "engine.bench.signals",
        ),
        Bench(
            "train",
            "a training step beside that of PyG's own layers in fp32, of torch.sparse, and of the plain formulas",
            {
                "dataset": "dataset",
                "model": "model",
                "variant": "variant",
                "threads": "threads",
                "default_ms": "ms",
                "tuned_ms": "ms, tuned malloc",
                "default": "÷ PyG",
                "tuned": "÷ PyG, tuned malloc",
                "ratio": "÷ PyG, its better malloc",
                "dropped_ms": "ms, input dropout",
                "dropped": "÷ PyG, input dropout",
            },
            "engine.bench.train",
        ),
        Bench(
            "memory",
            "peak memory of training beside that of PyG's own layers in fp32, by the thesis' protocol and by process",
            {
                "dataset": "dataset",
                "model": "model",
                "variant": "variant",
                "torch": "torch and features, MB",
                "ratio": "÷ PyG",
                "twin": "÷ our fp32",
                "process": "process, MB",
                "process_ratio": "process ÷ PyG's",
                "default": "process, default malloc, MB",
                "hidden": "process ÷ torch",
            },
            "engine.bench.memory",
        ),
        Bench(
            "inference",
            "inference of the saved model beside that of PyG's own GCN in fp32",
            {
                "dataset": "dataset",
                "variant": "variant",
                "threads": "threads",
                "default_ms": "ms",
                "tuned_ms": "ms, tuned malloc",
                "default": "÷ PyG",
                "tuned": "÷ PyG, tuned malloc",
                "ratio": "÷ PyG, its better malloc",
            },
            "engine.bench.inference",
        ),
        Bench(
            "throughput",
            "runs an hour through the whole stack, and core-seconds a run, beside eager fp32 runs of PyG's own GCN",
            {
                "variant": "variant",
                "runs": "runs",
                "workers": "workers",
                "seconds": "all, s",
                "one": "one, s",
                "core_seconds": "core-seconds a run",
                "an_hour": "runs an hour",
                "ratio": "PyG's ÷ these core-seconds",
                "by_clock": "× PyG's, by the clock",
                "many": "15,000 runs, h",
            },
            "engine.bench.throughput",
        ),
        Bench(
            "aggregation",
            "sums of neighbours' integer codes beside torch.sparse in fp32, on a generated graph (synthetic)",
            {
                "columns": "columns",
                "variant": "variant",
                "threads": "threads",
                "default_ms": "ms",
                "tuned_ms": "ms, tuned malloc",
                "default": "÷ torch.sparse",
                "tuned": "÷ torch.sparse, tuned malloc",
                "ratio": "÷ torch.sparse, its better malloc",
            },
            "engine.bench.aggregation",
        ),
        Bench(
            "large",
            "training on a generated graph of Reddit's size (or a fraction of it): seconds an epoch, peak memory",
            {
                "nodes": "nodes",
                "edges": "edges",
                "model": "model",
                "scheme": "scheme",
                "batching": "batching",
                "load": "generated, s",
                "first": "first epoch, s",
                "seconds": "an epoch, s",
                "processor": "of the processor, s",
                "load_peak": "peak generating, GB",
                "training_peak": "peak training, GB",
                "peak": "peak, GB",
                "first_loss": "first loss",
                "last_loss": "last loss",
            },
            "engine.bench.large",
        ),
    )
}
