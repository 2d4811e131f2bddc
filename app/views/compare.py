"""Compare: the front between accuracy and density, and the table of seed groups."""

from __future__ import annotations

import json
import zlib
from typing import Any

import streamlit as st

from app.caveats import show_caveats
from app.charts.layout import CONFIG
from app.charts.pareto import DENSITY_TITLES, MEANS, Axes, pareto_chart
from app.connection import ask_frame, ask_rows, settings
from app.group_table import COLUMNS, described, group_table
from app.other_axes import (
    Value,
    choice_title,
    density_choice,
    figure_choices,
    gaps_text,
    is_priced,
    values_of,
    with_choice,
)
from app.phrases import count, duration, literal, mean_std, megabytes
from app.run_details import NEVER, density_table
from engine.costs import DEFAULT, CostTable, list_tables, load_table
from engine.errors import InputError
from engine.spec import RunSpec

Rows = list[dict[str, Any]]  # seed groups as app.group_table describes them

OTHER = "other"
SCOPES = ["training", "inference"]
COVERAGES = ["quantized part", "whole step"]
MOST_GROUPS = 1000
MOST_FRONTS = 8
MOST_LINKED = 40


def filters() -> dict[str, str]:
    facets = ask_rows("facets")

    def choose(label: str, kind: str, key: str) -> str:
        return (
            st.selectbox(
                label,
                [row["value"] for row in facets if row["kind"] == kind],
                index=None,
                key=key,
                bind="query-params",
                accept_new_options=True,
                placeholder="All",
            )
            or ""
        )

    with st.grid(4, min_column_width=140):
        asked = {
            "dataset": choose("Dataset", "dataset", "data"),
            "model": choose("Architecture", "model", "architecture"),
            "sweep": choose("Sweep", "sweep", "from"),
            "search": st.text_input(
                "Search",
                key="find",
                bind="query-params",
                type="search",
                live="300ms",
                placeholder="scheme, name, tag",
            )
            or "",
        }
    return asked


def choose_axes() -> tuple[Axes, str | None, CostTable]:
    """The axes; what their values are looked up by, where those are not the groups' own densities; the cost table."""
    densities = [*DENSITY_TITLES, OTHER]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        density = st.segmented_control(
            "Density",
            densities,
            format_func=lambda name: DENSITY_TITLES.get(name, "Another figure").split(" density")[0],
            default=densities[0],
            required=True,
            key="density",
            bind="query-params",
        )
        scope = st.segmented_control(
            "Scope",
            SCOPES,
            default=SCOPES[0],
            required=True,
            key="scope",
            bind="query-params",
            help="inference: forward products and aggregates; training: the backward ones too.",
        )
        coverage = st.segmented_control(
            "Coverage",
            COVERAGES,
            default=COVERAGES[0],
            required=True,
            key="coverage",
            bind="query-params",
            help="quantized part: what the scheme quantizes; whole step: the rest too, at fp32.",
        )
        mean = next(iter(MEANS))
        if density != OTHER:
            mean = st.segmented_control(
                "Mean over a run",
                list(MEANS),
                format_func=lambda name: name.split()[0],
                default=mean,
                required=True,
                key="mean",
                bind="query-params",
                help="  \n".join(f"{name}: {about}." for name, about in MEANS.items()),
            )
        log_x = st.toggle("Log axis", key="log", bind="query-params")
    chosen = density if density in DENSITY_TITLES else densities[0]
    axes = Axes(chosen, scope or SCOPES[0], coverage or COVERAGES[0], log_x, mean or next(iter(MEANS)))  # pyright: ignore
    return choose_other(axes, other=density == OTHER)


def choose_other(axes: Axes, *, other: bool) -> tuple[Axes, str | None, CostTable]:
    """Which figure, where it is not a density, and by which cost table, where one decides."""
    choice, table = None if other else density_choice(axes), load_table()
    faults: list[str] = []
    choices = figure_choices()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if other:
            choice = st.selectbox(
                "Figure", choices, format_func=choice_title, key="figure", bind="query-params", width=360
            )
            choice = choice if choice in choices else choices[0]
        if is_priced(str(choice)):
            known, faults = list_tables(settings())
            tables = {table.name: table for table in known}
            name = st.selectbox(
                "Cost table",
                list(tables),
                format_func=lambda name: tables[name].title,
                key="costs",
                bind="query-params",
                width=280,
                help="What a multiply-accumulate and a byte cost; a run's cost card says where to put your own.",
            )
            table = tables.get(str(name), table)
    if is_priced(str(choice)):
        recalled = " :orange-badge[:material/history_edu: recalled]" if table.recalled else ""
        st.caption(f"{literal(table.title)}: {literal(table.source)}.{recalled}")
        for fault in faults:
            st.warning(literal(fault), icon=":material/error:")
    default = table.name == DEFAULT
    if not other and (default or not is_priced(str(choice))):
        return axes, None, table
    axes = with_choice(axes, str(choice), table, default=default)
    assert axes.other is not None
    st.caption(literal(f"{axes.other.definition}."))
    return axes, choice, table


