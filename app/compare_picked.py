"""The groups picked on Compare: one in full, several side by side, their curves with bands over seeds and folds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.charts.bands import GroupCurve, Spread, band_chart
from app.charts.layout import CONFIG
from app.clone import clone_parameters
from app.comparison.compared import Compared, Group, group_labels, paired_difference
from app.comparison.differences import spec_differences
from app.comparison.results import KnownSpecs
from app.connection import ask_frame, ask_rows
from app.digits import number
from app.phrases import count, duration, literal, mean_std, megabytes
from app.run_details import NEVER, density_table
from engine.errors import InputError
from engine.spec import RunSpec

MOST_LINKED = 40
CURVES = {
    "Validation loss": "val_loss",
    "Validation metric": "val_metric",
    "Training loss": "train_loss",
    "Test metric": "test_metric",
    "Average bits": "average_bits",
}


def show_picked(compared: Compared, known: KnownSpecs, on_close: Callable[[], None]) -> dict[str, go.Figure]:
    """Draw what is picked, if anything is; gives the curves by their title."""
    picked = compared.picked
    if not picked:
        return {}
    with st.container(border=True):
        if len(picked) == 1:
            _show_one(compared, known, picked[0])
        else:
            _show_several(compared, known, picked)
        _links(compared, known, picked, on_close)
        return _show_curves(compared, picked)


def _links(compared: Compared, known: KnownSpecs, picked: list[Group], on_close: Callable[[], None]) -> None:
    runs = [run for row in picked for run in compared.members(row["group_id"])["run"]]
    with st.container(horizontal=True, vertical_alignment="center"):
        if runs:
            st.page_link(
                "views/runs.py",
                label=f"Open {count(len(runs), 'run')} with curves",
                icon=":material/monitoring:",
                query_params={"run": ",".join(runs[:MOST_LINKED])},
            )
        for row in picked if len(picked) == 1 else []:
            members = compared.members(row["group_id"])
            if len(members):
                spec = json.loads(known.specs[members["group_id"].iloc[0]])
                seeds = sorted(int(seed) for seed in members["seed"].unique())
                st.page_link(
                    "views/launch.py",
                    label="Clone this group",
                    icon=":material/content_copy:",
                    query_params=clone_parameters(spec, seeds, members["run"].iloc[0]),
                )
        st.button("Close", icon=":material/close:", type="tertiary", on_click=on_close)


def _show_one(compared: Compared, known: KnownSpecs, group: Group) -> None:
    """A group: its numbers, its densities, its configuration."""
    unit = group["unit"] or ""

    def spread(selection: str) -> str:
        return f"{mean_std(group[f'{selection}_mean'], group[f'{selection}_std'], unit)} {unit}".rstrip()

    title = f"{group['scheme']} on {group['dataset']}, {group['model']}"
    st.subheader(f"{literal(title)} :gray-badge[{count(group['n'], 'seed')}]")
    if group["settings"]:
        st.caption(literal(group["settings"]))
    with st.grid(4, min_column_width=230):
        st.metric("Test at best validation", spread("test"), border=True)
        st.metric("Test at last epoch", spread("last"), border=True)
        st.metric("Best test (never the headline)", spread("max"), border=True, help=NEVER)
        st.metric("Best validation", spread("val"), border=True)
    if said := difference_text(group, compared.view.against):
        st.caption(literal(said))
    members = compared.members(group["group_id"])
    left, right = st.columns([3, 2], gap="large")
    with left:
        if len(members):
            st.markdown("**Densities relative to fp32**, the headline first")
            density_table(ask_frame("densities", run=members["run"].iloc[0]))
        st.caption(
            f"{duration(group['seconds_mean'])} a run · peak memory {megabytes(group['peak_memory_mean'])}"
            + (f" · {int(group['parameters']):,} parameters" if group["parameters"] else "")
        )
    with right:
        groups = list(compared.runs.loc[compared.runs["group"] == group["group_id"], "group_id"].unique())
        st.markdown("**Configuration**, the seed aside")
        if len(groups) > 1:
            st.caption(f"One of {len(groups)} configurations in this group.")
        _configuration(known.specs[groups[0]])


def difference_text(group: Group, against: str) -> str:
    """ "Difference to fp32: -0.50 ± 0.30 (95 %), p = 0.01, 10 pairs"; empty where there is none."""
    if group["difference"] is None:
        return ""
    unit = group["unit"]
    text = f"Difference to {against}: {number(group['difference'], unit, '+')}"
    if group["difference_ci95"] is not None:
        text += f" ± {number(group['difference_ci95'], unit)} (95 %)"
    if group["p"] is not None:
        text += f", p = {group['p']:.2g}"
    return f"{text}, {count(group['pairs'], 'pair')} of one seed and fold."


def _configuration(spec: str) -> None:
    try:
        lines = RunSpec.parse(json.loads(spec)).to_toml().splitlines()
        st.code("\n".join(line for line in lines if not line.startswith("seed =")), language="toml", height=260)
    except InputError:
        st.code(spec, language="json", height=260)


def _show_several(compared: Compared, known: KnownSpecs, picked: list[Group]) -> None:
    """Groups side by side: results, and where their configurations differ."""
    labels = group_labels(picked)
    st.subheader(literal(" and ".join(labels.values()) if len(picked) == 2 else count(len(picked), "picked group")))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Results**")
        st.dataframe(
            results_side_by_side(compared, picked, labels),
            hide_index=True,
            height="content",
            alt="Results side by side",
        )
        if len(picked) == 2:
            st.caption(literal(pair_text(compared, picked, labels)))
    with right:
        st.markdown("**Where the configurations differ**")
        first = compared.runs.drop_duplicates("group").set_index("group")["group_id"]
        rows = spec_differences({labels[row["group_id"]]: known.specs[first[row["group_id"]]] for row in picked})
        if rows:
            st.dataframe(rows, hide_index=True, height="content", alt="Fields in which the configurations differ")
        else:
            st.caption("They do not: the groups differ in something else than their configuration.")


def results_side_by_side(compared: Compared, picked: list[Group], labels: dict[str, str]) -> pd.DataFrame:
    """Quantities as rows, groups as columns, as text; for two groups their difference too (first less second)."""
    axes = compared.view.axes
    held = f"{axes.scope}, {axes.coverage}"
    spreads = {
        "Test at best validation": "test",
        "Test at last epoch": "last",
        "Best test, never the headline": "max",
        "Best validation": "val",
    }
    plain = {
        f"Memory density ({held})": ("memory_density", "{:.2f}×"),
        f"Arithmetic density ({held})": ("arithmetic_density", "{:.2f}×"),
        f"Average bits ({held})": ("average_bits", "{:.2f}"),
        "Seconds a run": ("seconds_mean", "{:.1f}"),
        "Peak memory of a run (10⁶ bytes)": ("peak_memory_mean", "{:,.1f}"),
        "Parameters": ("parameters", "{:,.0f}"),
    }
    if axes.other is not None:
        plain[axes.title.replace("<br>", ", ")] = ("other", "{:,.4g}")

    def row(title: str, texts: list[str], difference: str) -> dict[str, str]:
        found = {"Quantity": title, **dict(zip(labels.values(), texts, strict=True))}
        return found | ({"Difference": difference} if len(picked) == 2 else {})

    rows = [row("n", [str(each["n"]) for each in picked], "")]
    for title, name in spreads.items():
        texts = [mean_std(each[f"{name}_mean"], each[f"{name}_std"], each["unit"]) for each in picked]
        rows.append(row(title, texts, _less([each[f"{name}_mean"] for each in picked], picked[0]["unit"])))
    for title, (name, format) in plain.items():
        values = [each.get(name) for each in picked]
        values = [value / 1e6 if value is not None and name == "peak_memory_mean" else value for value in values]
        texts = ["–" if value is None else format.format(value) for value in values]
        rows.append(row(title, texts, _ratio(values)))
    return pd.DataFrame(rows)


def _less(values: list[float | None], unit: str | None) -> str:
    first, second = values[0], values[1]
    return "" if first is None or second is None else number(first - second, unit, "+")


def _ratio(values: list[Any]) -> str:
    return f"{values[0] / values[1]:.2f}×" if values[0] is not None and values[1] else ""


def pair_text(compared: Compared, picked: list[Group], labels: dict[str, str]) -> str:
    """The paired difference of two groups in words, or why there is none."""
    first, second = (row["group_id"] for row in picked)
    found = paired_difference(compared, first, second)
    if not found["n"]:
        return "They have no seed and fold in common that one run of each has, so no difference is paired."
    unit = picked[0]["unit"]
    text = f"{labels[first]} less {labels[second]}, paired by seed and fold: {number(found['mean'], unit, '+')}"
    if pd.notna(found["ci95"]):
        text += f" ± {number(found['ci95'], unit)} (95 %)"
    if pd.notna(found["p"]):
        text += f", p = {found['p']:.2g} (paired t test)"
    return f"{text}, n = {found['n']}."


def _show_curves(compared: Compared, picked: list[Group]) -> dict[str, go.Figure]:
    """Curves of the picked groups; each whose runs have any."""
    spreads = list(get_args(Spread))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.segmented_control(
            "Curves", list(CURVES), default=next(iter(CURVES)), required=True, key="curves", bind="query-params"
        )
        spread = st.segmented_control(
            "Band", spreads, default=spreads[0], required=True, key="band", bind="query-params"
        )
        log = st.toggle("Log values", key="logy", bind="query-params")
    if figure := curves_figure(compared, picked, str(name), spread or spreads[0], log_y=log):
        about = ", ".join(group_labels(picked).values())
        st.plotly_chart(figure, key="bands", config=CONFIG, alt=f"{name} by epoch with bands over seeds: {about}")
        return {f"{name} of the picked groups": figure}
    st.caption("The finished runs of these groups have no such curve.")
    return {}


def curves_figure(
    compared: Compared, picked: list[Group], name: str, spread: Spread, *, log_y: bool
) -> go.Figure | None:
    """The bands of the picked groups; None where there is nothing to draw."""
    members = [f"{row['group_id']}:{run}" for row in picked for run in compared.members(row["group_id"])["run"]]
    if not members:
        return None
    labels = group_labels(picked)
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in ask_rows("group_curves", members=members, quantity=CURVES.get(name, "val_loss")):
        rows.setdefault(row["group_id"], []).append(row)
    curves = [
        GroupCurve(labels[row["group_id"]], row["scheme"], rows[row["group_id"]])
        for row in picked
        if row["group_id"] in rows
    ]
    return band_chart(curves, title=name, spread=spread, log_y=log_y) if curves else None
