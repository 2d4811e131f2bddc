"""Learning curves of groups: the mean over seeds and folds as a line, their spread as a band around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from app.charts.layout import axis, chart_layout, plain
from app.theme import faded, scheme_shades

Spread = Literal["± std", "lowest to highest"]
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True)
class GroupCurve:
    """A group on the chart: its name in the legend, the scheme that colours it, its rows of ``group_curves``."""

    label: str
    scheme: str
    rows: Sequence[Mapping[str, Any]]


def band_chart(
    curves: Sequence[GroupCurve], *, title: str, spread: Spread = "± std", log_y: bool = False, height: int = 360
) -> go.Figure:
    """One line and one band a group: columns epoch, n, mean, std, low, high, in the order of the epochs.

    Groups of one scheme differ by their dashes. A band has no width where one run only has got so far.
    """
    figure = go.Figure()
    shades = scheme_shades(curve.scheme for curve in curves)
    seen: dict[str, int] = {}
    for curve in curves:
        color, dash = shades[curve.scheme], DASHES[seen.get(curve.scheme, 0) % len(DASHES)]
        seen[curve.scheme] = seen.get(curve.scheme, 0) + 1
        epochs = [row["epoch"] for row in curve.rows]
        low, high = zip(*(_ends(row, spread) for row in curve.rows), strict=True) if curve.rows else ((), ())
        name = plain(curve.label)
        figure.add_scatter(
            x=[*epochs, *reversed(epochs)],
            y=[*high, *reversed(low)],
            mode="none",
            fill="toself",
            fillcolor=faded(color, 0.2),
            hoverinfo="skip",
            legendgroup=name,
            showlegend=False,
            name=f"{name}, {spread}",
        )
        figure.add_scatter(
            x=epochs,
            y=[row["mean"] for row in curve.rows],
            mode="lines" if len(epochs) > 1 else "markers",
            line={"color": color, "width": 2, "dash": dash},
            name=name,
            legendgroup=name,
            customdata=[[row["n"], low, high] for row, low, high in zip(curve.rows, low, high, strict=True)],
            hovertemplate="epoch %{x}: %{y:.4g}<br>%{customdata[1]:.4g} to %{customdata[2]:.4g}, "
            f"n = %{{customdata[0]}}<extra>{name}</extra>",
        )
    figure.update_layout(
        **chart_layout(height=height, revision=title),
        xaxis=axis("Epoch", rangemode="tozero"),
        yaxis=axis(f"{title}, mean and {spread}", type="log" if log_y else "linear"),
    )
    return figure


def _ends(row: Mapping[str, Any], spread: Spread) -> tuple[float, float]:
    if spread == "± std":
        std = row["std"] or 0.0
        return row["mean"] - std, row["mean"] + std
    return row["low"], row["high"]
