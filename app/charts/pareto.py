"""The accuracy-versus-density chart: seed groups with error bars, the front drawn, the dominated pale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.dominance import pareto_front
from app.charts.layout import axis, chart_layout, plain
from app.theme import ACCENT, faded, family_style, scheme_family

PALE = 0.32
"""Opacity of dominated points."""

MOST_LABELS = 40
"""Beyond this many points only the front's are labelled."""

DENSITY_TITLES = {"memory_density": "Memory density", "arithmetic_density": "Arithmetic density"}


@dataclass(frozen=True)
class Axes:
    """What the chart shows: which density, for which scope and coverage (a chart holds one of each)."""

    density: Literal["memory_density", "arithmetic_density"] = "memory_density"
    scope: str = "training"
    coverage: str = "quantized part"
    log_x: bool = False

    @property
    def title(self) -> str:
        return f"{DENSITY_TITLES[self.density]} relative to fp32 (×), {self.scope}, {self.coverage}"


def pareto_chart(groups: pd.DataFrame, axes: Axes, *, picked: str | None = None, height: int = 460) -> go.Figure:
    """The chart of one dataset's seed groups: the store's ``groups`` rows for ``axes``' scope and coverage.

    Columns used: group_id, model, scheme, settings, n, test_mean, test_std, last_mean, val_mean, average_bits, the
    densities, arithmetic_label, metric, unit, higher_is_better. Each point's customdata[0] is its group_id.
    """
    shown = groups.dropna(subset=["test_mean", axes.density])
    metric = str(shown["metric"].iloc[0]) if len(shown) else "accuracy"
    unit = str(shown["unit"].iloc[0]) if len(shown) else "%"
    higher = bool(shown["higher_is_better"].iloc[0]) if len(shown) else True
    shown = shown.assign(
        front=pareto_front(shown[axes.density], shown["test_mean"], higher_y=higher),
        family=[scheme_family(scheme) for scheme in shown["scheme"]],
    )
    figure = go.Figure()
    _add_front(figure, shown[shown["front"]], axes, higher)
    several_models = shown["model"].nunique() > 1
    for family, members in shown.groupby("family", sort=True):
        for on_front, points in members.groupby("front", sort=True):
            _add_points(
                figure,
                points,
                axes,
                family=str(family),
                on_front=bool(on_front),
                labelled=bool(on_front) or len(shown) <= MOST_LABELS,
                several_models=several_models,
                picked=picked,
                unit=unit,
                legend=bool(on_front) or not members["front"].any(),
            )
    figure.update_layout(
        **chart_layout(height=height, revision=f"{axes}"),
        clickmode="event+select",
        dragmode="zoom",
        xaxis=axis(axes.title, type="log" if axes.log_x else "linear", **_ticks(shown[axes.density], axes.log_x)),
        yaxis=axis(f"Test {metric} ({unit}), mean ± std over seeds"),
    )
    return figure


def _add_front(figure: go.Figure, front: pd.DataFrame, axes: Axes, higher: bool) -> None:
    steps = front[[axes.density, "test_mean"]].drop_duplicates().sort_values(axes.density)
    figure.add_scatter(
        x=steps[axes.density],
        y=steps["test_mean"],
        mode="lines",
        line={"shape": "vh", "color": ACCENT, "width": 1.5},
        name="front",
        hoverinfo="skip",
    )


def _add_points(
    figure: go.Figure,
    points: pd.DataFrame,
    axes: Axes,
    *,
    family: str,
    on_front: bool,
    labelled: bool,
    several_models: bool,
    picked: str | None,
    unit: str,
    legend: bool,
) -> None:
    style = family_style(family)
    color = style.color if on_front else faded(style.color, PALE)
    names = [
        plain(f"{row.scheme} · {row.model}" if several_models else row.scheme) for row in points.itertuples(index=False)
    ]
    figure.add_scatter(
        x=points[axes.density],
        y=points["test_mean"],
        mode="markers+text" if labelled else "markers",
        text=names,
        textposition="top center" if on_front else "bottom center",
        textfont={"size": 12 if on_front else 11, "color": None if on_front else "rgba(128,140,150,0.9)"},
        name=family,
        legendgroup=family,
        showlegend=legend,
        marker={
            "color": color,
            "symbol": style.symbol,
            "size": [15 if group == picked else 11 for group in points["group_id"]],
            "line": {"width": [2 if group == picked else 0 for group in points["group_id"]], "color": ACCENT},
        },
        error_y={"type": "data", "array": points["test_std"].fillna(0), "color": color, "thickness": 1.5, "width": 5},
        customdata=[_details(row, axes, unit) for row in points.to_dict("records")],
        hovertemplate="%{customdata[1]}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        cliponaxis=False,
    )


def _details(row: dict, axes: Axes, unit: str) -> list[str]:
    """customdata of a point: its group, and what its hover says."""
    spread = f" ± {row['test_std']:.2f}" if pd.notna(row["test_std"]) else ""
    label = row["arithmetic_label"] or ""
    label = f" ({label})" if label not in ("", "published") else ""
    lines = [
        f"<b>{plain(row['scheme'])}</b> · {plain(row['model'])} · {plain(row['dataset'])}",
        f"test at best validation {row['test_mean']:.2f}{spread} {unit}, n = {int(row['n'])}",
        f"test at last epoch {row['last_mean']:.2f} {unit} · validation {row['val_mean']:.2f} {unit}",
        f"memory {row['memory_density']:.2f}× · arithmetic {row['arithmetic_density']:.2f}×{label}",
        f"average bits {row['average_bits']:.2f} · {axes.scope}, {axes.coverage}",
    ]
    if row.get("settings"):
        lines.append(plain(row["settings"]))
    if row.get("synthetic"):
        lines.append("synthetic data")
    return [str(row["group_id"]), "<br>".join(lines)]


def _ticks(values: pd.Series, log: bool) -> dict:
    """Ticks in plain numbers; a logarithmic axis shows 1, 2, 5, 10 …"""
    if not log or not len(values):
        return {"rangemode": "normal"}
    low, high = float(values.min()), float(values.max())
    ticks = [base * 10**power for power in range(-2, 4) for base in (1, 2, 3, 5, 7)]
    inside = [tick for tick in ticks if low / 1.5 <= tick <= high * 1.5]
    return {"tickvals": inside, "ticktext": [f"{tick:g}" for tick in inside], "minor": {"showgrid": False}}
