"""A report: sections of text, figures and tables as one HTML file that opens without a server, its charts alive."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import pandas as pd
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from app.charts.layout import CONFIG

MOST_ROWS = 200
"""Rows of a table in a report."""

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.55 system-ui, sans-serif; color: #17212b; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.25rem; margin-top: 2.4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
.said { white-space: pre-wrap; } .small { color: #5a6772; font-size: .85rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid #dbe1e5; text-align: left; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; padding: .6rem .8rem; background: #f3f6f8; font-size: .82rem; }
a { color: #0f766e; }
@media print { body { margin: 0; max-width: none; } section { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Drawn:
    """A figure with its title and what it shows, for those who do not see it."""

    title: str
    figure: go.Figure
    alt: str


@dataclass(frozen=True)
class Listed:
    """A table with its title; numbers have the digits of their column's format, else four."""

    title: str
    table: pd.DataFrame
    formats: Mapping[str, str] = field(default_factory=dict)
    """By column, as C prints: "%.2f"."""


@dataclass(frozen=True)
class Said:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Written:
    """A text with its title, as it was typed: a scheme, a file."""

    title: str
    text: str


Part: TypeAlias = Drawn | Listed | Said | Written
Parts: TypeAlias = tuple[list[Part], list[str]]
"""What a section shows, and what must be said of it."""

GENERATED = "Data marked synthetic is generated, not measured."


@dataclass(frozen=True)
class Section:
    """A saved view in the report."""

    title: str
    note: str = ""
    link: str = ""
    parts: Sequence[Part] = ()
    remarks: Sequence[str] = field(default_factory=tuple)
    """What must be said of it: that data is generated, caveats."""


def report_html(title: str, text: str, sections: Sequence[Section], made_at: datetime) -> str:
    """The whole file. plotly's library is in it once, and nothing is asked of any server."""
    body = [f"<h1>{_text(title)}</h1>", f'<p class="small">Made by Bitfront, {made_at:%Y-%m-%d %H:%M} UTC</p>']
    if text:
        body.append(f'<p class="said">{_text(text)}</p>')
    number = 0
    for section in sections:
        body.append(f"<section><h2>{_text(section.title)}</h2>")
        if section.note:
            body.append(f'<p class="said">{_text(section.note)}</p>')
        for part in section.parts:
            number += 1
            body.append(_shown(part, number))
        body += [f'<p class="small">{_text(remark)}</p>' for remark in dict.fromkeys(section.remarks)]
        if section.link:
            link = html.escape(section.link)
            body.append(f'<p class="small"><a href="{link}">This view in Bitfront</a></p>')
        body.append("</section>")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_text(title)}</title>'
    script = f"<script>{get_plotlyjs()}</script>"
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style>{script}</head>'
        f"<body>{''.join(body)}</body></html>"
    )


def _shown(part: Part, number: int) -> str:
    match part:
        case Drawn():
            return _drawn(part, number)
        case Listed():
            return _listed(part)
        case Written():
            return f"<h3>{_text(part.title)}</h3><pre>{_text(part.text)}</pre>"
        case Said():
            return f"<p>{_text(part.text)}</p>"


def _drawn(part: Drawn, number: int) -> str:
    figure = go.Figure(part.figure)
    figure.update_layout(template="plotly_white", font={"family": "system-ui, sans-serif", "size": 12})
    drawn = to_html(
        figure,
        config={**CONFIG, "responsive": True},
        include_plotlyjs=False,
        full_html=False,
        div_id=f"figure-{number}",
    )
    return f'<h3>{_text(part.title)}</h3><div role="img" aria-label="{html.escape(part.alt)}">{drawn}</div>'


def _listed(part: Listed) -> str:
    shown = part.table.head(MOST_ROWS)
    head = "".join(f"<th>{_text(name)}</th>" for name in shown.columns)
    formats = [part.formats.get(name, "%.4g") for name in shown.columns]
    rows = "".join(f"<tr>{''.join(map(_cell, row, formats))}</tr>" for row in shown.itertuples(index=False))
    left = len(part.table) - len(shown)
    more = f'<p class="small">{left} more rows.</p>' if left else ""
    return f'<h3>{_text(part.title)}</h3><div class="table"><table><tr>{head}</tr>{rows}</table></div>{more}'


def _cell(value: object, format: str) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)) or value is pd.NaT or value is pd.NA:
        return "<td></td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, int | float):
        return f'<td class="number">{f"{value:,}" if isinstance(value, int) else _printed(value, format)}</td>'
    return f"<td>{_text(value)}</td>"


def _printed(value: float, format: str) -> str:
    """As C prints, but what rounds to nothing has no minus."""
    text = format % value
    return text if value >= 0 or any(digit in text for digit in "123456789") else format % 0.0


def _text(value: object) -> str:
    return html.escape(str(value), quote=False)
