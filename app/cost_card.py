"""A run's cost card: its figures by their definitions, where the bits are, memory, the roofline, what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.cost_svg import cost_svg
from app.charts.costs import bits_chart, memory_chart, roofline_chart
from app.charts.layout import CONFIG
from app.connection import ask_rows, settings
from app.digits import bytes_text
from app.measure_panel import show_measured
from app.phrases import literal, quantity, sentence_case
from app.run_table import ENDED
from engine.artifacts import left_by
from engine.costs import CostTable, list_tables, load_table
from engine.errors import InputError
from engine.events import LedgerRow
from engine.formats import get_format
from engine.ledger import ledger_in_fp32, trained_size
from engine.ledger.accumulators import accumulator_verdict
from engine.ledger.by_site import bits_by_site
from engine.ledger.densities import Scope
from engine.ledger.figures import (
    FIGURES,
    Figure,
    Ledger,
    attention_memory,
    feature_memory,
    weight_memory,
)
from engine.ledger.roofline import roofline
from engine.spec import RunSpec

FIRST = (
    "memory_density",
    "arithmetic_density",
    "average_bits",
    "average_bits_sgquant",
    "average_bits_a2q",
    "average_bits_mixq",
    "feature_memory",
    "feature_saving",
    "weight_memory",
    "weight_saving",
    "bit_operations",
    "traffic",
    "peak_footprint",
)
"""What the card shows before one asks for all: figures, or their part before the scope."""


def show_costs(row: Mapping[str, Any]) -> None:
    """Draw the section of a run (a row of the query ``run``)."""
    st.markdown("**What it costs**")
    rows = [LedgerRow.model_validate(found) for found in ask_rows("ledger", run=row["run"])]
    if not rows:
        st.caption("The ledger comes with the first epoch." if row["state"] not in ENDED else "No ledger was recorded.")
        return
    table, scope = _choose(row)
    batches = json.loads(row["provenance"] or "{}").get("batches", 1)
    ledger = Ledger(rows, table, row["best_epoch"] if row["state"] == "finished" else None, batches)
    parts = {
        "Figures": lambda: _figures(ledger, scope),
        "Where the bits are": lambda: _bits(ledger, scope, row["run"]),
        "Memory": lambda: _memory(ledger, row["run"]),
        "Roofline": lambda: _roofline(ledger, scope, row),
        "Measured": lambda: show_measured(row),
        "Export": lambda: _export(row, ledger, scope),
    }
    for tab, draw in zip(st.tabs(list(parts), key="cost", bind="query-params"), parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _bits(ledger: Ledger, scope: Scope, run: str) -> None:
    st.plotly_chart(
        bits_chart(site_rows(ledger, scope), scope=scope),
        key=f"cost-bits-{run}-{scope}",
        config=CONFIG,
        alt=f"Mean bits of an element by site and layer, {scope}",
    )
    st.caption("Mean bits of what products read at each site, ranges and shared exponents included.")
    if said := accumulator_verdict(ask_rows("diagnostics", runs=run, epochs="all"), ledger.table):
        st.caption(said)


def _memory(ledger: Ledger, run: str) -> None:
    st.plotly_chart(
        memory_chart(memory_parts(ledger)),
        key=f"cost-memory-{run}",
        config=CONFIG,
        alt="Memory of features, attention and weights, this run and fp32",
    )
    st.caption("What inference keeps: each tensor once, in its format (SGQuant, Fig. 1).")


def _choose(row: Mapping[str, Any]) -> tuple[CostTable, Scope]:
    tables, faults = list_tables(settings())
    names = {table.name: table for table in tables}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Cost table",
            list(names),
            format_func=lambda name: names[name].title,
            key="costs",
            bind="query-params",
            width=280,
            help="What a multiply-accumulate and a byte cost. Yours go into the folder "
            f"`{literal(settings().costs)}`: engine/costs/published.toml shows how.",
        )
        scopes: list[Scope] = ["training", "inference"]
        scope = st.segmented_control(
            "Scope",
            scopes,
            default=row["density_scope"] if row["density_scope"] in scopes else scopes[0],
            required=True,
            key="cost-scope",
            bind="query-params",
        )
    table = names[str(chosen)] if chosen in names else load_table()
    st.caption(f"{literal(table.title)}: {literal(table.source)}.")
    for fault in faults:
        st.warning(literal(fault), icon=":material/error:")
    return table, "inference" if scope == "inference" else "training"


def figure_rows(ledger: Ledger, scope: Scope, *, everything: bool = False) -> list[tuple[Figure, float]]:
    """The figures that apply, of this scope or of none."""
    found: list[tuple[Figure, float]] = []
    for name, figure in FIGURES.items():
        if not everything and (name.split(".")[0] not in FIRST or figure.scope not in (scope, None)):
            continue
        if (value := figure.compute(ledger)) is not None:
            found.append((figure, value))
    return found


def _figures(ledger: Ledger, scope: Scope) -> None:
    everything = st.toggle("All definitions", key="cost-all", bind="query-params")
    found = figure_rows(ledger, scope, everything=everything)
    frame = figure_table(found)
    if ledger.lacks:
        st.caption(f"{sentence_case(ledger.lacks)}.")
    if not everything:
        st.table(frame, border="horizontal", hide_index=True)
        return
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        alt="Figures with their definitions",
        column_config={
            "Figure": st.column_config.TextColumn(pinned=True),
            "Value": st.column_config.TextColumn(width="small"),
            "Definition": st.column_config.TextColumn(width="large"),
        },
    )


def figure_table(found: Sequence[tuple[Figure, float]]) -> pd.DataFrame:
    """Figures as people read them, each with the name and the text of its definition."""
    return pd.DataFrame(
        {
            "Figure": [figure.title for figure, _ in found],
            "Value": [quantity(value, figure.unit) for figure, value in found],
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


def rows_in_fp32(row: Mapping[str, Any]) -> list[LedgerRow]:
    """The ledger of the same run in fp32; none where a run of before did not say what it trained on."""
    size = trained_size(json.loads(row["provenance"] or "{}"))
    # Without its scheme, whose recipe may be a file that is not here.
    spec = json.loads(row["spec"]) | {"scheme": "fp32"}
    return [] if size is None else ledger_in_fp32(RunSpec.parse(spec), size)


def _roofline(ledger: Ledger, scope: Scope, row: Mapping[str, Any]) -> None:
    devices = [table for table in list_tables(settings())[0] if table.peak and table.bandwidth]
    names = {table.name: table for table in devices}
    if not names:
        st.caption("No cost table names a device's peak and bandwidth.")
        return
    chosen = st.selectbox(
        "Device", list(names), format_func=lambda name: names[name].title, key="roof", bind="query-params", width=280
    )
    device = names[str(chosen)] if chosen in names else devices[0]
    assert device.peak is not None
    assert device.bandwidth is not None
    sizes = {"peak": device.peak, "bandwidth": device.bandwidth}
    try:
        points = roofline(ledger.rows, scope, **sizes, table=ledger.table, epoch=ledger.epoch)
    except InputError as error:
        st.info(literal(error), icon=":material/info:")
        return
    baseline = roofline(rows_in_fp32(row), scope, peak=device.peak, bandwidth=device.bandwidth)
    st.plotly_chart(
        roofline_chart(
            [asdict(point) for point in points],
            [asdict(point) for point in baseline],
            **sizes,
            densities={point.format: _density_of(point.format, ledger.table) for point in points},
        ),
        key=f"cost-roofline-{row['run']}-{scope}",
        config=CONFIG,
        alt=f"Attainable work against operational intensity, {scope}, this run and fp32",
    )
    bound = sum(point.bound == "traffic" for point in points)
    st.caption(
        f"{literal(device.title)}: {device.peak / 1e9:,.0f} GMAC/s in fp32, {device.bandwidth / 1e9:,.0f} GB/s "
        f"({literal(device.source)}). {bound} of {len(points)} products are bound by memory traffic."
        + ("" if baseline else " Where fp32 has them is not known: the run did not yet say what it trained on.")
    )


def _density_of(format: str, table: CostTable) -> float:
    found = table.density(get_format(format))
    assert found is not None, "a point on the roofline has a density"
    return found.value


def card_data(row: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    """The whole card as JSON values; every figure under its definition's name."""
    scopes: list[Scope] = ["training", "inference"]
    return {
        "run": row["run"],
        "dataset": row["dataset"],
        "model": row["model"],
        "scheme": row["scheme"],
        "synthetic": bool(row["synthetic"]),
        "cost_table": {"name": ledger.table.name, "source": ledger.table.source},
        "figures": {
            figure.name: {
                "title": figure.title,
                "value": value,
                "unit": figure.unit,
                "scope": figure.scope,
                "coverage": figure.coverage,
                "definition": figure.definition,
                "source": figure.source,
            }
            for figure, value in figure_rows(ledger, "training", everything=True)
        },
        "bits": {scope: site_rows(ledger, scope) for scope in scopes},
        "memory_bytes": memory_parts(ledger),
        "ledger": [found.model_dump() for found in ledger.rows],
    }


