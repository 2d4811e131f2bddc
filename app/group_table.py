"""Groups of runs as a table: columns that say what they hold, the usual ones, their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = {
    "Scheme": "scheme",
    "Family": "family",
    "Dataset": "dataset",
    "Architecture": "model",
    "Settings": "settings",
    "Metric": "metric",
    "n": "n",
    "Test": "test_mean",
    "Std": "test_std",
    "CI": "test_ci95",
    "Difference": "difference",
    "Difference CI": "difference_ci95",
    "p": "p",
    "p, Holm": "p_holm",
    "Pairs": "pairs",
    "Last": "last_mean",
    "Last std": "last_std",
    "Best test": "max_mean",
    "Best test std": "max_std",
    "Other": "other",
    "Memory": "memory_density",
    "Arithmetic": "arithmetic_density",
    "Memory thesis": "memory_density_thesis",
    "Arithmetic thesis": "arithmetic_density_thesis",
    "Peak": "peak_memory_density",
    "Bits": "average_bits",
    "Validation": "val_mean",
    "Validation std": "val_std",
    "Arithmetic is": "arithmetic_label",
    "Seconds": "seconds_mean",
    "Peak memory": "peak_memory_mean",
    "Parameters": "parameters",
    "Seeds": "seeds",
    "Sweep": "sweep",
    "State": "state",
    "Task": "task",
    "Device": "device",
    "Host": "host",
    "Not ended": "unfinished",
    "Failed": "failed",
    "Newest": "newest",
}
"""The table's columns, in order, with their names in ``app.comparison.groups``."""

COLUMN_OF = {"Scheme family": "Family"}
"""The column of a grouping that has another title."""

USUAL = (
    *("Scheme", "Dataset", "Architecture", "Settings", "Metric", "n", "Test", "Std", "CI", "Difference", "p"),
    *("Last", "Best test", "Other", "Memory", "Arithmetic", "Memory thesis", "Arithmetic thesis", "Peak", "Bits"),
    *("Validation", "Arithmetic is", "Seconds", "Not ended", "Failed"),
)
"""The columns that are shown where nobody chose others."""


def group_table(groups: Sequence[Mapping[str, Any]], *more: str) -> pd.DataFrame:
    """Groups as the table on the Compare page; same order, same length. ``more``: further columns of theirs."""
    columns = COLUMNS | {name: name for name in more}
    return pd.DataFrame({title: [row.get(name) for row in groups] for title, name in columns.items()})


def sorted_groups(groups: Sequence[dict[str, Any]], column: str, *, descending: bool) -> list[dict[str, Any]]:
    """The groups by one of COLUMNS, those that lack it last; as they are where there is no such column."""
    name = COLUMNS.get(column)
    if name is None:
        return list(groups)
    known = [row for row in groups if row.get(name) is not None]
    return sorted(known, key=lambda row: row[name], reverse=descending) + [
        row for row in groups if row.get(name) is None
    ]


def shown_columns(
    groups: Sequence[Mapping[str, Any]], chosen: Sequence[str], *, other: bool, by: Sequence[str] = ()
) -> list[str]:
    """The columns to show, in the table's order: the chosen, else the usual without those that say nothing here.

    ``by``: what groups are of (``app.comparison.groups.GROUPINGS``), which always has its column.
    """
    keys = {COLUMN_OF.get(name, name) for name in by}
    if wanted := [name for name in COLUMNS if name in chosen]:
        return ["Scheme", *(name for name in wanted if name != "Scheme")]
    needed = {
        "Settings": any(row["settings"] for row in groups),
        "Metric": len({(row["metric"], row["unit"]) for row in groups if row["metric"]}) > 1,
        "Other": other,
        "Difference": any(row["difference"] is not None for row in groups),
        "p": any(row["p"] is not None for row in groups),
    }
    return [name for name in COLUMNS if name in keys or (name in USUAL and needed.get(name, True))]
