"""Saved views as sections of a report: what each page shows under a link, drawn again from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from app.charts.learning import LOG_AXES, Curve, learning_chart, scales
from app.charts.pareto import pareto_chart
from app.charts.precision import with_bits, with_switches
from app.compare_controls import cost_tables
from app.compare_picked import CURVES, curves_figure, results_side_by_side
from app.compare_table import column_config
from app.comparison.compared import Compared, compare, group_labels
from app.comparison.frames import Frame
from app.comparison.results import load_results
from app.comparison.view import CompareView
from app.connection import ask, ask_rows, known_specs
from app.curves import EpochBuffer, read_epochs
from app.group_table import group_table, shown_columns, sorted_groups
from app.phrases import sentence_case
from app.report import Drawn, Listed, Section
from app.run_table import run_label, run_names
from app.share import parameters_of

Parts = tuple[list[Drawn | Listed], list[str]]
"""What a section shows, and what must be said of it."""

GENERATED = "Data marked synthetic is generated, not measured."
MOST_RUNS = 40


def section_of(row: Mapping[str, Any], link: str) -> Section:
    """The section of a saved view (a row of ``views``), as the store has its runs now. Raises StoreUnavailable."""
    build = _BUILDERS.get(row["page"])
    parts, remarks = build(parameters_of(row["query"])) if build else ([], ["This page has nothing to print: open it."])
    return Section(row["title"], row["note"] or "", link, parts, remarks)


def _compare(params: Mapping[str, list[str]]) -> Parts:
    view = CompareView.read(params, cost_tables()[0])
    known = known_specs()
    compared = compare(
        load_results(ask, known, view.axes.scope, view.axes.coverage, candidates=view.candidates), known, view
    )
    parts: list[Drawn | Listed] = []
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


def _picked(compared: Compared, picked: list[dict[str, Any]], params: Mapping[str, list[str]]) -> list[Drawn | Listed]:
    parts: list[Drawn | Listed] = []
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


def _runs(params: Mapping[str, list[str]]) -> Parts:
    chosen = [run for text in params.get("run", []) for run in text.split(",") if run][:MOST_RUNS]
    rows = ask_rows("runs", runs=chosen, limit=len(chosen)) if chosen else []
    if not rows:
        return [], ["No run is chosen in this view, or none of them is left."]
    epochs = EpochBuffer().update(rows, read_epochs(ask))
    names = run_names(rows)
    curves = [Curve(row["run"], names[row["run"]], row["scheme"], row["total_epochs"] or 1) for row in rows]
    splits = params.get("splits") or params.get("split") or (["val"] if len(rows) > 1 else ["train", "val", "test"])
    words = {"Train": "train", "Validation": "val", "Test": "test"}
    splits = [words.get(split, split) for split in splits]
    metrics = {(row["metric"], row["unit"]) for row in rows}
    metric, unit = next(iter(metrics)) if len(metrics) == 1 else ("metric", "")
    about = ", ".join(map(run_label, rows[:4]))

    def drawn(figure: go.Figure, title: str) -> Drawn:
        return Drawn(title, figure, f"{title} by epoch: {about}")

    log = {key for key, name in LOG_AXES.items() if name in params.get("log_axes", [])}
    loss = learning_chart(epochs, curves, "loss", splits=splits, name="Loss", log=scales("loss", log))
    beside = learning_chart(
        epochs, curves, "metric", splits=splits, name=sentence_case(metric), unit=unit or "", log=scales("metric", log)
    )
    switches = ask_rows("switches", runs=chosen)
    with_switches(with_bits(loss, epochs, curves, switches), epochs, curves, switches)
    parts: list[Drawn | Listed] = [
        drawn(loss, "Loss"),
        drawn(with_switches(beside, epochs, curves, switches), sentence_case(metric)),
    ]
    remarks = [text for row in rows if (text := row["caveat"])]
    return parts, [*remarks, *([GENERATED] if any(row["synthetic"] for row in rows) else [])]


_BUILDERS: Mapping[str, Callable[[Mapping[str, list[str]]], Parts]] = {"compare": _compare, "runs": _runs}
"""By page; a page without one is named with its link only."""
