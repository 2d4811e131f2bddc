"""Where accuracy is lost: noise, saturation and stopped gradients by site and layer, and by in-degree.

Rows are the store's ``diagnostics`` of one run and epoch. A row of the whole tensor has no bucket.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts.layout import GRID, axis, chart_layout, plain
from engine.scheme import SITES

Row = Mapping[str, Any]

PANELS: Mapping[str, tuple[str, float]] = {
    "sqnr": ("SQNR (dB)", 1.0),
    "saturated": ("Saturated (%)", 100.0),
    "zeroed": ("Zeroed gradients (%)", 100.0),
}
"""The panels from above: column, axis title with its unit, factor from the store's unit."""

_HEIGHTS = [0.44, 0.28, 0.28]
_PATTERNS = ("", "/", "\\", "x", "-", "|", "+", ".")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "hexagon", "cross", "triangle-down", "pentagon")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def place(row: Row) -> str:
    """Where in a layer a tensor lies: its site, the module in front where there is one, the product where backward."""
    name = f"{row['part']}.{row['site']}" if row["part"] else row["site"]
    return name if row["product"] in ("forward", "aggregate") else f"{name} ({row['product']})"


def degrees(row: Row) -> str:
    """A bucket's in-degrees: "0–3", "7"."""
    least, most = row["least_degree"], row["most_degree"]
    return f"{least}" if least == most else f"{least}–{most}"


def layer_colors(layers: Sequence[int]) -> dict[int, str]:
    """A colour for each layer, from violet to green and lighter by layer; each stands out on light and dark pages."""
    found = sorted(set(layers))
    last = max(len(found) - 1, 1)
    return {layer: _color(0.77 - 0.31 * index / last, 0.15 + 0.13 * index / last) for index, layer in enumerate(found)}


def site_chart(rows: Sequence[Row], *, epoch: int | None = None, height: int = 600) -> go.Figure:
    """The whole tensors: three panels over the sites, a bar a layer. Missing values (no noise) have no bar."""
    whole = [row for row in rows if row["bucket"] is None]
    order = {site: number for number, site in enumerate(SITES)}
    places = list(dict.fromkeys(place(row) for row in sorted(whole, key=lambda row: order.get(row["site"], 99))))
    figure = _panels("Site", places, height, f"sites:{epoch}")
    for index, (layer, color) in enumerate(layer_colors([row["layer"] for row in whole]).items()):
        members = [row for row in whole if row["layer"] == layer]
        for panel, (column, (_, factor)) in enumerate(PANELS.items(), start=1):
            figure.add_bar(
                x=[plain(place(row)) for row in members],
                y=[_times(row[column], factor) for row in members],
                name=f"Layer {layer}",
                legendgroup=f"{layer}",
                showlegend=panel == 1,
                marker={"color": color, "pattern": {"shape": _PATTERNS[index % len(_PATTERNS)], "fillmode": "overlay"}},
                customdata=[_hover(row) for row in members],
                hovertemplate="%{customdata}<extra></extra>",
                row=panel,
                col=1,
            )
    figure.update_layout(barmode="group")
    return figure


def degree_chart(rows: Sequence[Row], *, epoch: int | None = None, height: int = 600) -> go.Figure:
    """Tensors of nodes and edges: three panels over the buckets of in-degree, a line a layer and site."""
    parts = sorted((row for row in rows if row["bucket"] is not None), key=lambda row: row["bucket"])
    figure = _panels("In-degree of the node", list(dict.fromkeys(map(degrees, parts))), height, f"degrees:{epoch}")
    colors = layer_colors([row["layer"] for row in parts])
    places = list(dict.fromkeys(place(row) for row in sorted(parts, key=place)))
    for index, (layer, color) in enumerate(colors.items()):
        for number, name in enumerate(places):
            members = [row for row in parts if row["layer"] == layer and place(row) == name]
            if not members:
                continue
            for panel, (column, (_, factor)) in enumerate(PANELS.items(), start=1):
                figure.add_scatter(
                    x=[degrees(row) for row in members],
                    y=[_times(row[column], factor) for row in members],
                    mode="lines+markers",
                    name=plain(f"Layer {layer}, {name}"),
                    legendgroup=f"{layer}:{name}",
                    showlegend=panel == 1,
                    line={"color": color, "width": 1.5, "dash": _DASHES[index % len(_DASHES)]},
                    marker={"symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": 9},
                    customdata=[_hover(row) for row in members],
                    hovertemplate="%{customdata}<extra></extra>",
                    row=panel,
                    col=1,
                )
    return figure


def degree_verdict(rows: Sequence[Row]) -> str | None:
    """Whether nodes of high or of low in-degree have the more noise, in a sentence; None where nothing tells."""
    ends: dict[tuple[int, str], list[Row]] = {}
    for row in sorted((row for row in rows if row["bucket"] is not None), key=lambda row: row["bucket"]):
        if row["sqnr"] is not None:
            ends.setdefault((row["layer"], place(row)), []).append(row)
    gaps = [(found[-1]["sqnr"] - found[0]["sqnr"]) for found in ends.values() if len(found) > 1]
    if not gaps:
        return None
    high, low = sum(gap < 0 for gap in gaps), sum(gap > 0 for gap in gaps)
    mean = sum(gaps) / len(gaps)
    if high == low:
        return (
            f"Neither end suffers more: nodes of the highest in-degree have the lower SQNR at {high} of {len(gaps)} "
            "places, those of the lowest at as many."
        )
    end, count, other = ("highest", high, "lowest") if high > low else ("lowest", low, "highest")
    return (
        f"Nodes of the {end} in-degree suffer more: their SQNR is below that of the {other} at {count} of {len(gaps)} "
        f"places, and the mean difference, highest minus lowest, is {mean:+.1f} dB."
    )


def _panels(title: str, categories: Sequence[str], height: int, revision: str) -> go.Figure:
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=_HEIGHTS)
    figure.update_layout(**chart_layout(height=height, revision=revision))
    # Categories in order and as text: "7" would be taken for a number.
    figure.update_xaxes(
        type="category", categoryorder="array", categoryarray=[plain(name) for name in categories], gridcolor=GRID
    )
    figure.update_xaxes(**axis(title), row=3, col=1)
    for panel, (text, _) in enumerate(PANELS.values(), start=1):
        # A standoff that holds for all three: plotly measures it from the panel's own, perhaps shorter, tick labels.
        title = {"text": text, "standoff": 22}
        mode = "tozero" if panel > 1 else "normal"
        figure.update_yaxes(**axis(text, rangemode=mode) | {"title": title}, row=panel, col=1)
    return figure


def _hover(row: Row) -> str:
    where = f"layer {row['layer']}, {place(row)}, {row['product']}"
    lines = [f"<b>{plain(where)}</b>, {plain(row['format'])}"]
    if row["bucket"] is not None:
        lines.append(f"in-degree {degrees(row)}")
    lines.append("SQNR: no noise, or no signal" if row["sqnr"] is None else f"SQNR {row['sqnr']:.1f} dB")
    for column, words in (("saturated", "saturated"), ("zeroed", "of the gradients zeroed")):
        if row[column] is not None:
            lines.append(f"{100 * row[column]:.2f} % {words}")
    return "<br>".join([*lines, f"{row['elements']:,} elements"])


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _color(hue: float, luminance: float) -> str:
    """The colour of this hue with this relative luminance (WCAG), as hex."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _luminance(colorsys.hls_to_rgb(hue, middle, 0.6)) < luminance else (low, middle)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in colorsys.hls_to_rgb(hue, low, 0.6))


def _luminance(rgb: tuple[float, float, float]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
