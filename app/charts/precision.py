"""Bits by epoch: under the loss curve with every switch and its reason, and before a run as its schedule plans them.

Rows are the store's: ``switches`` (one a decision) and ``precision`` (one a site, layer and product that changed).
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from app.charts.diagnostics import layer_colors
from app.charts.layout import axis, chart_layout, note_at, plain, traces_of
from app.charts.learning import Curve
from app.phrases import count
from app.schedules import Planned, Replayed
from app.theme import ACCENT, scheme_shades
from engine.errors import InputError
from engine.formats import get_format
from engine.scheme import ALL_PRODUCTS, SITES

Row = Mapping[str, Any]

PANEL = 170
"""Pixels that the bits take beneath a chart."""

MOST_LINES = 8
"""Lines of single sites beyond this many are left out, and the chart says so."""
MOST_RULES = 12
"""Switches beyond this many get no vertical line."""

_SITE_DASHES = ("dot", "dash", "dashdot", "longdash", "longdashdot")
_PALE = "rgba(128,140,150,0.75)"
_GAP = 0.10
_ENTRY, _TITLE = 19, 52
"""Pixels of a name in the legend below, and of the x axis' labels and title."""


@dataclass(frozen=True)
class BitLine:
    """The bits of some places in a model: (first epoch, bits, format), by epoch."""

    name: str
    steps: tuple[tuple[int, float, str], ...]


def bit_lines(formats: Sequence[Row]) -> list[BitLine]:
    """The places of one run's ``precision`` rows, those with the same bits at all times as one line; widest first.

    A place is a site in a product of a layer. Formats that this installation does not know are left out.
    """
    places: dict[tuple[str, str, int], list[tuple[int, float, str]]] = {}
    for row in sorted((row for row in formats if row["site"]), key=lambda row: row["epoch"]):
        bits = _bits(row["format"])
        steps = places.setdefault((row["site"], row["product"], row["layer"]), [])
        if bits is not None and (not steps or steps[-1][2] != row["format"]):
            steps.append((row["epoch"], bits, row["format"]))
    lines: dict[tuple[tuple[int, float], ...], list[tuple[str, str, int]]] = {}
    for place, steps in places.items():
        if steps:
            lines.setdefault(tuple((epoch, bits) for epoch, bits, _ in steps), []).append(place)
    found = [BitLine(_name(members, list(places)), tuple(places[members[0]])) for members in lines.values()]
    return sorted(found, key=lambda line: (-line.steps[-1][1], line.name))


def _name(members: Sequence[tuple[str, str, int]], every: Sequence[tuple[str, str, int]]) -> str:
    """ "weight, input, 2 more": the sites, with products and layers where only some of a site's places are meant."""
    sites: dict[str, list[str]] = {}
    for site in _in_order({place[0] for place in members}, tuple(SITES)):
        mine = {place[1:] for place in members if place[0] == site}
        all_ = {place[1:] for place in every if place[0] == site}
        products, layers = {product for product, _ in mine}, {layer for _, layer in mine}
        some = []
        if products != {product for product, _ in all_}:
            some.append(", ".join(_in_order(products, ALL_PRODUCTS)))
        if layers != {layer for _, layer in all_}:
            some.append(f"layer {', '.join(map(str, sorted(layers)))}")
        sites.setdefault(f" ({'; '.join(some)})" if some else "", []).append(site)
    return "; ".join(_shortened(names) + some for some, names in sites.items())


def _in_order(found: Collection[str], known: Sequence[str]) -> list[str]:
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), name))


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"])


def _bits(format: str) -> float | None:
    try:
        return get_format(format).bits
    except InputError:
        return None


