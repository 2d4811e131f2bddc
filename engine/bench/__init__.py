"""Measurements of the engine's parts, found by name; `bitfront bench` runs them.

A bench gives rows (one a case), goals (what was promised, and whether it is met) and notes on how it was measured.
"""

from __future__ import annotations

import importlib
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


BENCHES: dict[str, Bench] = {
    bench.name: bench
    for bench in (
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
    )
}
