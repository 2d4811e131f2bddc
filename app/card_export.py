"""A run's cost card for papers and scripts, as SVG and JSON, and the model that the run has left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import streamlit as st

from app.card_figures import figure_rows, memory_parts, site_rows, value_text
from app.card_roofline import Roofs, chosen_device, find_roofs, roofs_text
from app.charts.cost_svg import cost_svg
from app.connection import artifacts, ask_rows, read_artifact, settings
from app.digits import bytes_text
from app.measured import conditions_text, measurement_rows
from app.phrases import literal
from engine.artifacts import left_by
from engine.costs import CostTable
from engine.errors import BitfrontError, InputError
from engine.ledger.certainty import certainty
from engine.ledger.densities import Scope
from engine.ledger.figures import Ledger
from engine.measure import QUANTITIES

SCOPES: Sequence[Scope] = ("training", "inference")


def card_data(
    row: Mapping[str, Any], ledger: Ledger, device: CostTable | None, measured: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The whole card as JSON values; every figure under its definition's name.

    ``device``: the roofline's; ``measured``: the store's ``measurements`` of the run.
    """
    return {
        "run": row["run"],
        "dataset": row["dataset"],
        "model": row["model"],
        "scheme": row["scheme"],
        "synthetic": bool(row["synthetic"]),
        "cost_table": _table_data(ledger.table),
        "figures": {
            figure.name: {
                "title": figure.title,
                "value": value,
                "unit": figure.unit,
                "scope": figure.scope,
                "coverage": figure.coverage,
                "certainty": certainty(figure, ledger),
                "definition": figure.definition,
                "source": figure.source,
            }
            for figure, value in figure_rows(ledger, "training", everything=True)
        },
        "bits": {scope: site_rows(ledger, scope) for scope in SCOPES},
        "memory_bytes": memory_parts(ledger),
        "roofline": None if device is None else _roofline_data(row, ledger, device),
        "measured": _measured_data(measured),
        "ledger": [found.model_dump() for found in ledger.rows],
    }


def _table_data(table: CostTable) -> dict[str, Any]:
    names = ("name", "title", "source", "kind", "recalled")
    return {name: getattr(table, name) for name in names}


def _roofline_data(row: Mapping[str, Any], ledger: Ledger, device: CostTable) -> dict[str, Any]:
    """Points by scope; in the place of a scope's points, why there are none."""
    scopes: dict[str, Any] = {}
    for scope in SCOPES:
        try:
            found = find_roofs(row, ledger, scope, device)
        except InputError as error:
            scopes[scope] = {"reason": str(error)}
            continue
        scopes[scope] = {
            "points": [asdict(point) for point in found.points],
            "fp32": [asdict(point) for point in found.in_fp32],
            "densities": found.densities,
            "certainty": found.certainty,
        }
    about = {"peak_macs_per_second": device.peak, "bandwidth_bytes_per_second": device.bandwidth}
    return {"device": _table_data(device) | about, "scopes": scopes}


def _measured_data(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not measured:
        return None
    first = measured[0]
    values = {(row["quantity"], row["variant"]): row["value"] for row in measured}
    return {
        **{name: first[name] for name in ("host", "cpu", "device", "threads", "allocator", "epochs")},
        "measured_at": f"{first['measured_at']:%Y-%m-%dT%H:%M:%SZ}",
        "quantities": {
            name: {
                "title": quantity.title,
                "value": values[name, "run"],
                "fp32": values.get((name, "fp32")),
                "unit": quantity.unit,
                "definition": quantity.definition,
            }
            for name, quantity in QUANTITIES.items()
            if (name, "run") in values
        },
    }


def show_export(row: Mapping[str, Any], ledger: Ledger, scope: Scope) -> None:
    """Draw the section of a run (a row of the query ``run``)."""
    synthetic = "synthetic-" if row["synthetic"] else ""
    name = f"{synthetic}cost-{row['run']}"
    measured, device = ask_rows("measurements", runs=row["run"]), chosen_device()
    with st.container(horizontal=True):
        st.download_button(
            "Card as SVG",
            card_svg(row, ledger, scope, device, measured).encode(),
            f"{name}.svg",
            "image/svg+xml",
            icon=":material/image:",
            key="cost-svg",
            on_click="ignore",
        )
        st.download_button(
            "Card as JSON",
            json.dumps(card_data(row, ledger, device, measured), indent=1, allow_nan=False).encode(),
            f"{name}.json",
            "application/json",
            icon=":material/data_object:",
            key="cost-json",
            on_click="ignore",
        )
    st.caption(
        "For papers and scripts: every figure with its definition, the roofline of the device chosen there, what was "
        "measured; the JSON holds the ledger too."
    )
    _files(row["run"])


def card_svg(
    row: Mapping[str, Any],
    ledger: Ledger,
    scope: Scope,
    device: CostTable | None,
    measured: Sequence[Mapping[str, Any]],
) -> str:
    """The card as one picture, of one scope."""
    figures = [(figure.axis, value_text(figure, value, ledger)) for figure, value in figure_rows(ledger, scope)]
    title = f"{row['scheme']} on {row['dataset']}, {row['model']}"
    caption = f"run {row['run']} · {scope} · cost table: {ledger.table.title}"
    caption += " (recalled)" if ledger.table.recalled else ""
    caption += " · synthetic data" if row["synthetic"] else ""
    roofs = _roofs(row, ledger, scope, device)
    return cost_svg(
        title,
        caption,
        figures,
        site_rows(ledger, scope),
        memory_parts(ledger),
        roofline=None if roofs is None else asdict(roofs) | {"peak": roofs.peak, "bandwidth": roofs.bandwidth},
        roofline_caption="" if roofs is None else roofs_text(roofs),
        measured=measurement_rows(measured),
        measured_caption=conditions_text(measured[0]) if measured else "",
    )


def _roofs(row: Mapping[str, Any], ledger: Ledger, scope: Scope, device: CostTable | None) -> Roofs | None:
    try:
        return None if device is None else find_roofs(row, ledger, scope, device)
    except InputError:
        return None


def _files(run: str) -> None:
    """The run's files, to download: from this machine, else from the store."""
    found = ask_rows("artifacts", run=run)
    if not found:
        return
    st.markdown("**Trained model**, of the epoch of best validation")
    with st.container(horizontal=True):
        for file in found:
            content = _content(run, file["name"])
            label = f"{file['name']} ({bytes_text(file['bytes'])})"
            if content is None:
                st.caption(literal(f"{label} lies on the machine of its worker"))
                continue
            st.download_button(
                label,
                content,
                f"{run}-{file['name']}",
                icon=":material/download:",
                key=f"artifact-{file['name']}",
                on_click="ignore",
                help=f"SHA-256 {file['sha256']}",
            )
    st.caption("Weights in their packed formats, with a readable manifest; `engine.load(path).predict(data)` runs it.")


def _content(run: str, name: str) -> Callable[[], bytes] | None:
    """What reads a file once somebody wants it; None where neither this machine nor the store has it."""
    path = left_by(settings().artifacts / run, name)
    if path.is_file():
        return path.read_bytes
    try:
        attempts = [file["attempt"] for file in artifacts(run) if file["name"] == name]
    except BitfrontError:
        return None
    return partial(read_artifact, run, attempts[0], name) if attempts else None
