"""What a run costs: bits by site and layer, what memory is made of, and the roofline.

All of it is drawn from the run's ledger (engine.ledger); a chart holds one scope.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.charts.layout import axis, chart_layout, plain
from app.theme import ACCENT, family_style, scheme_family
from engine.scheme import SITES

BITS_SCALE = [(0.0, "#134e4a"), (0.25, "#0d9488"), (0.5, "#7fb8a4"), (0.75, "#d9b67f"), (1.0, "#b45309")]
"""Few bits to many: dark teal to brown; its lightness rises, then the hue turns, so that colour-blind eyes follow."""

PARTS: Mapping[str, str] = {"features": "#1498f7", "attention": "#ba0c95", "weights": "#d1801d"}
"""What memory is made of, and its colour."""


def bits_chart(places: Sequence[Mapping[str, Any]], *, scope: str) -> go.Figure:
    """Site × layer: the mean bits of an element, on a logarithmic scale from 1 to 32.

    ``places``: {layer, site, bits, elements, formats} of each place that the scope touches.
    """
    layers = sorted({row["layer"] for row in places})
    order = {site: number for number, site in enumerate(SITES)}
    sites = sorted({row["site"] for row in places}, key=lambda site: (order.get(site, len(order)), site))
    found = {(row["site"], row["layer"]): row for row in places}
    cells = [[found.get((site, layer)) for layer in layers] for site in sites]
    figure = go.Figure(
        go.Heatmap(
            z=[[None if cell is None else math.log2(max(cell["bits"], 1.0)) for cell in row] for row in cells],
            x=[f"Layer {layer}" for layer in layers],
            y=[plain(site) for site in sites],
            text=[["" if cell is None else bits_text(cell["bits"]) for cell in row] for row in cells],
            texttemplate="%{text}",
            customdata=[["" if cell is None else _place_hover(cell) for cell in row] for row in cells],
            hovertemplate="%{customdata}<extra></extra>",
            zmin=0,
            zmax=5,
            colorscale=[list(stop) for stop in BITS_SCALE],
            xgap=2,
            ygap=2,
            colorbar={
                "title": {"text": "bits", "side": "top"},
                "tickvals": [0, 1, 2, 3, 4, 5],
                "ticktext": ["1", "2", "4", "8", "16", "32"],
                "thickness": 12,
                "outlinewidth": 0,
            },
        )
    )
    figure.update_layout(
        **chart_layout(height=84 + 34 * max(len(sites), 3), revision=f"bits:{scope}"),
        xaxis=axis("", side="bottom", showgrid=False),
        yaxis=axis(f"Site ({scope})", autorange="reversed", showgrid=False),
    )
    return figure


def memory_chart(memory: Mapping[str, Mapping[str, float | None]]) -> go.Figure:
    """Bars of what inference keeps in memory: {"this run": {part: bytes}, "fp32": {part: bytes}}, with shares."""
    names = list(memory)
    figure = go.Figure()
    totals = {name: sum(value or 0 for value in memory[name].values()) for name in names}
    for part, color in PARTS.items():
        values = [memory[name].get(part) or 0.0 for name in names]
        if not any(values):
            continue
        shares = [
            100 * value / totals[name] if totals[name] else 0.0 for name, value in zip(names, values, strict=True)
        ]
        figure.add_bar(
            y=[plain(name) for name in names],
            x=[value / 1e6 for value in values],
            orientation="h",
            name=part,
            marker={"color": color},
            text=[f"{share:.0f} %" if share >= 6 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont={"color": "#fff"},
            textangle=0,
            customdata=[
                f"<b>{plain(name)}</b><br>{part}: {value / 1e6:.3g} MB, {share:.1f} % of {totals[name] / 1e6:.3g} MB"
                for name, value, share in zip(names, values, shares, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_layout(
        **chart_layout(height=110 + 44 * len(names), revision="memory"),
        barmode="stack",
        legend_traceorder="normal",
        xaxis=axis("Memory (10⁶ bytes)"),
        yaxis=axis("", autorange="reversed"),
    )
    return figure


def roofline_chart(
    points: Sequence[Mapping[str, Any]],
    baseline: Sequence[Mapping[str, Any]],
    *,
    peak: float,
    bandwidth: float,
    densities: Mapping[str, float],
) -> go.Figure:
    """Attainable work against operational intensity; each product's point, moved from where fp32 has it.

    ``points`` and ``baseline``: {name, intensity (MAC a byte), attainable (MAC/s), format}, the same names in both.
    ``peak``: fp32's MAC/s of the device; ``bandwidth``: bytes/s; ``densities``: arithmetic density of each format.
    """
    figure = go.Figure()
    everything = [*points, *baseline]
    if everything:
        low = min(point["intensity"] for point in everything) / 3
        high = max(*(point["intensity"] for point in everything), peak / bandwidth) * 3
        roofs: dict[str, float] = {"fp32": peak}
        for point in points:
            roofs.setdefault(point["format"], peak * densities[point["format"]])
        for name, roof in sorted(roofs.items(), key=lambda item: item[1]):
            ridge = roof / bandwidth
            figure.add_scatter(
                x=[low, max(ridge, low), max(high, ridge * 1.5)],
                y=[min(roof, bandwidth * low), min(roof, bandwidth * max(ridge, low)), roof],
                mode="lines",
                line={"color": _color(name), "width": 1.5},
                name=f"roof, {name}",
                hovertemplate=f"{plain(name)}: {roof / 1e9:.3g} GMAC/s<extra></extra>",
            )
    before = {point["name"]: point for point in baseline}
    for point in points:
        start = before.get(point["name"])
        if start is None:
            continue
        figure.add_scatter(
            x=[start["intensity"], point["intensity"]],
            y=[start["attainable"], point["attainable"]],
            mode="lines",
            line={"color": ACCENT, "width": 1, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
    for name, found, symbol, size in (("fp32", baseline, "circle-open", 9), ("this run", points, "circle", 11)):
        if found:
            figure.add_scatter(
                x=[point["intensity"] for point in found],
                y=[point["attainable"] for point in found],
                mode="markers",
                name=name,
                marker={
                    "symbol": symbol,
                    "size": size,
                    "color": [_color(point["format"]) for point in found],
                },
                customdata=[_roof_hover(point) for point in found],
                hovertemplate="%{customdata}<extra></extra>",
            )
    figure.update_layout(
        **chart_layout(height=420, revision="roofline"),
        xaxis=axis("Operational intensity (MAC a byte read or written)", type="log", dtick=1),
        yaxis=axis("Attainable (MAC/s)", type="log", exponentformat="SI", dtick=1),
    )
    return figure


def _color(format: str) -> str:
    return family_style(scheme_family(format)).color


def bits_text(bits: float) -> str:
    """ "8", "5.5": as many digits as tell."""
    return f"{bits:.2f}".rstrip("0").rstrip(".")


def _place_hover(row: Mapping[str, Any]) -> str:
    formats = ", ".join(plain(name) for name in row["formats"])
    return (
        f"<b>layer {row['layer']}, {plain(row['site'])}</b><br>{bits_text(row['bits'])} bits an element<br>"
        f"{formats}<br>{row['elements']:,} elements an epoch"
    )


def _roof_hover(point: Mapping[str, Any]) -> str:
    return (
        f"<b>{plain(point['name'])}</b>, {plain(point['format'])}<br>{point['intensity']:.3g} MAC a byte<br>"
        f"at most {point['attainable'] / 1e9:.3g} GMAC/s"
    )
