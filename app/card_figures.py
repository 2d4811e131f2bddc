"""What a run's cost card says, without Streamlit: figures by their definitions, cells of the bits' map, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from app.phrases import quantity
from engine.ledger.by_site import bits_by_site
from engine.ledger.certainty import certainty
from engine.ledger.densities import Scope
from engine.ledger.figures import (
    FIGURES,
    Figure,
    Ledger,
    attention_memory,
    feature_memory,
    weight_memory,
)

FIRST = (
    "memory_density",
    "arithmetic_density",
    "average_bits",
    "average_bits_sgquant",
    "average_bits_a2q",
    "average_bits_mixq",
    "feature_memory",
    "feature_saving",
    "node_memory",
    "node_saving",
    "weight_memory",
    "weight_saving",
    "bit_operations",
    "traffic",
    "peak_footprint",
)
"""What the card shows before one asks for all: figures, or their part before the scope."""


def figure_rows(ledger: Ledger, scope: Scope, *, everything: bool = False) -> list[tuple[Figure, float]]:
    """The figures that apply, of this scope or of none."""
    found: list[tuple[Figure, float]] = []
    for name, figure in FIGURES.items():
        if not everything and (name.split(".")[0] not in FIRST or figure.scope not in (scope, None)):
            continue
        if (value := figure.compute(ledger)) is not None:
            found.append((figure, value))
    return found


def value_text(figure: Figure, value: float, ledger: Ledger) -> str:
    """The value with its unit, and how a cost table's values in it are known where the table does not give them."""
    known = certainty(figure, ledger)
    return quantity(value, figure.unit) + (f" ({known})" if known not in ("published", None) else "")


def figure_table(found: Sequence[tuple[Figure, float]], ledger: Ledger) -> pd.DataFrame:
    """Figures as people read them, each with the name and the text of its definition."""
    return pd.DataFrame(
        {
            "Figure": [figure.title for figure, _ in found],
            "Value": [value_text(figure, value, ledger) for figure, value in found],
            "Holds for": [", ".join(filter(None, (figure.scope, figure.coverage))) for figure, _ in found],
            "Definition": [figure.definition for figure, _ in found],
            "Source": [figure.source for figure, _ in found],
        }
    )


def site_rows(ledger: Ledger, scope: Scope) -> list[dict[str, Any]]:
    """The cells of the bits' map."""
    return [asdict(found) for found in bits_by_site(ledger, scope)]


def memory_parts(ledger: Ledger) -> dict[str, dict[str, float | None]]:
    """What inference keeps, in bytes, as run and in fp32."""
    return {
        name: {"features": feature_memory(of), "attention": attention_memory(of), "weights": weight_memory(of)}
        for name, of in (("this run", ledger), ("fp32", ledger.in_fp32))
    }
