"""Before a launch: how many runs, how long, at what densities, which bits when, and what would be lost at once."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import acts
from app.caveats import MIRROR_LOST, show_caveats
from app.charts.layout import CONFIG
from app.charts.precision import schedule_chart
from app.connection import ask_rows, settings
from app.launching.expected import Expected, expected_time
from app.launching.plan import Checked
from app.phrases import count, duration, literal, sentence_case
from app.schedules import Planned, planned
from app.sweep_grid import shared_time
from engine.datasets.archives import notes
from engine.datasets.known_inputs import inputs_zeroed
from engine.errors import InputError, RunError
from engine.ledger import preview
from engine.spec import RunSpec
from store.client import StoreUnavailable

MOST_CELLS = 100
"""Groups whose densities are shown."""
LOST = 0.5
"""Share of the non-zero inputs that may round to zero before it is warned."""


@st.cache_data(max_entries=2000, show_spinner=False)
def densities(spec: str) -> list[dict]:
    """The densities of a run, headline first, by its spec's JSON. Raises InputError where they are not known yet."""
    return [found.model_dump() for found in preview(RunSpec.from_json(spec))]


@st.cache_data(max_entries=2000, show_spinner=False)
def stages(spec: str) -> list[Planned]:
    """The schedule of a run, by its spec's JSON."""
    return planned(RunSpec.from_json(spec), settings())


def show_preview(launch: Checked) -> None:
    """Draw all of it; of a launch with faults as much as is known."""
    if not launch.cells:
        return
    _show_size(launch)
    _show_zeroed(launch.cells)
    _show_densities(launch.cells)
    _show_schedules(launch.cells)
    try:
        show_caveats(notes(name, settings()) for name in dict.fromkeys(spec.dataset.name for spec in launch.cells))
    except RunError as error:  # a mirror that cannot be read; the run will say so too
        show_caveats([str(error) if acts.may_change() else MIRROR_LOST])


def _show_size(launch: Checked) -> None:
    found, workers = _expected(launch)
    parts = {
        "dataset": len({spec.dataset.name for spec in launch.cells}),
        "architecture": len({spec.model.name for spec in launch.cells}),
        "scheme": len({spec.scheme for spec in launch.cells}),
        "seed": len(launch.seeds),
        "fold": launch.folds,
    }
    said = [count(n, what) for what, n in parts.items() if n > 1 or what in ("scheme", "seed")]
    runs, time = st.columns(2)
    runs.metric("Runs", launch.runs, help=" × ".join(said))
    time.metric(
        "Expected time",
        duration(shared_time(found.seconds, workers, launch.runs)) if found else "unknown",
        help=f"From earlier runs of {found.told_by}, {_shared_by(workers, launch.runs)}."
        if found
        else "No run has finished yet.",
    )


def _shared_by(workers: int, runs: int) -> str:
    return f"on {count(min(workers, runs), 'live worker')}" if workers else "as work of one worker; no worker is alive"


def _expected(launch: Checked) -> tuple[Expected | None, int]:
    try:
        paces, workers = ask_rows("history"), sum(row["alive"] for row in ask_rows("workers"))
    except StoreUnavailable:
        return None, 0
    return expected_time(launch.cells, len(launch.seeds) * launch.folds, paces), workers


def place_of(spec: RunSpec) -> str:
    """ "cora, gcn"."""
    return f"{spec.dataset.name}, {spec.model.name}"


def zeroed_texts(cells: Sequence[RunSpec]) -> list[str]:
    """Schemes that round more than half of a dataset's non-zero features to zero, as " int3 on cora: 93 %"."""
    found: dict[str, None] = {}
    for spec in cells:
        lost = inputs_zeroed(spec, settings())
        if lost is not None and lost[1] > LOST:
            format, share = lost
            through = "" if format == spec.scheme else f" (its {format})"
            found[f"{spec.scheme}{through} on {spec.dataset.name}: {100 * share:.0f} %"] = None
    return list(found)


