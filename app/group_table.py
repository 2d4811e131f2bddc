"""Seed groups as people compare them: names that tell them apart, columns that say what they hold."""

from __future__ import annotations

import pandas as pd

from app.describe import spec_texts
from app.run_table import dataset_label


def described(groups: pd.DataFrame) -> pd.DataFrame:
    """The store's ``groups`` rows with ``model`` and ``dataset`` as short specs and the other ``settings``.

    Two graphs of one generator with other options are two datasets here, and no chart mixes them.
    """
    texts = [spec_texts(spec) for spec in groups["spec"]]
    return groups.assign(
        dataset=[
            dataset_label(dataset, bool(made)) for (dataset, _, _), made in zip(texts, groups["synthetic"], strict=True)
        ],
        model=[model for _, model, _ in texts],
        settings=[settings for _, _, settings in texts],
    )


def group_table(groups: pd.DataFrame) -> pd.DataFrame:
    """Described groups as the table on the Compare page; same order, same length."""
    return pd.DataFrame(
        {
            "Scheme": groups["scheme"],
            "Dataset": groups["dataset"],
            "Architecture": groups["model"],
            "Settings": groups["settings"],
            "n": groups["n"],
            "Test": groups["test_mean"].astype(float),
            "Std": groups["test_std"].astype(float),
            "CI": groups["test_ci95"].astype(float),
            "Last": groups["last_mean"].astype(float),
            "Last std": groups["last_std"].astype(float),
            "Best test": groups["max_mean"].astype(float),
            "Validation": groups["val_mean"].astype(float),
            "Memory": groups["memory_density"].astype(float),
            "Arithmetic": groups["arithmetic_density"].astype(float),
            "Arithmetic is": groups["arithmetic_label"],
            "Bits": groups["average_bits"].astype(float),
            "Seconds": groups["seconds_mean"].astype(float),
            "Not ended": groups["unfinished"],
            "Failed": groups["failed"],
        }
    )