def with_bits(
    figure: go.Figure,
    epochs: Mapping[str, pa.Table],
    curves: Sequence[Curve],
    switches: Sequence[Row],
    formats: Sequence[Row] = (),
    replayed: Replayed | None = None,
) -> go.Figure:
    """Put the bits of the runs beneath their learning curves, on the same x axis, and make the figure higher.

    ``switches``: of all runs. ``formats``: of the one run, for a line each of sites that differ. The figure stays as
    it is where no run says its precision, or where several runs keep theirs.
    """
    by_run: dict[str, list[Row]] = {}
    for row in switches:
        by_run.setdefault(row["run"], []).append(row)
    if not any(by_run.get(curve.run) and curve.run in epochs for curve in curves):
        return figure
    if len(curves) > 1 and all(len(rows) < 2 for rows in by_run.values()):
        return figure
    alone = len(curves) == 1
    shades = scheme_shades(curve.scheme for curve in curves)
    lines = bit_lines(formats) if alone else []
    entries = (min(len(lines), MOST_LINES) if len(lines) > 1 else 0) + (replayed is not None)
    several = entries > 0
    _make_room(figure, entries + several)
    widest = 1.0
    for curve in curves:
        rows, decisions = epochs.get(curve.run), by_run.get(curve.run, [])
        if rows is None or not decisions:
            continue
        bits = _by_epoch(rows, lines)
        if not bits:
            continue
        recorded = rows["average_bits"].null_count < rows.num_rows
        _add_average(figure, curve, decisions, bits, shades[curve.scheme], legend=alone and several, recorded=recorded)
        _add_switches(figure, curve, decisions, bits, shades[curve.scheme])
        widest = max(widest, *bits.values())
        if alone and len(lines) > 1:
            _add_sites(figure, lines[:MOST_LINES], max(bits))
            widest = max(widest, *(step[1] for line in lines[:MOST_LINES] for step in line.steps))
    if replayed is not None:
        _add_replay(figure, replayed)
        widest = max(widest, *(row["bits"] for row in replayed.decisions))
    if len(lines) > MOST_LINES:
        _note(figure, f"and {len(lines) - MOST_LINES} other courses: see the table")
    figure.update_layout(yaxis2={"range": _room(widest)})
    return figure


def _make_room(figure: go.Figure, entries: int) -> None:
    """A second y axis below the first; both stand on one x axis at the bottom, and so many lines' names below that."""
    height = int(figure.layout.height) + PANEL
    share = PANEL / height
    names = entries * _ENTRY
    figure.update_layout(
        height=height + names,
        margin={"b": _TITLE + names if names else 8},
        xaxis={"anchor": "y2"},
        yaxis={"domain": [share + _GAP / 2, 1]},
        yaxis2={**axis("Bits"), "domain": [0, share - _GAP / 2], "anchor": "x", "nticks": 5},
        legend2={
            "orientation": "v",
            "yref": "container",
            "yanchor": "bottom",
            "y": 0,
            "x": 0,
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
        },
    )


def _room(widest: float) -> list[float]:
    """The range of an axis of bits: from just below zero, whose label then stands clear of the epochs'."""
    return [-0.08 * widest, 1.15 * widest]


def _by_epoch(rows: pa.Table, lines: Sequence[BitLine]) -> dict[int, float]:
    """Bits of each epoch that was trained: the recorded average, or (of a run without) the places' plain mean."""
    epochs, average = rows["epoch"].to_pylist(), rows["average_bits"].to_pylist()
    found = {epoch: bits for epoch, bits in zip(epochs, average, strict=True) if bits is not None}
    if found or not lines:
        return found
    return {epoch: fmean(_at(line, epoch) for line in lines) for epoch in epochs}


def _at(line: BitLine, epoch: int) -> float:
    return next((bits for first, bits, _ in reversed(line.steps) if first <= epoch), line.steps[0][1])


def _add_average(
    figure: go.Figure,
    curve: Curve,
    decisions: Sequence[Row],
    bits: Mapping[int, float],
    color: str,
    *,
    legend: bool,
    recorded: bool,
) -> None:
    name = plain(curve.label)
    steps = [[row["epoch"], plain(row["label"])] for row in decisions]
    figure.add_scatter(
        x=list(bits),
        y=list(bits.values()),
        mode="lines" if len(bits) > 1 else "markers",
        name="mean over elements",
        legend="legend2",
        showlegend=legend,
        line={"shape": "hv", "color": color, "width": 2},
        yaxis="y2",
        meta=[name, "bits", curve.run, "average_bits", {"labels": steps}] if recorded else [name],
        customdata=[plain(_label(decisions, epoch)) for epoch in bits],
        hovertemplate="%{meta[0]}<br>epoch %{x}: %{y:.4g} bits, %{customdata}<extra></extra>",
    )


def _label(decisions: Sequence[Row], epoch: int) -> str:
    return next((row["label"] for row in reversed(decisions) if row["epoch"] <= epoch), "")


