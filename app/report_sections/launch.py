"""The Launch page in a report: the runs that its link would launch, with their densities, and the sweep's file."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from app.connection import ask_rows, uploads
from app.launching.elsewhere import toml_text
from app.launching.filling import CLONED, DETAIL, FILE
from app.launching.linked import plan_of_link
from app.launching.plan import Checked, check_plan, check_table
from app.launching.preview import MOST_CELLS, density_rows
from app.phrases import count
from app.report import GENERATED, Listed, Part, Parts, Said, Written
from engine.datasets import DATASETS
from engine.errors import InputError


def build(params: Mapping[str, list[str]]) -> Parts:
    """What the form would launch with this link, or the sweep whose file it takes."""
    if params.get(DETAIL) == [FILE]:
        sweep = next(iter(params.get(CLONED, [])), "")
        rows = ask_rows("sweeps", sweep=sweep) if sweep else []
        if not rows or not rows[0]["plan"]:
            return [], ["A sweep file was being written in this view: its text is not part of the link."]
        checked = check_table(json.loads(rows[0]["plan"]))
    else:
        try:
            checked = check_plan(plan_of_link(params, {row["id"]: row["labels"] for row in uploads()}))
        except InputError as error:
            return [], [f"The link does not say what can be launched: {error}."]
    return _parts(checked)


def _parts(checked: Checked) -> Parts:
    parts: list[Part] = [Said(f"{fault}.") for fault in checked.faults]
    if checked.cells:
        each = {"scheme": len({spec.scheme for spec in checked.cells}), "seed": len(checked.seeds)}
        each |= {"fold": checked.folds} if checked.folds > 1 else {}
        said = ", ".join(count(n, what) for what, n in each.items())
        parts.append(Said(f"{count(checked.runs, 'run')}: {said}."))
        rows, _ = density_rows(checked.cells)
        formats = {"Memory": "%.2f×", "Arithmetic": "%.2f×", "Bits": "%.2f"}
        parts.append(Listed("Densities relative to fp32", pd.DataFrame(rows), formats))
        if len(checked.cells) > MOST_CELLS:
            parts.append(Said(f"The first {MOST_CELLS} of {len(checked.cells)} groups."))
    if not checked.faults:
        parts.append(Written("Sweep file", toml_text(checked.table)))
    return parts, [GENERATED] if any(DATASETS[spec.dataset.name].synthetic for spec in checked.cells) else []
