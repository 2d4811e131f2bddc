"""The widgets of the Compare page. Each is bound to the link, and says its value in the link's own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.charts.pareto import MEANS
from app.comparison.groups import GROUPINGS, WHOLE
from app.comparison.view import (
    COVERAGES,
    DENSITIES,
    FACETS,
    MEAN_NAMES,
    METRICS,
    OTHER_FIGURE,
    PARAMETERS,
    SCOPES,
)
from app.connection import settings
from app.group_table import COLUMNS, USUAL
from app.other_axes import choice_title, figure_choices, is_priced
from app.phrases import literal
from app.theme import STATE_COLORS
from engine.costs import CostTable, list_tables

Said = dict[str, list[str]]
"""A link's parameters."""


def cost_tables() -> tuple[dict[str, CostTable], list[str]]:
    """The cost tables by name, and what is wrong with those that cannot be read."""
    known, faults = list_tables(settings())
    return {table.name: table for table in known}, faults


def show_filters(options: dict[str, list[str]], buttons: DeltaGenerator) -> Said:
    """What is shown: a row of the usual filters, the others behind one of the ``buttons``."""
    said: Said = {}

    def several(label: str, name: str) -> None:
        key = PARAMETERS[name]
        said[key] = st.multiselect(
            label, options[name], key=key, bind="query-params", accept_new_options=True, placeholder="All"
        )

    with st.grid(4, min_column_width=150):
        several("Dataset", "dataset")
        several("Architecture", "model")
        several("Scheme family", "family")
        said["find"] = [
            st.text_input(
                "Search",
                key="find",
                bind="query-params",
                type="search",
                live="300ms",
                placeholder="scheme, name, tag, note, id",
            )
            or ""
        ]
    with buttons, st.popover("More filters", icon=":material/filter_alt:", width="content"):
        for label, name in (("Scheme", "scheme"), ("Task", "task"), ("Tag", "tag"), ("Sweep", "sweep")):
            several(label, name)
        said["status"] = st.multiselect(
            "State",
            list(STATE_COLORS),
            key="status",
            bind="query-params",
            placeholder="All",
            help="Groups with a run in one of these states.",
        )
        with st.container(horizontal=True):
            for label, name in (("Submitted from", "since"), ("to", "until")):
                day = st.date_input(label, value=None, key=name, bind="query-params", format="YYYY-MM-DD")
                said[name] = [day.isoformat()] if day else []
        shown = st.toggle(
            "Candidates of searches",
            key="candidates",
            bind="query-params",
            help="Runs that a search fine-tuned for a few epochs to measure a scheme. Its finalists and its winner, "
            "trained in full, are here in any case.",
        )
        said["candidates"] = [str(shown).lower()]
        st.caption("A filter chooses groups that have a run that fits; it never changes which seeds a mean counts.")
    hidden = [name for name in ("scheme", "objective", "tag", "from", "status", "since", "until") if said.get(name)]
    if hidden:
        st.caption("Filtered also by " + literal("; ".join(f"{name}: {', '.join(said[name])}" for name in hidden)))
    return said


def show_axes(metrics: Sequence[str], schemes: Sequence[str], fields: Sequence[str], buttons: DeltaGenerator) -> Said:
    """The chart's axes; behind one of the ``buttons`` how runs are grouped, and the table's columns."""

    def segments(label: str, names: Sequence[str], key: str, **options: Any) -> list[str]:
        chosen = st.segmented_control(
            label, list(names), default=names[0], required=True, key=key, bind="query-params", **options
        )
        return [str(chosen or names[0])]

    said: Said = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choices = [*METRICS, *metrics]
        chosen = st.selectbox("Metric", choices, key="metric", bind="query-params", width=220)
        said["metric"] = [chosen if chosen in choices else choices[0]]
        said["density"] = segments("Density", list(DENSITIES), "density")
        said["scope"] = segments(
            "Scope",
            SCOPES,
            "scope",
            help="inference: forward products and aggregates; training: the backward ones too.",
        )
        said["coverage"] = segments(
            "Coverage",
            COVERAGES,
            "coverage",
            help="quantized part: what the scheme quantizes; whole step: the rest too, at fp32.",
        )
        if said["density"] != [OTHER_FIGURE]:
            said["mean"] = segments(
                "Mean over a run",
                list(MEAN_NAMES),
                "mean",
                help="  \n".join(f"{name}: {about}." for name, about in MEANS.items()),
            )
    said |= _figure(said)
    with buttons, st.popover("Groups and columns", icon=":material/table_chart:", width="content"):
        said |= _groups(schemes, fields)
    return said


def _figure(said: Said) -> Said:
    """Whether the axis is logarithmic, which figure, where it is not a density, and by which cost table, where one
    decides."""
    found: Said = {}
    tables, faults = cost_tables()
    other = said["density"] == [OTHER_FIGURE]
    titles = {choice_title(choice): choice for choice in figure_choices()}
    choice = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if other:
            title = st.selectbox("Figure", list(titles), key="figure", bind="query-params", width=360)
            found["figure"] = [title if title in titles else next(iter(titles))]
            choice = titles[found["figure"][0]]
        if is_priced(choice or f"{DENSITIES[said['density'][0]]}"):
            # The widget's own links say what it shows, the title; one that says the name is taken up here.
            if "costs" not in st.session_state and st.query_params.get("costs") in tables:
                st.session_state["costs"] = st.query_params["costs"]
            name = st.selectbox(
                "Cost table",
                list(tables),
                format_func=lambda name: tables[name].title if name in tables else str(name),
                key="costs",
                bind="query-params",
                width=280,
                help="What a multiply-accumulate and a byte cost; a run's cost card says where to put your own.",
            )
            found["costs"] = [str(name) if name in tables else next(iter(tables))]
        found["log"] = [str(st.toggle("Log axis", key="log", bind="query-params")).lower()]
    if "costs" in found:
        table = tables[found["costs"][0]]
        recalled = " :orange-badge[:material/history_edu: recalled]" if table.recalled else ""
        st.caption(f"{literal(table.title)}: {literal(table.source)}.{recalled}")
        for fault in faults:
            st.warning(literal(fault), icon=":material/error:")
    return found


def _groups(schemes: Sequence[str], fields: Sequence[str]) -> Said:
    said: Said = {}
    said["by"] = st.multiselect(
        "A group is runs of one",
        [*GROUPINGS, *fields],
        default=list(WHOLE),
        key="by",
        bind="query-params",
        help="All of the first four: runs that differ in the seed or fold only. Never the seed: means are over it.",
    )
    said["facets"] = [
        str(
            st.segmented_control(
                "A chart for each",
                list(FACETS),
                default=next(iter(FACETS)),
                required=True,
                key="facets",
                bind="query-params",
            )
            or next(iter(FACETS))
        )
    ]
    said["against"] = [
        st.selectbox(
            "Differences to",
            list(dict.fromkeys(["fp32", *schemes])),
            key="against",
            bind="query-params",
            accept_new_options=True,
            help="The scheme that others are compared with, seed by seed, and that the band is drawn around.",
        )
        or "fp32"
    ]
    columns = st.multiselect(
        "Columns", list(COLUMNS), default=list(USUAL), key="columns", bind="query-params", placeholder="The usual ones"
    )
    said["columns"] = [] if set(columns) == set(USUAL) else columns
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sort = st.selectbox(
            "Sort by", list(COLUMNS), index=None, key="sort", bind="query-params", placeholder="Newest first"
        )
        said["sort"] = [sort] if sort else []
        said["descending"] = [str(st.toggle("Descending", value=True, key="descending", bind="query-params")).lower()]
    return said
