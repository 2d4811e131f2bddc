"""A search in charts: its front, measured against predicted, error by granularity, saving by what it took."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.charts.dominance import pareto_front
from app.charts.layout import axis, chart_layout, plain
from app.digits import digits
from app.search_rows import Candidate, Told
from app.theme import ACCENT, faded
from engine.ledger.figures import FIGURES

PALETTE = ("#1498f7", "#d1801d", "#15753a", "#ba0c95", "#732afe", "#899099")
"""Colours of the searches that are compared, and of the granularities."""
DASHES = ("solid", "dash", "dot", "dashdot")
NEAR, MOST_LOST = 10, 0.3
"""How many times the allowed drop the chart shows at first, and which share of the points must lie there."""
FIRST, LATER = "first batch, at random", "later batches"


def _hover(found: Sequence[Candidate], unit: str) -> list[str]:
    return [
        f"{plain(each.scheme)}<br>{each.value:.{digits(unit)}f} {unit}".rstrip()
        + (f" · {each.saving:.2f}×" if each.saving is not None else "")
        for each in found
    ]


def search_front(told: Told, *, winner: str = "", height: int = 380) -> go.Figure:
    """Validation metric against saving (before fp32's cost is known: against the cost), the front drawn, the goal's
    edge dashed, the winner a star."""
    figure = go.Figure()
    by_saving = told.fp32_cost is not None

    def x(each: Candidate) -> float:
        return each.saving if by_saving and each.saving is not None else each.cost

    groups = (
        (FIRST, [each for each in told.candidates if each.batch == 0], faded("#899099", 0.7), "circle"),
        (LATER, [each for each in told.candidates if each.batch > 0], faded(PALETTE[0], 0.75), "diamond"),
    )
    for name, members, color, symbol in groups:
        if members:
            figure.add_scatter(
                x=[x(each) for each in members],
                y=[each.value for each in members],
                mode="markers",
                name=name,
                marker={"color": color, "symbol": symbol, "size": 8},
                customdata=[[each.run] for each in members],
                hovertext=_hover(members, told.unit),
                hovertemplate="%{hovertext}<extra></extra>",
            )
    xs, ys = [x(each) for each in told.candidates], [each.value for each in told.candidates]
    on_front = pareto_front(xs, ys, higher_x=by_saving, higher_y=told.higher_is_better)
    front = sorted((a, b) for a, b, kept in zip(xs, ys, on_front, strict=True) if kept)
    if front:
        figure.add_scatter(
            x=[a for a, _ in front],
            y=[b for _, b in front],
            mode="lines",
            name="front",
            line={"color": ACCENT, "width": 2, "shape": "vh" if by_saving else "hv"},
            hoverinfo="skip",
        )
    for each in told.candidates:
        if each.scheme == winner:
            figure.add_scatter(
                x=[x(each)],
                y=[each.value],
                mode="markers",
                name="winner",
                marker={"symbol": "star", "size": 17, "color": ACCENT},
                hovertext=_hover([each], told.unit),
                hovertemplate="%{hovertext}<extra></extra>",
            )
    if told.reference is not None and told.epsilon is not None:
        edge = told.reference - told.epsilon if told.higher_is_better else told.reference + told.epsilon
        figure.add_hline(
            y=edge,
            line={"dash": "dash", "color": "#899099", "width": 1},
            annotation={"text": f"fp32 {told.reference:.{digits(told.unit)}f} − {told.epsilon:g}", "xanchor": "left"},
            annotation_position="bottom left",
        )
    if told.budget is not None and told.fp32_cost is not None:
        figure.add_vline(
            x=told.fp32_cost / told.budget,
            line={"dash": "dash", "color": "#899099", "width": 1},
            annotation={"text": f"goal {told.fp32_cost / told.budget:.4g}×", "xanchor": "left"},
        )
    about = _about(told)
    figure.update_layout(
        **chart_layout(height=height, revision=told.search),
        xaxis=axis("Saving (×)" if by_saving else _cost([told])),
        yaxis=axis(f"Validation {told.metric} ({told.unit})" if told.unit else f"Validation {told.metric}", **about),
    )
    return figure


def _about(told: Told) -> dict[str, list[float]]:
    """Where the upright axis begins and ends at first: near the goal, if enough lies there, so that a few
    configurations that lose everything do not press the others into a line."""
    if told.reference is None or not told.higher_is_better:
        return {}
    low = told.reference - max(NEAR * (told.epsilon or 1.0), NEAR / 2)
    near = [each.value for each in told.candidates if each.value >= low]
    if len(near) < MOST_LOST * len(told.candidates) or len(near) == len(told.candidates):
        return {}
    return {"range": [low, max([*near, told.reference]) + 0.5]}


def predicted_chart(told: Told, *, height: int = 380) -> go.Figure:
    """What the cost model expected against what was measured: on the line it was right."""
    asked = [each for each in told.candidates if each.predicted is not None]
    figure = go.Figure()
    values = [each.value for each in asked] + [each.predicted for each in asked if each.predicted is not None]
    if values:
        ends = [min(values), max(values)]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", name="as predicted", line={"dash": "dash", "color": "#899099", "width": 1},
            hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=[each.predicted for each in asked],
        y=[each.value for each in asked],
        mode="markers",
        name="configurations",
        showlegend=False,
        marker={
            "color": [each.batch for each in asked],
            "colorscale": "Viridis",
            "size": 8,
            "colorbar": {"title": {"text": "Batch"}, "thickness": 10},
        },
        hovertext=_hover(asked, told.unit),
        hovertemplate="%{hovertext}<extra></extra>",
    )
    unit = f" ({told.unit})" if told.unit else ""
    figure.update_layout(
        **chart_layout(height=height, revision=told.search),
        xaxis=axis(f"Predicted {told.metric}{unit}"),
        yaxis=axis(f"Measured {told.metric}{unit}"),
    )
    return figure


def granularity_chart(searches: Sequence[Told], *, height: int = 380) -> go.Figure:
    """The least error that each granularity reaches at a cost (SGQuant's Fig. 7): fronts of all their searches."""
    figure = go.Figure()
    names = list(dict.fromkeys(each.granularity for each in searches))
    higher = all(each.higher_is_better for each in searches)
    unit = searches[0].unit if searches else ""
    word = "error" if unit == "%" and higher else "metric"
    for place, name in enumerate(names):
        members = [each for told in searches if told.granularity == name for each in told.candidates]
        errors = [100 - each.value if higher and unit == "%" else each.value for each in members]
        kept = pareto_front(
            [each.cost for each in members], errors, higher_x=False, higher_y=not (unit == "%" or not higher)
        )
        line = sorted(
            (each.cost, error, each.scheme) for each, error, on in zip(members, errors, kept, strict=True) if on
        )
        figure.add_scatter(
            x=[row[0] for row in line],
            y=[row[1] for row in line],
            mode="lines+markers",
            name=plain(name),
            line={"color": PALETTE[place % len(PALETTE)], "dash": DASHES[place % len(DASHES)], "shape": "hv"},
            hovertext=[plain(row[2]) for row in line],
            hovertemplate=f"%{{hovertext}}<br>{word} {_shown('y:.2f', unit)} at {_shown('x:.4s', _unit(searches))}"
            "<extra></extra>",
        )
    upright = "Validation error rate (%)" if unit == "%" and higher else "Validation metric"
    figure.update_layout(
        **chart_layout(height=height, revision="granularity"), xaxis=axis(_cost(searches)), yaxis=axis(upright)
    )
    return figure


def _cost(searches: Sequence[Told]) -> str:
    """What an axis of costs says, in the figure's own unit."""
    name = searches[0].figure if searches else "cost"
    return FIGURES[name].axis if name in FIGURES else name.replace("_", " ").capitalize()


def _unit(searches: Sequence[Told]) -> str:
    """The unit of the costs, empty where they have none."""
    name = searches[0].figure if searches else ""
    return FIGURES[name].unit if name in FIGURES else ""


def _shown(value: str, unit: str) -> str:
    """A value in plotly's template with its unit."""
    return f"%{{{value}}} {unit}".rstrip()


def saving_chart(searches: Sequence[Told], *, height: int = 380) -> go.Figure:
    """The best saving that keeps the goal by how many configurations were measured (SGQuant's Fig. 8)."""
    figure = go.Figure()
    kinds = list(dict.fromkeys(each.algorithm for each in searches))
    for place, told in enumerate(searches):
        best = told.best_savings
        figure.add_scatter(
            x=list(range(1, len(best) + 1)),
            y=best,
            mode="lines",
            name=plain(f"{told.algorithm}: {told.title}"),
            line={
                "color": PALETTE[kinds.index(told.algorithm) % len(PALETTE)],
                "dash": DASHES[place % len(DASHES)],
                "shape": "hv",
                "width": 2,
            },
            hovertemplate="%{x} configurations: %{y:.2f}×<extra></extra>",
        )
    figure.update_layout(
        **chart_layout(height=height, revision="saving"),
        xaxis=axis("Measured configurations"),
        yaxis=axis("Best saving within the goal (×)"),
    )
    return figure