def _export(row: Mapping[str, Any], ledger: Ledger, scope: Scope) -> None:
    synthetic = "synthetic-" if row["synthetic"] else ""
    name = f"{synthetic}cost-{row['run']}"
    figures = [(f.axis, quantity(value, f.unit)) for f, value in figure_rows(ledger, scope)]
    title = f"{row['scheme']} on {row['dataset']}, {row['model']}"
    caption = f"run {row['run']} · {scope} · cost table: {ledger.table.title}"
    caption += " · synthetic data" if row["synthetic"] else ""
    with st.container(horizontal=True):
        st.download_button(
            "Card as SVG",
            cost_svg(title, caption, figures, site_rows(ledger, scope), memory_parts(ledger)).encode(),
            f"{name}.svg",
            "image/svg+xml",
            icon=":material/image:",
            key="cost-svg",
            on_click="ignore",
        )
        st.download_button(
            "Card as JSON",
            json.dumps(card_data(row, ledger), indent=1, allow_nan=False).encode(),
            f"{name}.json",
            "application/json",
            icon=":material/data_object:",
            key="cost-json",
            on_click="ignore",
        )
    st.caption("For papers and scripts: every figure with its definition; the JSON holds the ledger too.")
    _files(row["run"])


def _files(run: str) -> None:
    """The run's files: here to download where this machine has them."""
    found = ask_rows("artifacts", run=run)
    if not found:
        return
    st.markdown("**Trained model**, of the epoch of best validation")
    with st.container(horizontal=True):
        for file in found:
            path = left_by(settings().artifacts / run, file["name"])
            if path.is_file():
                st.download_button(
                    f"{file['name']} ({bytes_text(file['bytes'])})",
                    path.read_bytes(),
                    f"{run}-{file['name']}",
                    icon=":material/download:",
                    key=f"artifact-{file['name']}",
                    on_click="ignore",
                    help=f"SHA-256 {file['sha256']}",
                )
            else:
                st.caption(literal(f"{file['name']} ({bytes_text(file['bytes'])}) lies on the machine of its worker"))
    st.caption("Weights in their packed formats, with a readable manifest; `engine.load(path).predict(data)` runs it.")