def show_empty(asked: dict[str, str]) -> None:
    if any(asked.values()):
        st.info("No run fits these filters.", icon=":material/filter_alt_off:")
        return
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("Nothing to compare yet", text_alignment="center")
        st.caption("Finished runs are gathered here by what they share but the seed.", text_alignment="center")
        st.page_link("views/launch.py", label="Launch a run", icon=":material/play_arrow:")


def _pick(group: str) -> None:
    st.query_params["group"] = group


def _close() -> None:
    st.query_params.pop("group", None)


def _point_clicked(key: str) -> None:
    points = st.session_state[key].selection.points
    if points and points[0].get("customdata"):
        _pick(points[0]["customdata"][0])


def _row_clicked(key: str, shown: list[str]) -> None:
    rows = st.session_state[key].selection.rows
    if rows:
        _pick(shown[rows[0]])
    else:
        _close()


def show_fronts(groups: Rows, axes: Axes, picked: str | None) -> None:
    """One chart a dataset: accuracies on different graphs are not compared."""
    finished = [row for row in groups if row["n"]]
    datasets = list(dict.fromkeys(row["dataset"] for row in finished))
    if not datasets:
        st.info("No run has finished yet: the front appears with the first one.", icon=":material/hourglass_top:")
        return
    shown = datasets[:MOST_FRONTS]
    columns = 1 if len(shown) == 1 else 2
    with st.grid(columns, min_column_width=420):
        for dataset in shown:
            members = [row for row in finished if row["dataset"] == dataset]
            key = f"front-{zlib.crc32(dataset.encode()):x}"
            with st.container():
                st.markdown(f"**{literal(dataset)}** · {count(len(members), 'seed group')}")
                if all(row[axes.column] is None for row in members):
                    st.info("None of them has a value on this axis.", icon=":material/block:")
                    continue
                st.plotly_chart(
                    pareto_chart(members, axes, picked=picked, height=460 if columns == 1 else 400),
                    key=key,
                    on_select=lambda key=key: _point_clicked(key),
                    selection_mode="points",
                    config=CONFIG,
                    alt=f"Test metric against {axes.title.replace('<br>', ' ')} on {dataset}, "
                    f"{count(len(members), 'seed group')}",
                )
    if len(datasets) > len(shown):
        st.caption(f"{len(datasets) - len(shown)} more datasets: choose one above.")
    show_caveats(row["caveat"] for row in finished if row["dataset"] in shown)


