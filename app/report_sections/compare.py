"""The Compare page in a report: its fronts, what is picked side by side, its table of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.charts.pareto import pareto_chart
from app.compare_controls import cost_tables
from app.compare_picked import CURVES, curves_figure, results_side_by_side
from app.compare_table import column_config
from app.comparison.compared import Compared, compare, group_labels
from app.comparison.frames import Frame
from app.comparison.results import load_results
from app.comparison.view import CompareView
from app.connection import ask, known_specs
from app.group_table import group_table, shown_columns, sorted_groups
from app.report import GENERATED, Drawn, Listed, Part, Parts


def build(params: Mapping[str, list[str]]) -> Parts:
    """Fronts, what is picked, the table of groups."""
    view = CompareView.read(params, cost_tables()[0])
    known = known_specs()
    compared = compare(
        load_results(ask, known, view.axes.scope, view.axes.coverage, candidates=view.candidates), known, view
    )
    parts: list[Part] = []
    axes = view.axes
    for facet in compared.facets:
        figure = pareto_chart(facet.groups, axes, picked=view.picked, height=440, band=facet.band)
        parts.append(
            Drawn(facet.title, figure, f"Test metric against {axes.title.replace('<br>', ' ')}, {facet.title}")
        )
    if picked := compared.picked:
        parts += _picked(compared, picked, params)
    parts.append(_table(compared))
    remarks = [text for row in compared.groups if (text := row["caveat"])]
    if any(row["synthetic"] for row in compared.groups):
        remarks.append(GENERATED)
    if axes.other is not None:
        remarks.append(f"{axes.other.definition}.")
    return parts, [*remarks, *([compared.gaps] if compared.gaps else [])]


def _picked(compared: Compared, picked: list[dict[str, Any]], params: Mapping[str, list[str]]) -> list[Part]:
    parts: list[Part] = []
    labels = group_labels(picked)
    if len(picked) > 1:
        parts.append(Listed("Picked groups", results_side_by_side(compared, picked, labels)))
    name = next((each for each in params.get("curves", []) if each in CURVES), next(iter(CURVES)))
    spread = "lowest to highest" if params.get("band") == ["lowest to highest"] else "± std"
    if figure := curves_figure(compared, picked, name, spread, log_y=params.get("logy") == ["true"]):
        parts.append(Drawn(f"{name} of the picked groups", figure, f"{name} by epoch, {', '.join(labels.values())}"))
    return parts


def _table(compared: Compared) -> Listed:
    view = compared.view
    groups = sorted_groups(compared.groups, view.sort, descending=view.descending)
    fields = [name for name in view.by if "." in name]
    shown = (
        [*shown_columns(groups, view.columns, other=view.axes.other is not None, by=view.by), *fields] if groups else []
    )
    configs = column_config(compared)
    titles = {name: configs.get(name, {}).get("label") or name for name in shown}
    formats = {titles[name]: str(configs.get(name, {}).get("type_config", {}).get("format")) for name in shown}
    table: Frame = group_table(groups, *fields)[shown]
    return Listed(
        "Groups of runs",
        table.rename(columns=titles),
        {title: format for title, format in formats.items() if format.startswith("%")},
    )