def _add_switches(
    figure: go.Figure, curve: Curve, decisions: Sequence[Row], bits: Mapping[int, float], color: str
) -> None:
    """A marker at each decision that says why."""
    drawn = [row for row in decisions if row["epoch"] in bits]
    figure.add_scatter(
        x=[row["epoch"] for row in drawn],
        y=[bits[row["epoch"]] for row in drawn],
        mode="markers",
        name="switches",
        showlegend=False,
        yaxis="y2",
        marker={
            "symbol": [_symbol(row, bits) for row in drawn],
            "size": 10 if len(drawn) <= 2 * MOST_RULES else 6,
            "color": color,
            "line": {"width": 1, "color": "rgba(255,255,255,0.8)"},
        },
        customdata=[_hover(curve.label, decisions, row) for row in drawn],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )


def with_switches(
    figure: go.Figure, epochs: Mapping[str, pa.Table], curves: Sequence[Curve], switches: Sequence[Row]
) -> go.Figure:
    """Mark every switch of precision on the curves of a chart: a line through it for one run, for several a triangle on
    each one's own curve (the first that is drawn of it), which says on hover what changed and why."""
    drawn = {trace.meta[2]: trace for trace in reversed(traces_of(figure)) if trace.meta and trace.yaxis != "y2"}
    for curve in curves:
        trace, rows = drawn.get(curve.run), epochs.get(curve.run)
        decisions = [row for row in switches if row["run"] == curve.run]
        if trace is None or rows is None or len(decisions) < 2:
            continue
        value = dict(zip(rows["epoch"].to_pylist(), rows[trace.meta[3]].to_pylist(), strict=True))
        later = [row for row in decisions if row["signal"] != "start" and row["epoch"] in value]
        if len(curves) == 1:
            _add_rules(figure, [row["epoch"] for row in later])
            continue
        later = [row for row in later if value[row["epoch"]] is not None]
        bits = _by_epoch(rows, [])
        at = [row["epoch"] for row in later]
        figure.add_scatter(
            x=at,
            y=[value[epoch] for epoch in at],
            mode="markers",
            name="switches",
            showlegend=False,
            legendgroup=trace.legendgroup,
            marker={
                "symbol": [_symbol(row, bits) for row in later],
                "size": 8 if len(later) <= MOST_RULES else 5,
                "color": trace.line.color,
            },
            meta=[*trace.meta[:4], {"at": at}],
            customdata=[_hover(curve.label, decisions, row) for row in later],
            hovertemplate="%{customdata}<extra></extra>",
        )
    return figure


def _add_rules(figure: go.Figure, epochs: Sequence[int]) -> None:
    """A dotted line through all panels at each of these epochs; none where they are too many to be told apart."""
    for epoch in epochs if len(epochs) <= MOST_RULES else ():
        figure.add_shape(
            type="line",
            x0=epoch,
            x1=epoch,
            y0=0,
            y1=1,
            yref="paper",
            layer="below",
            line={"width": 1, "dash": "dot", "color": _PALE},
        )


def _symbol(row: Row, bits: Mapping[int, float]) -> str:
    before, now = bits.get(row["epoch"] - 1), bits.get(row["epoch"])
    if before is None or now is None or before == now:
        return "circle"
    return "triangle-up" if now > before else "triangle-down"


def _hover(name: str, decisions: Sequence[Row], row: Row) -> str:
    """A decision in full: from what to what, since when, by which signal and why."""
    place = list(decisions).index(row)
    change = row["label"] if not place else f"{decisions[place - 1]['label']} → {row['label']}"
    lines = [f"<b>{plain(change)}</b> from epoch {row['epoch']}", plain(name)]
    if row["signal"] != "start":
        lines.append(plain(signal_text(row)))
    lines += [plain(line) for line in textwrap.wrap(row["reason"], 60)]
    if row.get("changes"):
        lines.append(count(row["changes"], "format of a site and layer", "formats of sites and layers"))
    return "<br>".join(lines)


def signal_text(row: Row) -> str:
    """ "loss plateau: 0.953 against 0.9"."""
    if row["value"] is None or row["threshold"] is None:
        return row["signal"]
    return f"{row['signal']}: {row['value']:.4g} against {row['threshold']:.4g}"