def show_table(groups: Rows, axes: Axes, picked: str | None) -> None:
    shown = [row["group_id"] for row in groups]
    key = f"groups-{zlib.crc32(' '.join([*shown, picked or '']).encode()):x}"
    metrics = list(dict.fromkeys((row["metric"], row["unit"]) for row in groups if row["metric"]))
    metric, unit = metrics[0] if len(metrics) == 1 else ("metric", "")
    unit = f" ({unit})" if unit else ""
    digits = "%.2f" if all(each == "%" for _, each in metrics) else "%.4g"
    needed = {
        "Settings": any(row["settings"] for row in groups),
        "Metric": len(metrics) > 1,
        "Other": axes.other is not None,
    }
    held = f"{axes.scope}, {axes.coverage}"
    number = st.column_config.NumberColumn
    st.dataframe(
        group_table(groups),
        key=key,
        hide_index=True,
        placeholder="",
        on_select=lambda: _row_clicked(key, shown),
        selection_mode="single-row",
        column_order=[name for name in COLUMNS if needed.get(name, True)],
        selection_default={"selection": {"rows": [shown.index(picked)] if picked in shown else []}},
        alt="Seed groups with mean and standard deviation, and densities",
        column_config={
            "Scheme": st.column_config.TextColumn(pinned=True),
            "Settings": st.column_config.TextColumn(help="What differs from the defaults."),
            "n": number(help="Seeds and folds that finished; the newest run of each counts.", width=40),
            "Test": number(
                f"Test {metric}, best val.{unit}",
                format=digits,
                help="The headline: mean over seeds and folds of the test metric at the epoch of best validation.",
            ),
            "Std": number("± std", format=digits, help="Sample standard deviation over the seeds and folds."),
            "CI": number("± 95 %", format=digits, help="Half width of the 95 % interval of the mean (Student's t)."),
            "Last": number(f"Test at last epoch{unit}", format=digits),
            "Last std": number("± std, last", format=digits),
            "Best test": number(f"Best test, never the headline{unit}", format=digits, help=NEVER),
            "Validation": number(f"Best validation{unit}", format=digits),
            "Other": number(axes.title.replace("<br>", ", "), format="compact"),
            "Memory": number(f"Memory density, harmonic mean ({held})", format="%.2f×"),
            "Arithmetic": number(f"Arithmetic density, harmonic mean ({held})", format="%.2f×"),
            "Memory thesis": number(f"Memory density, thesis mean ({held})", format="%.2f×"),
            "Arithmetic thesis": number(f"Arithmetic density, thesis mean ({held})", format="%.2f×"),
            "Peak": number(f"Memory density of the widest epochs ({held})", format="%.2f×"),
            "Bits": number(f"Average bits ({held})", format="%.2f"),
            "Seconds": number("Seconds a run", format="%.1f"),
        },
    )
    if len(shown) == MOST_GROUPS:
        st.caption(f"The newest {MOST_GROUPS} groups that fit; narrow the filters to see others.")


def show_group(group: dict) -> None:
    """The picked group: its numbers, its runs, its densities, its configuration."""
    unit = group["unit"] or ""

    def spread(selection: str) -> str:
        return f"{mean_std(group[f'{selection}_mean'], group[f'{selection}_std'], unit)} {unit}".rstrip()

    title = f"{group['scheme']} on {group['dataset']}, {group['model']}"
    st.subheader(f"{literal(title)} :gray-badge[{count(group['n'], 'seed')}]")
    if group["settings"]:
        st.caption(literal(group["settings"]))
    with st.grid(4, min_column_width=170):
        st.metric("Test at best validation", spread("test"), border=True)
        st.metric("Test at last epoch", spread("last"), border=True)
        st.metric("Best test (never the headline)", spread("max"), border=True, help=NEVER)
        st.metric("Best validation", spread("val"), border=True)
    runs = list(group["runs"])
    with st.container(horizontal=True, vertical_alignment="center"):
        if runs:
            st.page_link(
                "views/runs.py",
                label=f"Open {count(len(runs), 'run')} with curves",
                icon=":material/monitoring:",
                query_params={"run": ",".join(runs[:MOST_LINKED])},
            )
        st.button("Close", icon=":material/close:", type="tertiary", on_click=_close)
    left, right = st.columns([3, 2], gap="large")
    with left:
        if runs:
            st.markdown("**Densities relative to fp32**, the headline first")
            density_table(ask_frame("densities", run=runs[0]))
        st.caption(
            f"{duration(group['seconds_mean'])} a run · peak memory {megabytes(group['peak_memory_mean'])}"
            + (f" · {group['parameters']:,} parameters" if group["parameters"] else "")
        )
    with right:
        st.markdown("**Configuration**, the seed aside")
        try:
            lines = RunSpec.parse(json.loads(group["spec"])).to_toml().splitlines()
            st.code("\n".join(line for line in lines if not line.startswith("seed =")), language="toml", height=260)
        except InputError:
            st.code(group["spec"], language="json", height=260)


st.title("Compare")
asked = filters()
axes, choice, table = choose_axes()
groups = described(ask_rows("groups", **asked, scope=axes.scope, coverage=axes.coverage, limit=MOST_GROUPS))
if choice is not None:
    finished = [row["group_id"] for row in groups if row["n"]]
    values = values_of(choice, axes, finished, table, default=table.name == DEFAULT)
    none = Value()
    groups = [
        {**row, "other": (found := values.get(row["group_id"], none)).value, "other_certainty": found.certainty}
        for row in groups
    ]
    if gaps := gaps_text(values):
        st.caption(literal(gaps))
picked = st.query_params.get("group")
if not groups:
    show_empty(asked)
else:
    show_fronts(groups, axes, picked)
    for group in groups:
        if group["group_id"] == picked:
            with st.container(border=True):
                show_group(group)
    show_table(groups, axes, picked)
