"""A run's cost card as one SVG for a paper: figures by their definitions, bits by site and layer, memory, measurements.

Plain shapes and text in a serif-free font, black on white, so that any program that sets papers takes it.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from app.charts.costs import BITS_SCALE, PARTS, bits_text
from app.theme import family_style, scheme_family

WIDTH, MARGIN, LINE = 720, 24, 18
"""Pixels: the card's width, its margin, a line of text."""
CELL, LABEL = 64, 110
"""Pixels: a cell of the bits' map, the column of names before it."""


def cost_svg(
    title: str,
    caption: str,
    figures: Sequence[tuple[str, str]],
    places: Sequence[Mapping[str, Any]],
    memory: Mapping[str, Mapping[str, float | None]],
    *,
    roofline: Mapping[str, Any] | None = None,
    roofline_caption: str = "",
    measured: Sequence[tuple[str, str, str]] = (),
    measured_caption: str = "",
) -> str:
    """The card. ``figures``: (name with definition, value with unit); ``places`` and ``memory`` as app.charts.costs.

    ``roofline``: {points, in_fp32, peak, bandwidth, densities} as there; ``measured``: (quantity, this run, fp32).
    """
    parts = [_text(MARGIN, MARGIN + 14, title, size=16, bold=True), _text(MARGIN, MARGIN + 34, caption, color="#555")]
    y = MARGIN + 64
    for name, value in figures:
        parts += [_text(MARGIN, y, name), _text(WIDTH - MARGIN, y, value, anchor="end", bold=True)]
        y += LINE
    if places:
        y += LINE
        parts.append(_text(MARGIN, y, "Bits of an element by site and layer", bold=True))
        drawn, y = _map(places, y + 10)
        parts += drawn
    if memory:
        y += LINE
        parts.append(_text(MARGIN, y, "Memory of inference, 10⁶ bytes", bold=True))
        drawn, y = _bars(memory, y + 10)
        parts += drawn
    if roofline and roofline["points"]:
        y += LINE
        parts.append(
            _text(MARGIN, y, "Roofline: attainable MAC/s by MAC a byte, from fp32 (open) to this run", bold=True)
        )
        drawn, y = _roofline(roofline, y + 10)
        lines, y = _paragraph(roofline_caption, y)
        parts += [*drawn, *lines]
    if measured:
        y += LINE
        parts.append(_text(MARGIN, y, "Measured", bold=True))
        parts.append(_text(WIDTH - MARGIN - 110, y, "this run", anchor="end", color="#555"))
        parts.append(_text(WIDTH - MARGIN, y, "fp32", anchor="end", color="#555"))
        for name, ours, theirs in measured:
            y += LINE
            parts.append(_text(MARGIN, y, name))
            parts.append(_text(WIDTH - MARGIN - 110, y, ours, anchor="end", bold=True))
            parts.append(_text(WIDTH - MARGIN, y, theirs, anchor="end"))
        lines, y = _paragraph(measured_caption, y)
        parts += lines
    height = y + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *parts, "</svg>\n"])


