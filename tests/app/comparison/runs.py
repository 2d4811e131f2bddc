"""Rows of results as ``app.comparison.results`` gives them, made by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd

from app.comparison.frames import Frame
from app.theme import scheme_family

BEGAN = pd.Timestamp("2026-06-01", tz="UTC")


def run(scheme: str = "int8", seed: int = 0, *, test: float | None = 80.0, **changes: Any) -> dict[str, Any]:
    """A run's row; its group is its scheme, dataset, architecture and settings."""
    row = {
        "state": "finished",
        "dataset": "cora",
        "model": "gcn",
        "scheme": scheme,
        "family": scheme_family(scheme),
        "seed": seed,
        "fold": None,
        "task": "node-classification",
        "settings": "",
        "sweep": None,
        "tags": [],
        "submitted_at": BEGAN + pd.Timedelta(seconds=seed),
        "synthetic": False,
        "caveat": None,
        "device": "cpu",
        "host": "here",
        "counted": test is not None,
        "metric": "accuracy",
        "unit": "%",
        "higher_is_better": True,
        "test": test,
        "last": None if test is None else test - 1,
        "max": None if test is None else test + 2,
        "val": None if test is None else test + 1,
        "also": None,
        "seconds": 2.0,
        "peak_memory": 1e6,
        "parameters": 99,
        "memory_density": 4.0,
        "arithmetic_density": 7.7,
        "arithmetic_label": "published",
        "average_bits": 8.0,
        "memory_density_thesis": 4.0,
        "arithmetic_density_thesis": 7.7,
        "peak_memory_density": 4.0,
    } | changes
    row["sweeps"] = [] if row["sweep"] is None else [row["sweep"]]
    row |= changes
    group = "-".join(str(row[name]) for name in ("scheme", "dataset", "model", "settings"))
    name = f"{group}-{seed}-{row['fold']}"
    return {
        "run": name,
        "group_id": group,
        "dataset_name": row["dataset"],
        "model_name": row["model"],
        "about": f"{name} {row['sweep']}".lower(),
    } | row


def table(*rows: dict[str, Any]) -> Frame:
    """Rows as the results' table."""
    frame = pd.DataFrame(list(rows))
    for name in ("test", "last", "max", "val", "fold"):
        frame[name] = frame[name].astype(float)
    return frame
