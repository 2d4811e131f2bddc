"""The table of groups on the Compare page, with what each column holds."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from app.comparison.compared import Compared
from app.group_table import group_table, shown_columns, sorted_groups
from app.run_details import NEVER

Pick = Callable[[list[str], list[str]], None]
"""(the ids in the table, those picked in it)"""

MOST_ROWS = 1000


def show_table(compared: Compared, on_pick: Pick) -> None:
    """Draw the groups, sorted as the view says; picking rows picks groups."""
    view, axes = compared.view, compared.view.axes
    groups = sorted_groups(compared.groups, view.sort, descending=view.descending)
    rows = groups[:MOST_ROWS]
    shown = [row["group_id"] for row in rows]
    picked = [index for index, group in enumerate(shown) if group in view.picked]
    # Only a new table takes up what is picked; where nothing is, the same one is handed other rows, which is faster.
    key = f"groups-{zlib.crc32(' '.join([*shown, *view.picked]).encode()):x}" if picked else "groups"

    def changed() -> None:
        places = st.session_state[key].selection.rows
        on_pick(shown, [shown[place] for place in places if place < len(shown)])

    fields = [name for name in view.by if "." in name]
    table = group_table(rows, *fields)
    if percent_alone(compared):  # what would be printed as -0.00
        differences = table["Difference"].astype(float)
        table["Difference"] = differences.mask(differences.abs() < 0.005, 0.0)
    st.dataframe(
        table,
        key=key,
        hide_index=True,
        placeholder="",
        on_select=changed,
        selection_mode="multi-row",
        column_order=[*shown_columns(rows, view.columns, other=axes.other is not None, by=view.by), *fields],
        selection_default={"selection": {"rows": picked}},
        alt="Groups of runs with mean and standard deviation, differences and densities",
        column_config=column_config(compared),
    )
    if len(groups) > len(rows):
        st.caption(f"The first {len(rows)} of {len(groups)} groups; the download has all of them.")


def percent_alone(compared: Compared) -> bool:
    """Whether all metrics are in percent, and have two digits."""
    return all(row["unit"] == "%" for row in compared.groups if row["metric"])


def column_config(compared: Compared) -> dict[str, Any]:
    """Titles, units and definitions of the columns of ``app.group_table``."""
    view, axes = compared.view, compared.view.axes
    metrics = list(dict.fromkeys((row["metric"], row["unit"]) for row in compared.groups if row["metric"]))
    metric, unit = metrics[0] if len(metrics) == 1 else ("metric", "")
    unit = f" ({unit})" if unit else ""
    percent = percent_alone(compared)
    digits, signed = ("%.2f", "%+.2f") if percent else ("%.4g", "%+.4g")
    held = f"{axes.scope}, {axes.coverage}"
    number = st.column_config.NumberColumn
    against = view.against
    pairs = (
        "paired by seed and fold with the runs of the same dataset, architecture and, where there are such, settings"
    )
    return {
        "Scheme": st.column_config.TextColumn(pinned=True),
        "Settings": st.column_config.TextColumn(help="What differs from the defaults."),
        "n": number(help="Seeds and folds that finished; the newest run of each counts.", width=40),
        "Test": number(
            f"Test {metric}, best val.{unit}",
            format=digits,
            help="The headline: mean over seeds and folds of the test metric at the epoch of best validation.",
        ),
        "Std": number("± std", format=digits, help="Sample standard deviation over the seeds and folds."),
        "CI": number("± 95 %", format=digits, help="Half width of the 95 % interval of the mean (Student's t)."),
        "Difference": number(
            f"Difference to {against}{unit}",
            format=signed,
            help=f"Mean of the differences to {against} in the chosen metric, {pairs}.",
        ),
        "Difference CI": number(
            "± 95 %, difference", format=digits, help="Half width of the 95 % interval of the mean difference."
        ),
        "p": number(
            f"p against {against}",
            format="%.3g",
            help="Two-sided, of the paired t test over seeds and folds; empty with fewer than two pairs, or without "
            "spread.",
        ),
        "p, Holm": number(
            "p, Holm", format="%.3g", help="The same, for all the groups shown being tested at once (Holm 1979)."
        ),
        "Pairs": number(help=f"Runs with a run of {against} of the same seed and fold."),
        "Last": number(f"Test at last epoch{unit}", format=digits),
        "Last std": number("± std, last", format=digits),
        "Best test": number(f"Best test, never the headline{unit}", format=digits, help=NEVER),
        "Best test std": number("± std, best test", format=digits),
        "Validation": number(f"Best validation{unit}", format=digits),
        "Validation std": number("± std, validation", format=digits),
        "Other": number(axes.title.replace("<br>", ", "), format="compact"),
        "Memory": number(f"Memory density, harmonic mean ({held})", format="%.2f×"),
        "Arithmetic": number(f"Arithmetic density, harmonic mean ({held})", format="%.2f×"),
        "Memory thesis": number(f"Memory density, thesis mean ({held})", format="%.2f×"),
        "Arithmetic thesis": number(f"Arithmetic density, thesis mean ({held})", format="%.2f×"),
        "Peak": number(f"Memory density of the widest epochs ({held})", format="%.2f×"),
        "Bits": number(f"Average bits ({held})", format="%.2f"),
        "Seconds": number("Seconds a run", format="%.1f"),
        "Peak memory": number("Peak memory of a run (bytes)", format="compact"),
        "Newest": st.column_config.DatetimeColumn(format="distance", help="When its newest run was submitted."),
    }