def _map(places: Sequence[Mapping[str, Any]], top: int) -> tuple[list[str], int]:
    layers = sorted({row["layer"] for row in places})
    sites = list(dict.fromkeys(row["site"] for row in places))
    wide = min(CELL, (WIDTH - 2 * MARGIN - LABEL) // max(len(layers), 1))
    parts = [
        _text(MARGIN + LABEL + column * wide + wide / 2, top + 12, f"layer {layer}", anchor="middle", color="#555")
        for column, layer in enumerate(layers)
    ]
    top += 18
    for line, site in enumerate(sites):
        parts.append(_text(MARGIN, top + line * 22 + 15, site))
    for row in places:
        x = MARGIN + LABEL + layers.index(row["layer"]) * wide
        y = top + sites.index(row["site"]) * 22
        color = _shade(row["bits"])
        parts.append(f'<rect x="{x}" y="{y}" width="{wide - 2}" height="20" fill="{color}"/>')
        parts.append(_text(x + wide / 2 - 1, y + 14, bits_text(row["bits"]), anchor="middle", color=_on(color)))
    return parts, top + 22 * len(sites) + 6


def _bars(memory: Mapping[str, Mapping[str, float | None]], top: int) -> tuple[list[str], int]:
    totals = {name: sum(value or 0 for value in parts.values()) for name, parts in memory.items()}
    scale = (WIDTH - 2 * MARGIN - LABEL - 70) / max(*totals.values(), 1e-12)
    drawn: list[str] = []
    for line, (name, parts) in enumerate(memory.items()):
        x, y = float(MARGIN + LABEL), top + line * 24
        drawn.append(_text(MARGIN, y + 14, name))
        for part, color in PARTS.items():
            wide = (parts.get(part) or 0.0) * scale
            if wide:
                drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="18" fill="{color}"/>')
            x += wide
        drawn.append(_text(x + 6, y + 14, f"{totals[name] / 1e6:.3g}"))
    y = top + 24 * len(memory) + 14
    x = float(MARGIN + LABEL)
    for part, color in PARTS.items():
        drawn.append(f'<rect x="{x}" y="{y - 10}" width="10" height="10" fill="{color}"/>')
        drawn.append(_text(x + 15, y, part, color="#555"))
        x += 100
    return drawn, y + 6


def _roofline(found: Mapping[str, Any], top: int) -> tuple[list[str], int]:
    """Both axes are logarithmic, with a line at each power of ten."""
    peak, bandwidth = found["peak"], found["bandwidth"]
    points, before = found["points"], {point["name"]: point for point in found["in_fp32"]}
    everything = [*points, *before.values()]
    roofs = {"fp32": peak} | {name: peak * density for name, density in found["densities"].items()}
    xs = [*(point["intensity"] for point in everything), *(roof / bandwidth for roof in roofs.values())]
    ys = [*(point["attainable"] for point in everything), *roofs.values()]
    x0, x1 = (math.log10(edge) for edge in (min(xs) / 2, max(xs) * 2))
    y0, y1 = (math.log10(edge) for edge in (min(ys) / 2, max(ys) * 2))
    left, wide, high = MARGIN + LABEL, WIDTH - 2 * MARGIN - LABEL - 90, 240

    def place(intensity: float, work: float) -> tuple[float, float]:
        x = left + (math.log10(intensity) - x0) / (x1 - x0) * wide
        return x, top + high - (math.log10(work) - y0) / (y1 - y0) * high

    drawn = [f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" fill="none" stroke="#999"/>']
    for power in range(math.ceil(x0), math.floor(x1) + 1):
        x, _ = place(10.0**power, 10**y0)
        drawn.append(_line(x, top, x, top + high, "#ddd"))
        drawn.append(_text(x, top + high + 14, f"{10.0**power:g}", anchor="middle", color="#555"))
    for power in range(math.ceil(y0), math.floor(y1) + 1):
        _, y = place(10**x0, 10.0**power)
        drawn.append(_line(left, y, left + wide, y, "#ddd"))
        drawn.append(_text(left - 6, y + 4, f"{10.0 ** (power - 9):g} G", anchor="end", color="#555"))
    for name, roof in roofs.items():
        color = family_style(scheme_family(name)).color
        start, ridge, end = 10**x0, max(roof / bandwidth, 10**x0), 10**x1
        corners = [place(start, max(min(roof, bandwidth * start), 10**y0)), place(ridge, roof), place(end, roof)]
        if bandwidth * start < 10**y0:
            corners[0] = place(10**y0 / bandwidth, 10**y0)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        drawn.append(_text(left + wide + 6, corners[-1][1] + 4, name, color=color))
    for point in points:
        x, y = place(point["intensity"], point["attainable"])
        color = family_style(scheme_family(point["format"])).color
        if point["name"] in before:
            start = before[point["name"]]
            from_x, from_y = place(start["intensity"], start["attainable"])
            drawn.append(_line(from_x, from_y, x, y, "#777", dashes="2 3"))
            drawn.append(f'<circle cx="{from_x:.1f}" cy="{from_y:.1f}" r="4" fill="#fff" stroke="#555"/>')
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>')
    return drawn, top + high + 24


def _line(x0: float, y0: float, x1: float, y1: float, color: str, *, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{color}"{dashed}/>'


def _paragraph(text: str, y: int) -> tuple[list[str], int]:
    """Small text in lines that fit."""
    drawn: list[str] = []
    for line in textwrap.wrap(text, 110):
        y += LINE
        drawn.append(_text(MARGIN, y, line, color="#555"))
    return drawn, y


def _shade(bits: float) -> str:
    """The colour of so many bits, on the charts' scale."""
    share = min(max(math.log2(max(bits, 1.0)) / 5, 0.0), 1.0)
    for (low, first), (high, second) in itertools.pairwise(BITS_SCALE):
        if share <= high:
            inside = (share - low) / (high - low)
            mixed = (round(a + inside * (b - a)) for a, b in zip(_rgb(first), _rgb(second), strict=True))
            return "#" + "".join(f"{value:02x}" for value in mixed)
    return BITS_SCALE[-1][1]


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _on(color: str) -> str:
    """Black or white, whichever is read on this colour."""
    red, green, blue = _rgb(color)
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#fff"


def _text(
    x: float, y: float, text: str, *, size: int = 12, bold: bool = False, anchor: str = "start", color: str = "#111"
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{color}"{weight}>'
        f"{escape(text)}</text>"
    )
