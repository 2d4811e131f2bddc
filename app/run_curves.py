"""Learning curves of chosen runs, as the link says: for the live page, for pictures of it, for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from app.charts.learning import LOG_AXES, SPLITS, Curve, learning_chart, scales, with_smoothing
from app.charts.precision import with_bits, with_switches
from app.connection import ask, ask_rows
from app.curves import EpochBuffer, read_epochs
from app.phrases import sentence_case
from app.run_table import run_names
from app.schedules import Replayed

Row = Mapping[str, Any]  # a run as the store's query `runs` gives it

MOST_CURVES = 40
"""Runs that are drawn together."""
MOST_SMOOTH = 0.98


@dataclass(frozen=True)
class Drawing:
    """How the curves are drawn, all of it from the link."""

    splits: tuple[str, ...]
    log: frozenset[str]
    smoothing: float
    """Weight of the past in an exponential moving average, 0: none."""

    @classmethod
    def read(cls, link: Mapping[str, Sequence[str]], *, several: bool) -> Drawing:
        """What a link's parameters say; the widgets' defaults where they say nothing that is allowed."""

        def picked(key: str, known: Mapping[str, str]) -> list[str]:
            said = link.get(key, [])
            return [name for name, label in known.items() if name in said or label in said]

        splits = picked("splits" if several else "split", SPLITS) or (["val"] if several else list(SPLITS))
        try:
            smoothing = float(next(iter(link.get("smooth", [])), 0.0))
        except ValueError:
            smoothing = 0.0
        kept = smoothing if 0 <= smoothing <= MOST_SMOOTH else 0.0
        return cls(tuple(splits), frozenset(picked("log_axes", LOG_AXES)), kept)


def curve_figures(runs: Sequence[Row], drawing: Drawing) -> dict[str, go.Figure]:
    """The charts of these ``runs``, in their order, by title; nothing before the first epoch."""
    epochs = EpochBuffer().update(runs, read_epochs(ask))
    if not epochs:
        return {}
    names, ids = run_names(runs), [row["run"] for row in runs]
    curves = [curve_of(row, names[row["run"]]) for row in runs]
    formats = ask_rows("precision", runs=ids) if len(runs) == 1 else []
    metric, unit = metric_of(runs)
    drawn = figures_of(epochs, curves, drawing, ask_rows("switches", runs=ids), formats, None, metric, unit)
    smooth = [with_smoothing(figure, drawing.smoothing) for figure in drawn]
    return dict(zip(("Loss", sentence_case(metric)), smooth, strict=True))


def figures_of(
    epochs: Mapping[str, pa.Table],
    curves: Sequence[Curve],
    drawing: Drawing,
    switches: Sequence[Row],
    formats: Sequence[Row],
    replayed: Replayed | None,
    metric: str,
    unit: str,
) -> list[go.Figure]:
    """The charts of loss and metric with bits and switches; ``replayed``: another schedule, drawn into the first."""
    splits = drawing.splits
    loss = learning_chart(epochs, curves, "loss", splits=splits, name="Loss", log=scales("loss", drawing.log))
    with_switches(with_bits(loss, epochs, curves, switches, formats, replayed), epochs, curves, switches)
    beside = learning_chart(
        epochs,
        curves,
        "metric",
        splits=splits,
        name=sentence_case(metric),
        unit=unit,
        log=scales("metric", drawing.log),
    )
    layout: Any = loss.layout
    beside.update_layout(height=layout.height, margin=layout.margin)  # so that the epochs align
    return [loss, with_switches(beside, epochs, curves, switches)]


def metric_of(runs: Sequence[Row]) -> tuple[str, str]:
    """The metric that these runs share, and its unit."""
    found = list(dict.fromkeys((row["metric"], row["unit"] or "") for row in runs if row["metric"]))
    return found[0] if len(found) == 1 else ("metric", "")


def curve_of(row: Row, name: str) -> Curve:
    """A run's curve under this name."""
    return Curve(
        run=row["run"],
        label=name,
        scheme=row["scheme"],
        total_epochs=row["total_epochs"] or 1,
        best_epoch=row["best_epoch"] if row["state"] == "finished" else None,
    )
