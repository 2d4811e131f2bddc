"""The graphs that steps, memory and inference are measured on."""

from __future__ import annotations

from collections.abc import Sequence

from engine.catalogue import unknown
from engine.errors import InputError

DATASETS = ("cora", "pubmed", "amazon-computers")
SMALL = ("karate",)
"""For a look at the measuring itself."""
SPARSE = ("cora", "pubmed")
"""Whose features are kept sparse unless a bench says otherwise."""


def choose(text: str, kind: str, allowed: Sequence[str]) -> list[str]:
    """Names set apart by commas. Raises InputError for an unknown one, or none at all."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"no {kind} is named: allowed are {', '.join(allowed)}")
    for name in names:
        if name not in (*allowed, *(SMALL if kind == "dataset" else ())):
            raise unknown(kind, name, list(allowed))
    return names
