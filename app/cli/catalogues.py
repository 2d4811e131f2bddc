"""`bitfront list`: what can be picked, grown from the engine's catalogues."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.cli.reading import open_reader
from engine.datasets import DATASETS, GraphSize
from engine.datasets.archives import missing_packages, notes, whereabouts
from engine.datasets.entry import default_spec
from engine.datasets.known_size import known_size
from engine.formats import list_formats
from engine.models import MODELS
from engine.schemes import RECIPES
from engine.settings import Settings

MOST_SWEEPS = 100_000

Kind = Literal["datasets", "models", "schemes", "formats", "sweeps", "searches"]


def list_(
    kind: Kind,
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """List datasets, models, schemes or formats with their sources, or sweeps and searches with how far they are.

    Parameters
    ----------
    kind
        What to list.
    json_
        Print a JSON list, with everything that is known of each, instead of a table.
    """
    listing: dict[Kind, Callable[[], list[dict[str, Any]]]] = {
        "datasets": datasets,
        "models": models,
        "schemes": schemes,
        "formats": formats,
        "sweeps": sweeps,
        "searches": searches,
    }
    rows = listing[kind]()
    if json_:
        print(json.dumps(rows, indent=2, default=str))
        return
    columns = COLUMNS[kind]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        numeric = any(isinstance(row[column], int | float) for row in rows)
        justify, wraps = ("right", True) if numeric else ("left", column == "name")
        # A column of words is never narrower than a word; what does not fit goes on in the next line.
        least = 12 if not numeric and not wraps else None
        table.add_column(column.replace("_", " "), justify=justify, overflow="fold", no_wrap=wraps, min_width=least)
    for row in rows:
        table.add_row(*(escape(_cell(row[column])) for column in columns))
    Console().print(table)


COLUMNS: dict[Kind, tuple[str, ...]] = {
    "datasets": (
        "name",
        "size",
        "where",
        "needs",
        "tasks",
    ),
    "models": ("name", "summary", "options"),
    "schemes": ("name", "summary", "examples", "source"),
    "formats": ("name", "bits_an_element", "memory_density", "arithmetic_density", "arithmetic_density_is"),
    "searches": ("search", "name", "dataset", "model", "state", "asked", "winner", "saving"),
    "sweeps": ("name", "total", "finished", "running", "queued", "failed", "cancelled", "missing", "hours", "launched"),
}
"""What the tables show; --json has the rest."""


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _size(size: GraphSize) -> str:
    """A graph's size, or that of a set of them, in a line."""
    sets = f"{_cell(size.graphs)} graphs, " if size.graphs > 1 else ""
    whole = [(size.nodes, "nodes"), (size.edges, "edges"), (size.features, "features"), (size.classes, "classes")]
    return sets + ", ".join(f"{_cell(count)} {what}" for count, what in whole)


def datasets() -> list[dict[str, Any]]:
    settings = Settings()
    place = whereabouts(settings)
    rows = []
    for entry in DATASETS.values():
        spec = default_spec(entry)
        size = known_size(spec, settings) if spec else None
        rows.append(
            {
                "name": entry.name,
                "tasks": list(entry.tasks),
                "metric": entry.metric,
                "size": _size(size) if size else "what the files hold",
                "graphs": size and size.graphs,
                "nodes": size and size.nodes,
                "edges": size and size.edges,
                "features": size and size.features,
                "classes": size and size.classes,
                "where": place[entry.name],
                "needs": entry.needs,
                "missing_packages": missing_packages(entry.name),
                "splits": entry.splits,
                "licence": entry.licence,
                "synthetic": entry.synthetic,
                "summary": entry.summary,
                "caveat": notes(entry.name, settings),
                "options": _options(entry.spec),
            }
        )
    unknown = dict.fromkeys(rows[0])
    for family in DATASETS.families.values():
        of = {"tasks": ["those of NAME"], "where": "nothing to fetch", "needs": "nothing", "synthetic": True}
        rows.append({**unknown, **of, "name": f"{family.name}:NAME", "summary": family.summary, "options": []})
    return rows


def models() -> list[dict[str, Any]]:
    return [
        {
            "name": entry.name,
            "summary": entry.summary,
            "sites": list(entry.sites),
            "options": _options(entry.spec),
            "source": entry.source,
        }
        for entry in MODELS.values()
    ]


def schemes() -> list[dict[str, Any]]:
    return [
        {
            "name": recipe.name,
            "summary": recipe.summary,
            "examples": list(recipe.examples),
            "source": recipe.source,
        }
        for recipe in RECIPES.values()
    ]


def formats() -> list[dict[str, Any]]:
    return [
        {
            "name": format.name,
            "family": format.family,
            "bits_an_element": format.bits,
            "memory_density": format.memory_density,
            "arithmetic_density": format.arithmetic_density.value,
            "arithmetic_density_is": format.arithmetic_density.label,
        }
        for format in list_formats()
    ]


def sweeps() -> list[dict[str, Any]]:
    """What was launched, newest first; ``plan`` is the table that gives its runs, as JSON."""
    found = open_reader(Settings()).query("sweeps", limit=MOST_SWEEPS).to_pylist()
    return [
        {
            **row,
            "name": row["sweep"],
            "hours": round(row["hours"], 2),
            "launched": f"{row['first_submitted']:%Y-%m-%d %H:%M} UTC",
        }
        for row in found
    ]


def _options(spec: Any) -> list[str]:
    return [
        name if field.is_required() else f"{name}={json.dumps(field.default)}"
        for name, field in spec.model_fields.items()
        if name != "name"
    ]


def searches() -> list[dict[str, Any]]:
    """What was searched for on this home, newest first."""
    found = open_reader(Settings()).query("searches").to_pylist()
    rows = []
    for row in found:
        result = json.loads(row.pop("result") or "{}")
        del row["file"]
        times = {name: value and value.isoformat() for name, value in row.items() if name.endswith("_at")}
        rows.append({**row, **times, "winner": result.get("scheme"), "saving": result.get("saving")})
    return rows
