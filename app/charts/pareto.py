"""The accuracy-versus-density chart: seed groups with error bars, the front drawn, the dominated pale."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from app.charts.dominance import pareto_front
from app.charts.layout import axis, chart_layout, plain
from app.charts.names import WIDTH, Label, place_names
from app.phrases import mean_std, number, titled
from app.theme import ACCENT, faded, family_style, scheme_family

PALE = 0.32
"""Opacity of dominated points."""

MOST_LABELS = 40
"""Beyond this many points only the front's are labelled."""

MOST_DETAILED = 120
"""Beyond this many points only the front's have error bars: the others' would cover each other, and say little of
themselves when pointed at."""

MOST_DRAWN = 2000
"""Beyond this many points those that lie on the same spot of the chart are drawn once."""

SPOTS = (300, 100)
"""So many spots has a chart from left to right and from top to bottom: about four pixels each."""

NARROW = 280.0
"""Pixels of the plot on a phone."""

DENSITY_TITLES = {"memory_density": "Memory density", "arithmetic_density": "Arithmetic density"}

MEANS: Mapping[str, str] = {
    "harmonic mean": "work-weighted harmonic mean over the run: the density of all its work together",
    "thesis mean": "time-weighted arithmetic mean over the epochs, as in the thesis that SDQ and ADQ come from",
}
"""How a run's density is made of its epochs' (METHODS §9). They differ where the formats change in training."""


@dataclass(frozen=True)
class Other:
    """Another horizontal axis than a density: a figure of the ledger, a measured quantity, another cost table's.

    Its values stand in each group's ``other``.
    """

    title: str
    """With scope, coverage and unit, as the axis says it."""
    definition: str
    lower_is_better: bool = False


@dataclass(frozen=True)
class Axes:
    """What the chart shows: which density, for which scope and coverage (a chart holds one of each)."""

    density: Literal["memory_density", "arithmetic_density"] = "memory_density"
    scope: str = "training"
    coverage: str = "quantized part"
    log_x: bool = False
    mean: str = "harmonic mean"
    """One of MEANS."""
    other: Other | None = None
    """What is shown instead of the density."""
    selection: Literal["test", "last", "max", "val"] = "test"
    """What stands upright: the test metric at best validation (the headline), at the last epoch, at its best, or the
    validation's."""

    @property
    def column(self) -> str:
        """The column of the store's ``groups`` that it shows."""
        if self.other is not None:
            return "other"
        return self.density if self.mean == "harmonic mean" else f"{self.density}_thesis"

    @property
    def value(self) -> str:
        """The column of the upright axis."""
        return f"{self.selection}_mean"

    def upright(self, metric: str, unit: str | None) -> str:
        """Title of the upright axis."""
        split = "Validation" if self.selection == "val" else "Test"
        how = {"last": " at last epoch", "max": ", best of all epochs (never the headline)"}.get(self.selection, "")
        return f"{split} {titled(metric, unit)}{how}, mean ± std over seeds"

    @property
    def title(self) -> str:
        if self.other is not None:
            return self.other.title
        return f"{DENSITY_TITLES[self.density]}, {self.mean} (× fp32):<br>{self.scope}, {self.coverage}"

    @property
    def lower_is_better(self) -> bool:
        """Then the axis is turned round: what is better always stands to the right."""
        return self.other is not None and self.other.lower_is_better


@dataclass(frozen=True)
class Band:
    """What counts as near enough to a baseline, drawn across the chart."""

    low: float
    high: float
    label: str


@dataclass(frozen=True)
class _Spots:
    """Where points lie, as shares of the chart from the lower left, and which values its upright axis spans."""

    x: Sequence[float]
    y: Sequence[float]
    low: float
    high: float


@dataclass(frozen=True)
class _Mark:
    """A group on the chart, whether it is on the front, its name, and where that stands (None: nowhere), on a phone
    too."""

    row: Mapping[str, Any]
    on_front: bool
    name: str
    place: str | None
    narrow_place: str | None


def pareto_chart(
    groups: Sequence[Mapping[str, Any]],
    axes: Axes,
    *,
    picked: Collection[str] = (),
    height: int = 460,
    band: Band | None = None,
) -> go.Figure:
    """The chart of one dataset's groups of runs (``app.comparison.groups``), in ``axes``' scope and coverage.

    Columns used: group_id, dataset, model, scheme, settings, synthetic, n, test_mean, test_std, last_mean, val_mean,
    average_bits, both densities and their thesis means, arithmetic_label, metric, unit, higher_is_better. A point's
    customdata[0] is its group_id. The layout's ``meta`` says how many points were left out because others lie on their
    spot.
    """
    return go.Figure(pareto_data(groups, axes, picked=picked, height=height, band=band))


