"""The Runs page in a report: the learning curves of the chosen runs."""

from __future__ import annotations

from collections.abc import Mapping

from app.connection import ask_rows
from app.report import GENERATED, Drawn, Parts
from app.run_curves import MOST_CURVES, Drawing, curve_figures
from app.run_table import run_label


def build(params: Mapping[str, list[str]]) -> Parts:
    """The curves as the link draws them."""
    chosen = [run for text in params.get("run", []) for run in text.split(",") if run][:MOST_CURVES]
    rows = ask_rows("runs", runs=chosen, limit=len(chosen)) if chosen else []
    if not rows:
        return [], ["No run is chosen in this view, or none of them is left."]
    rows.sort(key=lambda row: chosen.index(row["run"]))
    about = ", ".join(map(run_label, rows[:4]))
    drawn = curve_figures(rows, Drawing.read(params, several=len(chosen) > 1))
    remarks = [text for row in rows if (text := row["caveat"])]
    return (
        [Drawn(title, figure, f"{title} by epoch: {about}") for title, figure in drawn.items()],
        [*remarks, *([GENERATED] if any(row["synthetic"] for row in rows) else [])],
    )
