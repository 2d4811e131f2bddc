"""Everything about one run: its results by three selections, densities, provenance, spec and caveats."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from app.caveats import show_caveats
from app.charts.pareto import MEANS
from app.clone import clone_parameters
from app.comparison.differences import spec_differences
from app.comparison.results import flattened
from app.connection import ask_frame, ask_rows
from app.cost_card import show_costs
from app.launching.elsewhere import command_line
from app.lost_accuracy import show_lost_accuracy
from app.phrases import duration, literal, megabytes, number
from app.precision_table import show_precision
from app.run_log import log_of, log_table, log_text
from app.run_notes import show_notes
from app.run_table import ENDED, dataset_label, state_badge
from engine.errors import InputError
from engine.ledger import preview
from engine.spec import RunSpec

NEVER = (
    "The best test value over the epochs. It is kept for comparison with papers that report it, never as the result."
)

HARMONIC, THESIS = (f"{name.capitalize()}: {about}." for name, about in MEANS.items())


def show_details(run: str) -> None:
    """Draw the details of a run. Raises StoreUnavailable."""
    found = ask_rows("run", run=run)
    if not found:
        st.info("The store has no such run (yet).", icon=":material/search_off:")
        return
    row = found[0]
    _title(row)
    show_notes(row)
    if row["state"] in ENDED and row["epoch"]:
        _results(row)
    show_precision(row)
    show_lost_accuracy(row)
    show_costs(row)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _densities(row)
        _spec(row)
    with right:
        _facts(row)
        _log(row)
    show_caveats([row["caveat"]])


def _title(row: dict[str, Any]) -> None:
    marks = [state_badge(row["state"])]
    if row["synthetic"]:
        marks.append(":violet-badge[:material/science: synthetic data]")
    if row["gap"] and row["state"] not in ENDED:
        marks.append(":orange-badge[some epochs are on their way]")
    about = f"{row['scheme']} on {dataset_label(row['dataset'], row['synthetic'])}, {row['model']}, seed {row['seed']}"
    if row["fold"] is not None:
        about += f", fold {row['fold']}"
    if row["task"]:
        about += f" · {row['task'].replace('-', ' ')}"
    name = f"{literal(row['name'])}: " if row["name"] else ""
    st.subheader(f"{name}{literal(about)} {' '.join(marks)}")


def _results(row: dict[str, Any]) -> None:
    unit = row["unit"] or ""
    metric = row["metric"] or "metric"
    epoch = f", epoch {row['best_epoch']}" if row["best_epoch"] else ""
    with st.grid(4, min_column_width=230):
        st.metric(
            f"Test {metric} at best validation",
            number(row["test_at_best_val"], unit),
            border=True,
            delta=f"headline{epoch}",
            delta_arrow="off",
            delta_color="off",
        )
        st.metric(
            f"Test {metric} at last epoch",
            number(row["test_last"], unit),
            border=True,
            delta="second selection",
            delta_arrow="off",
            delta_color="off",
        )
        st.metric(
            f"Best test {metric}",
            number(row["test_max"], unit),
            border=True,
            delta="never the headline",
            delta_arrow="off",
            delta_color="off",
            help=NEVER,
        )
        st.metric(
            f"Best validation {metric}",
            number(row["best_val"], unit),
            border=True,
            delta="chooses the epoch",
            delta_arrow="off",
            delta_color="off",
        )
    also = json.loads(row["also"] or "{}")
    if also:
        others = (f"{name}: {number(value)}" for name, value in also.items())
        st.caption(f"Other test metrics at best validation: {literal('; '.join(others))}")


def density_table(rows: pd.DataFrame) -> None:
    """Draw densities (the store's query of that name), the headline first, each mean by its name."""
    number = st.column_config.NumberColumn
    widest = "Of the epochs with the widest formats: what must fit."
    config = {
        "scope": st.column_config.TextColumn("Scope", pinned=True),
        "coverage": st.column_config.TextColumn("Coverage"),
        "memory": number("Memory (harmonic)", format="%.2f×", help=HARMONIC),
        "arithmetic": number("Arithmetic (harmonic)", format="%.2f×", help=HARMONIC),
        "arithmetic_thesis": number("Arithmetic (thesis)", format="%.2f×", help=THESIS),
        "average_bits": number("Bits", format="%.2f", help="Average bits an element."),
        "memory_thesis": number("Memory (thesis)", format="%.2f×", help=THESIS),
        "peak_memory_density": number("Memory, widest", format="%.2f×", help=widest),
        "arithmetic_label": st.column_config.TextColumn("Arithmetic is"),
    }
    st.dataframe(
        rows[list(config)],
        placeholder="",
        hide_index=True,
        height="content",
        alt="Densities by scope and coverage, the headline first",
        column_config=config,
    )


def _densities(row: dict[str, Any]) -> None:
    st.markdown("**Densities relative to fp32**, the headline first")
    rows = ask_frame("densities", run=row["run"])
    if rows.empty:
        try:
            rows = pd.DataFrame([found.model_dump() for found in preview(RunSpec.from_json(row["spec"]))])
        except InputError:
            st.caption("Densities are known when the run has finished.")
            return
        st.caption("Expected, by the scheme and the graph's size; the run's own follow when it has finished.")
    density_table(rows)


def _spec(row: dict[str, Any]) -> None:
    st.markdown("**Configuration**")
    as_json, as_toml, as_command, difference = st.tabs(["JSON", "TOML", "Command line", "Difference"])
    data = json.loads(row["spec"])
    with difference:
        _difference(row)
    st.page_link(
        "views/launch.py",
        label="Clone this run",
        icon=":material/content_copy:",
        query_params=clone_parameters(data, [data["seed"]], row["run"], one_fold=True),
    )
    as_json.code(json.dumps(data, indent=2), language="json")
    try:
        as_toml.code(RunSpec.parse(data).to_toml(), language="toml")
        as_command.code(command_line(RunSpec.parse(data), (data["seed"],)), language="bash", wrap_lines=True)
    except InputError as error:
        as_toml.caption(literal(error))


def _difference(row: dict[str, Any]) -> None:
    """Where the configuration differs from that of the run it was cloned from, or of any other."""
    other = st.text_input(
        "From the run", row["parent"] or "", key=f"other-{row['run']}", placeholder="id of another run", width=260
    )
    if not other:
        st.caption("It was cloned from none. Name a run to see where its configuration differs.")
        return
    found = ask_rows("run", run=other.strip())
    if not found:
        st.caption(literal(f"There is no run {other.strip()!r} here."))
        return
    rows = spec_differences({f"{other.strip()}": found[0]["spec"], "this run": row["spec"]})
    if rows:
        st.dataframe(rows, hide_index=True, height="content", alt="Fields in which the configurations differ")
    else:
        st.caption("The configurations are the same.")


def _log(row: dict[str, Any]) -> None:
    events = log_of(row, ask_rows("switches", runs=row["run"]), ask_rows("measurements", runs=row["run"]))
    with st.expander("Log", icon=":material/list_alt:"):
        st.dataframe(log_table(events), hide_index=True, height="content", alt="What happened to the run, oldest first")
        st.download_button(
            "Log as text",
            log_text(events).encode(),
            f"{row['run']}.log",
            "text/plain",
            icon=":material/download:",
            key=f"log-{row['run']}",
            on_click="ignore",
        )


def _facts(row: dict[str, Any]) -> None:
    st.markdown("**Where and when**")
    provenance = json.loads(row["provenance"]) if row["provenance"] else {}
    facts = {
        "Run": row["run"],
        "Dataset": dataset_label(row["dataset"], bool(row["synthetic"])),
        "Submitted": _time(row["submitted_at"]),
        "Started": _time(row["started_at"]),
        "Ended": _time(row["ended_at"]),
        "Training time": duration(row["seconds"]),
        "Peak memory": megabytes(row["peak_memory"]),
        "Device": row["run_device"],
        "Worker": row["worker"],
        "Host": row["host"],
        "Attempts": str(row["attempts"] or ""),
        "Sweep": row["sweep"],
        **{key.replace("_", " ").capitalize(): value for key, value in provenance.items() if _is_fact(value)},
    }
    st.table(
        {key: literal(value) for key, value in facts.items() if value not in (None, "", "–")},
        border="horizontal",
    )
    long = {key: value for key, value in provenance.items() if isinstance(value, dict | list)}
    if long:
        with st.expander("Environment", icon=":material/inventory_2:"):
            flat = {name: str(value) for name, value in flattened(long).items()}
            st.dataframe(
                {"What": list(flat), "Version or value": list(flat.values())},
                hide_index=True,
                height="content",
                alt="Versions of packages and fingerprints",
            )


def _is_fact(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _time(value: Any) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"