def pareto_data(
    groups: Sequence[Mapping[str, Any]],
    axes: Axes,
    *,
    picked: Collection[str] = (),
    height: int = 460,
    band: Band | None = None,
    width: float = WIDTH,
) -> dict[str, Any]:
    """The same as plotly's plain data: checking each of a thousand points as an object takes ten times as long.

    Names are placed for a plot ``width`` pixels wide; a trace's ``meta["narrow"]`` has them for a phone, which
    app/assets/front_chart.js takes where the layout's ``meta["width"]`` is not there.
    """
    picked = (picked,) if isinstance(picked, str) else picked
    shown = [
        row
        for row in groups
        if row[axes.value] is not None
        and row[axes.column] is not None
        # A logarithmic axis has no place for 0 (one bit without its sign, say).
        and (row[axes.column] > 0 or not axes.log_x)
    ]
    first = shown[0] if shown else {"metric": "accuracy", "unit": "%", "higher_is_better": True}
    densities = [row[axes.column] for row in shown]
    values = [row[axes.value] for row in shown]
    lower_x = axes.lower_is_better
    on_front = pareto_front(densities, values, higher_x=not lower_x, higher_y=first["higher_is_better"]).tolist()
    traces = [_front(densities, values, on_front, lower_x=lower_x)]
    every = len(shown)
    if every > MOST_DRAWN:
        kept = _one_a_spot(shown, axes, on_front, picked)
        shown, on_front = [shown[index] for index in kept], [on_front[index] for index in kept]
    several_models = len({row["model"] for row in shown}) > 1
    names = [
        row.get("name") or (f"{row['scheme']} · {row['model']}" if several_models else row["scheme"]) for row in shown
    ]
    spots = _spots(shown, axes)
    label = _label(band, spots, width) if band is not None and shown else None
    places = _places(spots, names, on_front, label, width)
    narrow = _places(spots, names, on_front, label, NARROW)
    families: dict[str, dict[bool, list[_Mark]]] = {}
    for mark in map(_Mark, shown, on_front, names, places, narrow):
        families.setdefault(_family(mark.row), {}).setdefault(mark.on_front, []).append(mark)
    for family, parts in sorted(families.items()):
        traces.append(_legend(family))
        traces += [_points(marks, axes, family, picked, every) for _, marks in sorted(parts.items())]
    better = "" if first["higher_is_better"] else ": lower is better"
    layout = {
        **chart_layout(height=height, revision=f"{axes}"),
        "meta": {"left_out": every - len(shown), "width": width},
        "clickmode": "event",
        "dragmode": "zoom",
        "hovermode": "closest",
        "xaxis": axis(
            axes.title + (": lower is better" if lower_x else ""),
            type="log" if axes.log_x else "linear",
            **_around(densities, axes),
            **({"exponentformat": "SI"} if axes.other else _ticks(densities, axes.log_x)),
        ),
        "yaxis": axis(axes.upright(first["metric"], first["unit"]) + better),
    }
    if band is not None and label is not None:
        layout |= _band(band, label)
    return {"data": traces, "layout": layout}


def _front(x: Sequence[float], y: Sequence[float], on_front: Sequence[bool], *, lower_x: bool) -> dict[str, Any]:
    """The front as steps, from the left edge: whatever lies left of the line, or on its worse side, is dominated."""
    steps = sorted({(a, b) for a, b, best in zip(x, y, on_front, strict=True) if best}, reverse=lower_x)
    edge = max if lower_x else min
    return {
        "type": "scatter",
        "x": [edge(x), *(step[0] for step in steps)] if steps else [],
        "y": [steps[0][1], *(step[1] for step in steps)] if steps else [],
        "mode": "lines",
        "line": {"shape": "vh", "color": ACCENT, "width": 1.5},
        "name": "front",
        "hoverinfo": "skip",
    }


def _family(row: Mapping[str, Any]) -> str:
    """What a group's colour says; one of several families is mixed."""
    family = row.get("family") or scheme_family(row["scheme"])
    return "mixed" if family.endswith(" families") else family


