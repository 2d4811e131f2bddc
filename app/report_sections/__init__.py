"""Saved views as sections of a report: what each page shows under a link, drawn again from the store.

A module a page, each with ``build``: the link's parameters in, the section's parts and remarks out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.report import Parts, Section
from app.report_sections import compare, launch, runs, search, sweeps
from app.share import parameters_of

_BUILDERS: Mapping[str, Callable[[Mapping[str, list[str]]], Parts]] = {
    "compare": compare.build,
    "runs": runs.build,
    "sweeps": sweeps.build,
    "search": search.build,
    "launch": launch.build,
}
"""By page; a page without one is named with its link only."""


def section_of(row: Mapping[str, Any], link: str) -> Section:
    """The section of a saved view (a row of ``views``), as the store has its runs now. Raises StoreUnavailable."""
    build = _BUILDERS.get(row["page"])
    parts, remarks = build(parameters_of(row["query"])) if build else ([], ["This page has nothing to print: open it."])
    return Section(row["title"], row["note"] or "", link, parts, remarks)
