"""What a separate pass measured of a run (`bitfront measure`): names, units and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Quantity:
    """A measured quantity (engine.events.Measurement), stored in bytes or seconds and shown in ``unit``."""

    title: str
    unit: str
    definition: str

    @property
    def factor(self) -> float:
        """From the stored value to the shown one."""
        return {"MB": 1e-6, "kB": 1e-3, "ms": 1e3}[self.unit]


QUANTITIES: Mapping[str, Quantity] = {
    "peak_torch": Quantity(
        "Peak training memory, torch", "MB", "torch's allocated peak plus the features as fp32: the thesis' protocol"
    ),
    "peak_process": Quantity(
        "Peak training memory, process", "MB", "the peak of the process' resident memory while it trains"
    ),
    "held_for_backward": Quantity(
        "Held for the backward pass", "MB", "bytes that a training step holds from forward to backward"
    ),
    "epoch_seconds": Quantity("Time of an epoch", "ms", "median wall time of an epoch, evaluation included"),
    "latency_median": Quantity("Inference latency, median", "ms", "median wall time of the exported model's inference"),
    "latency_p95": Quantity("Inference latency, p95", "ms", "95th percentile of the exported model's inference"),
    "file_size": Quantity("Exported file", "kB", "size of the exported model's file"),
}


def measurement_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The store's ``measurements`` of one run: each quantity of the run and of its fp32 twin, and their ratio."""
    values = {(row["quantity"], row["variant"]): row["value"] for row in rows}
    found = {name: about for name, about in QUANTITIES.items() if values.get((name, "run")) is not None}
    ours, theirs = ([values.get((name, variant)) for name in found] for variant in ("run", "fp32"))

    def shown(value: float | None, about: Quantity) -> str:
        return "–" if value is None else f"{value * about.factor:.4g}"

    return pd.DataFrame(
        {
            "Quantity": [about.title for about in found.values()],
            "Unit": [about.unit for about in found.values()],
            "This run": [shown(value, about) for value, about in zip(ours, found.values(), strict=True)],
            "fp32": [shown(value, about) for value, about in zip(theirs, found.values(), strict=True)],
            "Ratio": [f"{one / other:.2f}×" if one and other else "–" for one, other in zip(ours, theirs, strict=True)],
            "Definition": [about.definition for about in found.values()],
        }
    )