def _band(band: Band, label: Label) -> dict[str, Any]:
    """The band lies behind the points; its name stands at the end of it that is less crowded."""
    shape = {"type": "rect", "xref": "x domain", "x0": 0, "x1": 1, "y0": band.low, "y1": band.high, "layer": "below"}
    note = {
        "text": plain(band.label),
        "font": {"size": 11},
        "showarrow": False,
        "xref": "x domain",
        "x": 1 if label.at_right else 0,
        "xanchor": "right" if label.at_right else "left",
        "y": band.low,
        "yanchor": "bottom",
    }
    return {"shapes": [shape | {"line": {"width": 0}, "fillcolor": faded(ACCENT, 0.1)}], "annotations": [note]}


def _one_a_spot(
    rows: Sequence[Mapping[str, Any]], axes: Axes, on_front: Sequence[bool], picked: Collection[str]
) -> list[int]:
    """Places of the points to draw: the front's, the picked, and of each family the first on each spot."""
    x = _shares([math.log(row[axes.column]) if axes.log_x else row[axes.column] for row in rows])
    y = _shares([row[axes.value] for row in rows])
    seen: set[tuple[str, int, int]] = set()
    kept = []
    for index, row in enumerate(rows):
        spot = _family(row), int(x[index] * SPOTS[0]), int(y[index] * SPOTS[1])
        if on_front[index] or row["group_id"] in picked or spot not in seen:
            kept.append(index)
        seen.add(spot)
    return kept


def _legend(family: str) -> dict[str, Any]:
    """A family's entry in the legend, in its full colour even where all its points are pale."""
    style = family_style(family)
    marker = {"color": style.color, "symbol": style.symbol, "size": 11}
    named = {"name": family, "legendgroup": family, "marker": marker}
    return {"type": "scatter", "x": [None], "y": [None], "mode": "markers", **named}


def _points(marks: Sequence[_Mark], axes: Axes, family: str, picked: Collection[str], every: int) -> dict[str, Any]:
    """A scatter trace: the points of one family that are on the front, or those that are not."""
    style = family_style(family)
    on_front = marks[0].on_front
    detailed = on_front or every <= MOST_DETAILED
    color = style.color if on_front else faded(style.color, PALE)
    rows = [mark.row for mark in marks]
    return {
        "type": "scatter",
        "showlegend": False,
        "x": [row[axes.column] for row in rows],
        "y": [row[axes.value] for row in rows],
        "mode": "markers+text" if detailed else "markers",
        **_texts([mark.name for mark in marks], [mark.place for mark in marks]),
        "meta": {"narrow": _texts([mark.name for mark in marks], [mark.narrow_place for mark in marks])},
        "textfont": {"size": 12} if on_front else {"size": 11, "color": "rgba(128,140,150,0.9)"},
        "name": family,
        "legendgroup": family,
        "marker": {
            "color": color,
            "symbol": style.symbol,
            "opacity": 1,
            "size": [15 if row["group_id"] in picked else 11 if detailed else 6 for row in rows],
            "line": {"width": [2 if row["group_id"] in picked else 0 for row in rows], "color": ACCENT},
        },
        "error_y": {
            "type": "data",
            "array": [row[f"{axes.selection}_std"] or 0 for row in rows],
            "visible": detailed,
            "color": color,
            "thickness": 1.5,
            "width": 5,
        },
        "customdata": [[row["group_id"], _hover(row, axes) if detailed else _brief(row, axes)] for row in rows],
        "hovertemplate": "%{customdata[1]}<extra></extra>",
        "cliponaxis": False,
    }


def _texts(names: Sequence[str], places: Sequence[str | None]) -> dict[str, list[str]]:
    return {
        "text": [f"\u2002{plain(name)}\u2002" if place else "" for name, place in zip(names, places, strict=True)],
        "textposition": [place or "top right" for place in places],
    }


def _spots(rows: Sequence[Mapping[str, Any]], axes: Axes) -> _Spots:
    """Where points lie, as shares of the chart."""
    if not rows:
        return _Spots([], [], 0, 1)
    densities = [row[axes.column] for row in rows]
    spreads = [row[f"{axes.selection}_std"] or 0 for row in rows]
    x = _shares([math.log(value) for value in densities] if axes.log_x else densities)
    x = [1 - share for share in x] if axes.lower_is_better else x
    low = min(row[axes.value] - spread for row, spread in zip(rows, spreads, strict=True))
    high = max(row[axes.value] + spread for row, spread in zip(rows, spreads, strict=True))
    return _Spots(x, _shares([row[axes.value] for row in rows], low, high), low, high)


def _label(band: Band, spots: _Spots, width: float) -> Label:
    """Where a band's name covers fewer points: at its left end or its right."""
    (height,) = _shares([band.low], spots.low, spots.high)
    ends = [Label(band.label, height, at_right=at_right) for at_right in (True, False)]
    return min(ends, key=lambda label: label.covers(spots.x, spots.y, width))


