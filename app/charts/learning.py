"""Learning curves: loss or metric by epoch, one line a run and split, one legend entry a scheme and split."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go
import pyarrow as pa

from app.charts.layout import axis, chart_layout, note_at, plain, traces_of
from app.theme import scheme_shades

Quantity = Literal["loss", "metric"]

SPLITS: Mapping[str, str] = {"train": "Train", "val": "Validation", "test": "Test"}
"""The splits by the prefix of their columns, with their names."""

DASHES: Mapping[str, str] = {"train": "dot", "val": "solid", "test": "dash"}

LOG_AXES: Mapping[str, str] = {"loss": "Loss", "metric": "Metric", "epochs": "Epochs"}
"""Axes that may be logarithmic, by what they show, with their names (which the link has)."""


def scales(quantity: Quantity, log: Collection[str]) -> frozenset[str]:
    """The axes of a quantity's chart that are logarithmic where these of ``LOG_AXES`` are: "x", "y"."""
    return frozenset(name for name, key in (("x", "epochs"), ("y", quantity)) if key in log)


@dataclass(frozen=True)
class Curve:
    """A run on the chart: its id, its name in the legend, what colours it, and how far it will go."""

    run: str
    label: str
    scheme: str
    total_epochs: int
    best_epoch: int | None = None
    """Epoch of best validation, marked where the run has ended."""


def learning_chart(
    epochs: Mapping[str, pa.Table],
    curves: Sequence[Curve],
    quantity: Quantity,
    *,
    splits: Sequence[str] = tuple(SPLITS),
    name: str = "loss",
    unit: str = "",
    height: int = 320,
    log: Collection[str] = (),
) -> go.Figure:
    """Curves of each run's ``epochs`` rows (epoch, {split}_loss, {split}_metric), by run id.

    ``name`` and ``unit`` title the y axis; ``log``: the axes, "x" and "y", that are logarithmic. The zoom is kept while
    points arrive. A curve's ``meta`` names its run, its split, and as run id and column the points that it shows
    (app/live_points.py sends these alone).
    """
    figure = go.Figure()
    entries: set[str] = set()
    shades = scheme_shades(curve.scheme for curve in curves)
    for curve in curves:
        rows = epochs.get(curve.run)
        if rows is None:
            continue
        for split in splits:
            values = rows[f"{split}_{quantity}"]
            if values.null_count == len(values):
                continue
            entry = SPLITS[split] if len(curves) == 1 else plain(curve.scheme)
            if len(curves) > 1 and len(splits) > 1:
                entry += f", {SPLITS[split].lower()}"
            figure.add_scatter(
                x=rows["epoch"].to_numpy(),
                y=values.to_numpy(),
                mode="lines+markers" if rows.num_rows == 1 else "lines",
                name=entry,
                legendgroup=entry,
                showlegend=entry not in entries,
                line={"color": shades[curve.scheme], "width": 2 if split == "val" else 1.5, "dash": DASHES[split]},
                opacity=1.0 if len(curves) < 6 else 0.75,
                meta=[plain(curve.label), SPLITS[split], curve.run, f"{split}_{quantity}"],
                hovertemplate="%{meta[0]} · %{meta[1]}<br>epoch %{x}: %{y:.4g}<extra></extra>",
            )
            entries.add(entry)
    scale = "log" if "x" in log else "linear"
    if len(curves) == 1 and curves[0].best_epoch and entries:
        figure.add_vline(x=curves[0].best_epoch, line={"width": 1, "dash": "dot", "color": "rgba(128,140,150,0.8)"})
        figure.add_annotation(
            x=note_at(curves[0].best_epoch, scale),
            y=1,
            yref="paper",
            text="best validation",
            showarrow=False,
            xanchor="right" if curves[0].best_epoch > curves[0].total_epochs / 2 else "left",
            font={"size": 11},
            xshift=-4 if curves[0].best_epoch > curves[0].total_epochs / 2 else 4,
        )
    if len(curves) == 1 and (prepared := _prepared(epochs.get(curves[0].run))):
        first = 1 if "x" in log else 0
        figure.add_vrect(x0=first, x1=prepared, line_width=0, fillcolor="rgba(128,140,150,0.14)")
        figure.add_annotation(
            x=note_at(first, scale),
            y=0,
            yref="paper",
            text="prepares",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"size": 11},
        )
    last = max((curve.total_epochs for curve in curves), default=1)
    revision = f"{quantity}:{''.join(sorted(log))}:" + ",".join(sorted(curve.run for curve in curves))
    epoch_axis = axis("Epoch", range=[0, max(last, 1)], rangemode="tozero")
    if "x" in log:
        epoch_axis = axis("Epoch", type="log", range=[0, math.log10(max(last, 2))])
    figure.update_layout(
        **chart_layout(height=height, revision=revision),
        showlegend=len(entries) <= 16,
        xaxis=epoch_axis,
        yaxis=axis(f"{name} ({unit})" if unit else name, type="log" if "y" in log else "linear"),
    )
    return figure


def with_smoothing(figure: go.Figure, weight: float) -> go.Figure:
    """A learning chart smoothed as the live page smooths its own (app/assets/live_chart.js): an exponential moving
    average without the bias of its beginning, what was measured pale behind it. Bits stay as they are."""
    if not weight:
        return figure
    smooth: dict[tuple[str, str], dict[Any, float | None]] = {}
    found = []
    for trace in traces_of(figure):
        meta: Any = trace.meta or ()
        if len(meta) < 4 or trace.yaxis == "y2":
            found.append(trace)
        elif len(meta) == 4:
            pale = type(trace)(trace).update(opacity=0.22, showlegend=False, hoverinfo="skip", hovertemplate=None)
            values = smoothed(trace.y, weight)
            smooth[meta[2], meta[3]] = dict(zip(trace.x, values, strict=True))
            found += [pale, type(trace)(trace).update(y=values)]
        else:  # marks that stand on a curve
            at = smooth.get((meta[2], meta[3]), {})
            found.append(type(trace)(trace).update(y=[at.get(epoch) for epoch in trace.x]))
    return go.Figure(found, figure.layout)


def smoothed(values: Iterable[float | None], weight: float) -> list[float | None]:
    """s_t = w s_(t-1) + (1 - w) y_t, given as s_t / (1 - w^t); what was not measured stays so."""
    mean = share = 0.0
    found: list[float | None] = []
    for value in values:
        if value is None or math.isnan(value):
            found.append(None)
            continue
        mean, share = weight * mean + (1 - weight) * value, weight * share + (1 - weight)
        found.append(mean / share)
    return found


def _prepared(rows: pa.Table | None) -> int:
    """The last epoch of phases that only prepare, whose epochs are never selected; 0 where there is none."""
    if rows is None:
        return 0
    return max((row["epoch"] for row in rows.select(["epoch", "counts"]).to_pylist() if not row["counts"]), default=0)