def _show_zeroed(cells: Sequence[RunSpec]) -> None:
    texts = zeroed_texts(cells)
    if texts:
        more = f" and {count(len(texts) - 5, 'more')}" if len(texts) > 5 else ""
        st.warning(
            f"Of the non-zero inputs, these round more than half to zero before the first layer: "
            f"{literal('; '.join(texts[:5]))}{more}. Give the input more bits, or a scheme with a range a row.",
            icon=":material/blur_off:",
        )


def density_rows(cells: Sequence[RunSpec]) -> tuple[list[dict[str, Any]], list[str]]:
    """A line a group with its headline densities, at most so many; and why those that are not known yet are not."""
    rows, unknown = [], []
    datasets, models = {spec.dataset.name for spec in cells}, {spec.model.name for spec in cells}
    for spec in cells[:MOST_CELLS]:
        row: dict[str, Any] = {"Scheme": spec.scheme}
        row |= {"Dataset": spec.dataset.name} if len(datasets) > 1 else {}
        row |= {"Architecture": spec.model.name} if len(models) > 1 else {}
        rows.append(row)
        try:
            headline = densities(spec.to_json())[0]
        except InputError as error:
            row["Holds for"] = "known after the first run on this dataset"
            unknown.append(str(error))
            continue
        row |= {
            "Memory": headline["memory"],
            "Arithmetic": headline["arithmetic"],
            "Bits": headline["average_bits"],
            "Holds for": f"{headline['scope']}, {headline['coverage']}",
        }
    return rows, list(dict.fromkeys(unknown))


def _unpublished(cells: Sequence[RunSpec]) -> list[str]:
    """Schemes whose arithmetic density is not of the published table, with what it is."""
    found: dict[str, None] = {}
    for spec in cells[:MOST_CELLS]:
        with contextlib.suppress(InputError):
            label = densities(spec.to_json())[0]["arithmetic_label"]
            found |= {} if label == "published" else {f"{spec.scheme} ({label})": None}
    return list(found)


def _show_densities(cells: Sequence[RunSpec]) -> None:
    rows, unknown = density_rows(cells)
    for reason in unknown:
        st.caption(f"{sentence_case(literal(reason))}.")
    number = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) <= 16 else 600,
        alt="Densities of each scheme before launching",
        column_config={
            "Scheme": st.column_config.TextColumn(pinned=True),
            "Memory": number(
                format="%.2f×", help="Memory density: 32 / average bits an element, in this scope and coverage."
            ),
            "Arithmetic": number(
                format="%.2f×",
                help="Arithmetic density relative to fp32 (Rouhani et al. 2020), work-weighted harmonic mean.",
            ),
            "Bits": number(format="%.2f", help="Average bits an element, shared exponents included."),
            "Holds for": st.column_config.TextColumn(
                help="Scope and coverage. inference: forward products and aggregates; training: the backward ones "
                "too. quantized part: what the scheme quantizes."
            ),
        },
    )
    if len(cells) > MOST_CELLS:
        st.caption(f"The first {MOST_CELLS} of {len(cells)} groups.")
    if unpublished := _unpublished(cells):
        st.caption(literal(f"Arithmetic density beyond the published table: {', '.join(unpublished)}."))


def _show_schedules(cells: Sequence[RunSpec]) -> None:
    """The bits that the schemes plan, by epoch, where one of them changes its formats."""
    first = next((spec for spec in cells if spec.parsed_scheme.schedule), None)
    if first is None:
        return
    there = [spec for spec in cells if place_of(spec) == place_of(first)]
    plans = {spec.scheme: stages(spec.to_json()) for spec in there}
    where = f" on {place_of(first)}" if len(there) < len(cells) else ""
    st.markdown(f"**Bits by epoch**{literal(where)}")
    st.plotly_chart(
        schedule_chart(plans, first.training.epochs),
        key="schedules",
        config=CONFIG,
        alt=f"Bits by epoch as planned: {', '.join(plans)}",
    )
    if not all(stage.certain for found in plans.values() for stage in found):
        st.caption(
            "Dashed: signals of the run decide. Drawn is the earliest that they may raise the bits, so the densities "
            "above are the least that the run can have."
        )