def _places(
    spots: _Spots, names: Sequence[str], on_front: Sequence[bool], label: Label | None, width: float
) -> list[str | None]:
    """Where the names stand; in a crowd only the front's are shown."""
    every = range(len(names))
    places: list[str | None] = [None] * len(names)
    named = [index for index in every if on_front[index] or len(names) <= MOST_LABELS][:MOST_LABELS]
    found = place_names(
        [spots.x[index] for index in named],
        [spots.y[index] for index in named],
        [names[index] for index in named],
        [on_front[index] for index in named],
        label=label,
        width=width,
    )
    for index, place in zip(named, found, strict=True):
        places[index] = place
    return places


def _shares(values: Sequence[float], low: float | None = None, high: float | None = None) -> list[float]:
    """Values as shares of an axis that leaves a margin on either side."""
    low = min(values) if low is None else low
    high = max(values) if high is None else high
    return [0.06 + 0.88 * (value - low) / (high - low) if high > low else 0.5 for value in values]


def _brief(row: Mapping[str, Any], axes: Axes) -> str:
    """What a point in a crowd says; the table and a click say the rest."""
    return f"<b>{plain(row['scheme'])}</b> · {plain(row['model'])}<br>{number(row[axes.value], row['unit'])}"


def _hover(row: Mapping[str, Any], axes: Axes) -> str:
    """What a point says of its group."""
    unit, label = row["unit"], row["arithmetic_label"]
    label = f" ({label})" if label not in (None, "published") else ""
    known = row.get("other_certainty")
    known = f" ({known})" if known not in (None, "published") else ""
    other = (
        [] if axes.other is None else [f"{plain(axes.other.title.replace('<br>', ', '))}: {row['other']:,.4g}{known}"]
    )
    lines = [
        f"<b>{plain(row['scheme'])}</b> · {plain(row['model'])} · {plain(row['dataset'])}",
        f"test at best validation {mean_std(row['test_mean'], row['test_std'], unit)} {unit}, n = {row['n']}",
        *other,
        f"test at last epoch {number(row['last_mean'], unit)} · validation {number(row['val_mean'], unit)}",
        *_densities(row, axes, label),
    ]
    if row["settings"]:
        lines.append(plain(row["settings"]))
    return "<br>".join(lines)


def _densities(row: Mapping[str, Any], axes: Axes, label: str) -> list[str]:
    if row["memory_density"] is None:
        return []
    return [
        f"harmonic mean: memory {row['memory_density']:.2f}× · arithmetic {row['arithmetic_density']:.2f}×{label}",
        *_thesis(row),
        f"average bits {row['average_bits']:.2f} · {axes.scope}, {axes.coverage}",
    ]


def _thesis(row: Mapping[str, Any]) -> list[str]:
    """The thesis' means, where they are other ones."""
    names = ("memory_density", "arithmetic_density")
    differences = [None if row[f"{name}_thesis"] is None else row[f"{name}_thesis"] - row[name] for name in names]
    if None in differences or max(abs(each or 0) for each in differences) < 0.005:
        return []
    memory, arithmetic = (row[f"{name}_thesis"] for name in names)
    return [f"thesis mean: memory {memory:.2f}× · arithmetic {arithmetic:.2f}×"]


def _around(values: Sequence[float], axes: Axes) -> dict[str, Any]:
    """Which way the axis goes; around one small value plotly would draw -1 to 1."""
    ends = [0.5 * values[0], 1.5 * values[0]] if axes.other and len(set(values)) == 1 and values[0] > 0 else []
    if not ends:
        return {"autorange": "reversed"} if axes.lower_is_better else {}
    ends = [math.log10(end) for end in ends] if axes.log_x else ends
    return {"range": ends[::-1] if axes.lower_is_better else ends}


def _ticks(values: Sequence[float], log: bool) -> dict[str, Any]:
    """Ticks in plain numbers; a logarithmic axis shows 1, 2, 3, 5, 7, 10 …, and plotly's own between a few of them."""
    if not log or not values:
        return {}
    ticks = [base * 10**power for power in range(-2, 4) for base in (1, 2, 3, 5, 7)]
    inside = [tick for tick in ticks if min(values) / 1.5 <= tick <= max(values) * 1.5]
    if sum(min(values) <= tick <= max(values) for tick in inside) < 3:
        return {}
    return {"tickvals": inside, "ticktext": [f"{tick:g}" for tick in inside], "minor": {"showgrid": False}}