def _add_sites(figure: go.Figure, lines: Sequence[BitLine], last: int) -> None:
    colors = list(layer_colors(range(len(lines) + 2)).values())  # the last, green, are too like the replay's
    for index, line in enumerate(lines):
        steps = [*line.steps, (max(last, line.steps[-1][0]), *line.steps[-1][1:])]
        figure.add_scatter(
            x=[epoch for epoch, _, _ in steps],
            y=[bits for _, bits, _ in steps],
            mode="lines",
            name=plain(line.name),
            legend="legend2",
            line={
                "shape": "hv",
                "color": colors[index],
                "width": 1.5,
                "dash": _SITE_DASHES[index % len(_SITE_DASHES)],
            },
            yaxis="y2",
            customdata=[plain(format) for _, _, format in steps],
            hovertemplate=plain(line.name) + "<br>from epoch %{x}: %{y:.4g} bits, %{customdata}<extra></extra>",
        )


def _add_replay(figure: go.Figure, replayed: Replayed) -> None:
    """The other schedule's line, solid while it is exact; what follows is marked as an estimate."""
    decisions = list(replayed.decisions)
    ends = [row["epoch"] for row in decisions[1:]] + [replayed.last + 1]
    x, y = [], []
    for row, end in zip(decisions, ends, strict=True):
        x += [row["epoch"], min(end, replayed.last)]
        y += [row["bits"], row["bits"]]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=plain(f"replayed: {replayed.scheme}"),
        legend="legend2",
        line={"shape": "hv", "color": ACCENT, "width": 2.5, "dash": "dash"},
        yaxis="y2",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[row["epoch"] for row in decisions],
        y=[row["bits"] for row in decisions],
        mode="markers",
        name="replayed switches",
        showlegend=False,
        yaxis="y2",
        marker={"symbol": "diamond-open", "size": 10, "color": ACCENT, "line": {"width": 2}},
        customdata=[_hover(f"replayed: {replayed.scheme}", decisions, row) for row in decisions],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    if replayed.exact_until < replayed.last:
        figure.add_shape(
            type="rect",
            x0=max(replayed.exact_until, 1),
            x1=replayed.last,
            y0=0,
            y1=1,
            yref="y2 domain",
            layer="below",
            line={"width": 0},
            fillcolor="rgba(128,140,150,0.16)",
        )
        figure.add_annotation(
            x=note_at(replayed.last, figure.layout.xaxis.type),
            y=0,
            yref="y2 domain",
            text="estimate",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            font={"size": 11},
        )


def _note(figure: go.Figure, text: str) -> None:
    figure.add_annotation(
        x=1,
        y=1,
        xref="paper",
        yref="y2 domain",
        text=text,
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
        font={"size": 11},
    )


def schedule_chart(plans: Mapping[str, Sequence[Planned]], epochs: int, *, height: int = 250) -> go.Figure:
    """The bits that schemes plan, by epoch. Dashed: at the earliest, where signals decide in the run."""
    figure = go.Figure()
    shades = scheme_shades(plans)
    for scheme, stages in plans.items():
        certain = all(stage.certain for stage in stages)
        points = [(epoch, stage) for stage in stages for epoch in sorted({stage.first_epoch, stage.last_epoch})]
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[stage.bits for _, stage in points],
            mode="lines+markers" if len(stages) <= MOST_RULES else "lines",
            name=plain(scheme),
            line={"shape": "hv", "color": shades[scheme], "width": 2, "dash": "solid" if certain else "dash"},
            marker={"size": [7 if epoch == stage.first_epoch else 0 for epoch, stage in points]},
            customdata=[_planned_text(stage) for _, stage in points],
            meta=plain(scheme),
            hovertemplate="<b>%{meta}</b><br>%{customdata}<extra></extra>",
        )
    widest = max((stage.bits for stages in plans.values() for stage in stages), default=32.0)
    figure.update_layout(
        **chart_layout(height=height, revision="schedule"),
        showlegend=True,
        xaxis=axis("Epoch", range=[0, max(epochs, 1)]),
        yaxis=axis("Bits", range=_room(widest), nticks=6),
    )
    return figure


def _planned_text(stage: Planned) -> str:
    when = f"epochs {stage.first_epoch} to {stage.last_epoch}"
    if not stage.certain:
        when = f"from epoch {stage.first_epoch} at the earliest"
    lines = [f"{plain(stage.label)}, {stage.bits:.4g} bits", when]
    return "<br>".join([*lines, *(plain(line) for line in textwrap.wrap(stage.about, 60))])
