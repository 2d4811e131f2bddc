"""The Search page in a report: the winner with its confirmation, the charts, the trials."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from app.phrases import sentence_case
from app.report import GENERATED, Drawn, Listed, Part, Parts, Said, Written
from app.search_rows import progress_text, spent_text, winner_figures
from app.searched import Searched, beside_text, charts_of, confirmation, newest_search, others_like, read_searched


def build(params: Mapping[str, list[str]]) -> Parts:
    """The search of the link, else the newest one."""
    search = next(iter(params.get("search", [])), "") or newest_search()
    found = read_searched(search) if search else None
    if found is None:
        return [], ["The search of this view is not there any more." if search else "There is no search yet."]
    row, others = found.row, others_like(found)
    parts: list[Part] = [Said(_state_text(found))]
    if figures := winner_figures(row):
        parts.append(Written("Winner", found.result["scheme"]))
        rows = [(each.title, each.text, each.beneath or each.about or "") for each in figures]
        parts.append(Listed("The winner's figures", pd.DataFrame(rows, columns=["Figure", "Value", ""])))
        parts.append(Said(f"{spent_text(row)}."))
    confirmed = confirmation(found)
    parts += [] if confirmed is None else [Listed("Confirmation, seed by seed", confirmed, {})]
    for chart in charts_of(found, others).values():
        title = f"{chart.title} {chart.about}"
        parts.append(Said(chart.instead) if chart.figure is None else Drawn(title, chart.figure, chart.alt))
    if len(found.trials):
        parts.append(Listed("Trials", found.table.drop(columns=["Reason", "Run", "synthetic"])))
    remarks = [text for text in (beside_text(found, others),) if text]
    return parts, [*remarks, *([GENERATED] if found.synthetic else [])]


def _state_text(found: Searched) -> str:
    row = found.row
    title = f"{row['name']} on {row['dataset']}, {row['model']}: {row['state']}"
    if not found.is_over:
        return f"{title}. {progress_text(row, found.trials)}."
    return f"{title}. {sentence_case(row['reason'])}." if row["reason"] else f"{title}."
