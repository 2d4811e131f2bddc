"""The service's page for people: every path and query, in plain HTML that needs nothing from the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #0b7285; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; font-size: 1.2rem; }
section { border-top: 1px solid var(--line); padding: .8rem 0; }
code { font: .9em ui-monospace, monospace; } .method { color: var(--accent); font-weight: 600; }
table { border-collapse: collapse; width: 100%; } td { padding: .15rem .8rem .15rem 0; vertical-align: top; }
details summary { cursor: pointer; opacity: .8; }
"""


def render(openapi: dict[str, Any], queries: Sequence[dict[str, Any]]) -> str:
    """The page: the interface's paths from its OpenAPI document, then the named queries."""
    info = openapi["info"]
    paths = "".join(
        _path(method, path, operation)
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f"<p>{_text(info.get('description', ''))}</p>"
        "<p>Machine-readable: <a href='openapi.json'>openapi.json</a>, <a href='queries'>queries</a></p>"
        f"<h2>Paths</h2>{paths}<h2>Named queries</h2>{''.join(map(_query, queries))}</body></html>"
    )


def _path(method: str, path: str, operation: dict[str, Any]) -> str:
    return (
        f"<section><code><span class='method'>{escape(method.upper())}</span> {escape(path)}</code>"
        f"<div>{_text(operation.get('description', ''))}</div></section>"
    )


def _query(query: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['type'])}"
        f"{'' if parameter['required'] else ' = ' + (escape(parameter['default']) or '(all)')}</td>"
        f"<td>{_text(parameter['description'])}"
        f"{': ' + escape(', '.join(parameter['allowed'])) if parameter['allowed'] else ''}</td></tr>"
        for parameter in query["parameters"]
    )
    columns = ", ".join(f"<code>{escape(name)}</code> {escape(kind)}" for name, kind in query["columns"].items())
    name = escape(query["name"])
    return (
        f"<section id='{name}'><code><span class='method'>GET</span> /query/{name}</code>"
        f"<div>{_text(query['description'])}</div><table>{rows}</table>"
        f"<details><summary>columns</summary>{columns}</details></section>"
    )


def _text(text: str) -> str:
    """Escaped text with `code` between backquotes."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
