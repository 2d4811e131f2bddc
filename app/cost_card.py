"""A run's cost card: its figures by their definitions, where the bits are, memory, the roofline, what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.card_export import show_export
from app.card_figures import figure_rows, figure_table, memory_parts, site_rows
from app.card_roofline import show_roofline
from app.charts.costs import bits_chart, memory_chart
from app.charts.layout import CONFIG
from app.connection import ask_rows, is_public, settings
from app.measure_panel import show_measured
from app.phrases import literal, sentence_case
from app.run_table import ENDED
from engine.costs import CostTable, list_tables, load_table
from engine.events import LedgerRow
from engine.ledger.accumulators import accumulator_verdict
from engine.ledger.densities import Scope
from engine.ledger.figures import Ledger


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
        "Roofline": lambda: show_roofline(row, ledger, scope),
        "Measured": lambda: show_measured(row),
        "Export": lambda: show_export(row, ledger, scope),
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
            help=_about_tables(),
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
    for fault in faults if not is_public() else ():  # it names the file
        st.warning(literal(fault), icon=":material/error:")
    return table, "inference" if scope == "inference" else "training"


def _about_tables() -> str:
    about = "What a multiply-accumulate and a byte cost."
    if is_public():
        return about
    return f"{about} Yours go into the folder `{literal(settings().costs)}`: engine/costs/published.toml shows how."


def _figures(ledger: Ledger, scope: Scope) -> None:
    everything = st.toggle("All definitions", key="cost-all", bind="query-params")
    found = figure_rows(ledger, scope, everything=everything)
    frame = figure_table(found, ledger)
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
