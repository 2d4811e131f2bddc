"""Seed groups as people compare them: names that tell them apart, columns that say what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from app.describe import spec_texts
from app.run_table import dataset_label


def described(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The store's ``groups`` rows with ``model`` and ``dataset`` as short specs and the other ``settings``.

    Two graphs of one generator with other options are two datasets here, and no chart mixes them.
    """
    found = []
    for row in groups:
        dataset, model, settings = spec_texts(row["spec"])
        found.append({**row, "dataset": dataset_label(dataset, row["synthetic"]), "model": model, "settings": settings})
    return found


COLUMNS = {
    "Scheme": "scheme",
    "Dataset": "dataset",
    "Architecture": "model",
    "Settings": "settings",
    "Metric": "metric",
    "n": "n",
    "Test": "test_mean",
    "Std": "test_std",
    "Other": "other",
    "Memory": "memory_density",
    "Arithmetic": "arithmetic_density",
    "Memory thesis": "memory_density_thesis",
    "Arithmetic thesis": "arithmetic_density_thesis",
    "Peak": "peak_memory_density",
    "CI": "test_ci95",
    "Last": "last_mean",
    "Last std": "last_std",
    "Best test": "max_mean",
    "Validation": "val_mean",
    "Arithmetic is": "arithmetic_label",
    "Bits": "average_bits",
    "Seconds": "seconds_mean",
    "Not ended": "unfinished",
    "Failed": "failed",
}
"""The table's columns, in order, with the store's names."""


def group_table(groups: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Described groups as the table on the Compare page; same order, same length."""
    return pd.DataFrame({title: [row.get(name) for row in groups] for title, name in COLUMNS.items()})
