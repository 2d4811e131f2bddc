"""Compare: fronts between accuracy and density, groups of runs as a table, what is picked side by side."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from app.caveats import show_caveats
from app.charts.layout import CONFIG
from app.charts.names import WIDTH
from app.charts.parallel import parallel_chart
from app.charts.pareto import Axes, pareto_data
from app.compare_controls import Said, cost_tables, show_axes, show_filters
from app.compare_picked import show_picked
from app.compare_table import show_table
from app.comparison.compared import Compared, Facet, compare, is_whole, narrow
from app.comparison.filters import Filters, also_metrics, options_of
from app.comparison.frames import Frame
from app.comparison.results import KnownSpecs, load_results
from app.comparison.view import COVERAGES, MOST_PICKED, SCOPES, CompareView
from app.connection import ask, ask_rows, is_public, known_specs, settings
from app.downloads import show_downloads
from app.figure_export import Figure, show_figure_export
from app.front_chart import front_chart
from app.group_table import group_table
from app.phrases import count, literal
from app.share import address, is_embedded, query_now, show_heading, show_share

MOST_FRONTS = 8


@st.cache_resource(max_entries=4, show_spinner=False)
def results(
    store: str, revision: str, scope: str, coverage: str, *, candidates: bool, public: bool
) -> tuple[Any, dict[str, list[str]], list[str]]:
    """All results (never changed in place), what can be filtered by, further metrics; kept until a run changes.

    ``public``: whether they are those of a visitor who may only look (``app.connection.ask``)."""
    every = load_results(ask, known_specs(), scope, coverage, candidates=candidates)
    return every, options_of(every), also_metrics(every)


@st.cache_resource(max_entries=16, show_spinner=False)
def worked_out(
    store: str, revision: str, public: bool, what: str, _every: Frame, _known: KnownSpecs, _view: CompareView
) -> Compared:
    """A view on these results; ``what`` says all that decides about its groups."""
    return compare(_every, _known, _view)


def compared_now(revision: str, every: Frame, known: KnownSpecs, view: CompareView) -> Compared:
    """The view worked out; kept until a run changes, save where figures decide that are no runs' (measurements)."""
    if view.choice is not None:
        return compare(every, known, view)
    axes = Axes(scope=view.axes.scope, coverage=view.axes.coverage, selection=view.axes.selection)
    filters = Filters() if is_whole(view) else view.filters
    alike = CompareView(filters, view.by, axes, view.metric, against=view.against, candidates=view.candidates)
    kept = worked_out(str(settings().store_url), revision, is_public(), repr(alike), every, known, alike)
    if filters != view.filters:
        kept = narrow(kept, view.filters)
    return replace(kept, view=replace(view, by=kept.view.by))


def in_force(key: str, allowed: Sequence[str]) -> str:
    """What a widget that is yet to be drawn will say."""
    value = st.session_state.get(key)
    value = st.query_params.get(key) if value is None else value
    found = str(value).lower() if isinstance(value, bool) else str(value)
    return found if found in allowed else allowed[0]


def show_empty(view: CompareView) -> None:
    if view.filters.any:
        st.info("No run fits these filters.", icon=":material/filter_alt_off:")
        return
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("Nothing to compare yet", text_alignment="center")
        st.caption("Finished runs are gathered here by what they share but the seed.", text_alignment="center")
        st.page_link("views/launch.py", label="Launch a run", icon=":material/play_arrow:")


def picked_now() -> list[str]:
    return [group for group in str(st.query_params.get("group", "")).split(",") if group]


def pick(groups: Sequence[str]) -> None:
    """Put the picked groups into the link, the last ones where they are too many."""
    if groups:
        st.query_params["group"] = ",".join(dict.fromkeys(groups[-MOST_PICKED:]))
    else:
        st.query_params.pop("group", None)


def point_picked(group: str) -> None:
    """A click or a key picks a group, another one of it lets it go."""
    before = picked_now()
    pick([each for each in before if each != group] if group in before else [*before, group])


def rows_picked(shown: list[str], chosen: list[str]) -> None:
    """What is picked but not in the table stays; what was picked before stands first."""
    before = [group for group in picked_now() if group not in shown or group in chosen]
    pick([*before, *(group for group in chosen if group not in before)])


def show_front(compared: Compared, facet: Facet, *, height: int, width: float) -> Figure | None:
    axes = compared.view.axes
    st.markdown(f"**{literal(facet.title)}** · {count(len(facet.groups), 'seed group')}")
    if all(row[axes.column] is None for row in facet.groups):
        st.info("None of them has a value on this axis.", icon=":material/block:")
        return None
    figure = pareto_data(facet.groups, axes, picked=compared.view.picked, height=height, band=facet.band, width=width)
    front_chart(
        figure,
        f"front-{zlib.crc32(facet.title.encode()):x}",
        f"{axes.upright(facet.groups[0]['metric'], '')} against {axes.title.replace('<br>', ' ')} on {facet.title}, "
        f"{count(len(facet.groups), 'seed group')}",
        compared.view.picked,
        point_picked,
    )
    if left_out := figure["layout"]["meta"]["left_out"]:
        st.caption(f"{count(left_out, 'point')} not drawn: others of the same family lie on the same spot.")
    return figure


def show_fronts(compared: Compared) -> dict[str, Figure]:
    """Charts side by side: accuracies on different graphs are not compared. Gives them by their titles."""
    facets, drawn = compared.facets, {}
    if not facets:
        st.info("No run has finished yet: the front appears with the first one.", icon=":material/hourglass_top:")
        return drawn
    shown = sorted(facets[:MOST_FRONTS], key=lambda facet: facet.title)  # a filter leaves each chart where it is
    columns, height, width = (1, 460, WIDTH) if len(shown) == 1 else (2, 400, 480)
    with st.grid(columns, min_column_width=420):
        for facet in shown:
            with st.container():
                drawn[facet.title] = show_front(compared, facet, height=height, width=width)
    if len(facets) > len(shown):
        st.caption(f"{count(len(facets) - len(shown), 'more chart')}: choose a dataset above.")
    show_caveats(row["caveat"] for facet in shown for row in facet.groups)
    return {title: figure for title, figure in drawn.items() if figure is not None}


def show_hypervolumes(compared: Compared) -> None:
    with st.expander("Hypervolume of each scheme family", icon=":material/area_chart:", on_change="rerun") as place:
        if not place.open:
            return
        found = compared.hypervolumes()
        if found.empty:
            st.caption("The points of no chart span a rectangle.")
            return
        st.dataframe(
            found,
            hide_index=True,
            height="content",
            alt="Hypervolume of each scheme family",
            column_order=["facet", "family", "share", "points", "on_front"],
            column_config={
                "facet": st.column_config.TextColumn("Chart"),
                "family": st.column_config.TextColumn("Scheme family"),
                "share": st.column_config.ProgressColumn("Hypervolume", min_value=0, max_value=1, format="%.3f"),
                "points": st.column_config.NumberColumn("Groups"),
                "on_front": st.column_config.NumberColumn("On the front"),
            },
        )
        st.caption(
            "The area of the chart that a family's groups dominate, as a share of the rectangle between the worst and "
            "the best values of all groups shown in that chart, on the axes chosen above."
        )


def show_parallel(compared: Compared) -> None:
    with st.expander("Parallel coordinates", icon=":material/stacked_line_chart:", on_change="rerun") as place:
        if not place.open:
            return
        axes = compared.view.axes
        titles = {
            "dataset": "Dataset",
            "model": "Architecture",
            "scheme": "Scheme",
            "settings": "Settings",
            **{name: name for name in compared.view.by if "." in name},
            "average_bits": "Average bits",
            "memory_density": "Memory density",
            "arithmetic_density": "Arithmetic density",
            **({"other": axes.title.split("<br>")[0]} if axes.other else {}),
            "seconds_mean": "Seconds a run",
            axes.value: axes.upright("metric", "").split(",")[0],
        }
        figure = parallel_chart(compared.finished, titles)
        if figure is None:
            st.caption("The groups shown differ in fewer than two things.")
            return
        st.plotly_chart(figure, key="parallel", config=CONFIG, alt="Each group as a line across its configuration")
        st.caption(f"Colours are the scheme families'. Densities: {axes.scope}, {axes.coverage}. Drag along an axis.")


def show_files(compared: Compared, figures: dict[str, Figure]) -> None:
    """The table and the runs behind it as files, the charts as pictures."""
    synthetic = any(row["synthetic"] for row in compared.groups)
    fields = [name for name in compared.view.by if "." in name]
    runs = compared.runs.drop(columns=["about", "also"]).rename(columns={"group": "in_group"})

    def tables() -> dict[str, pd.DataFrame]:
        return {"Groups": group_table(compared.groups, "group_id", *fields), "Runs": pd.DataFrame(runs)}

    with st.container(horizontal=True):
        show_downloads(tables, "compare")
        show_figure_export(lambda: figures, synthetic=synthetic)


def choose(options: dict[str, list[str]], metrics: list[str], fields: list[str]) -> Said:
    """Draw the widgets; what they say."""
    filters, buttons = st.container(), st.container(horizontal=True, vertical_alignment="bottom")
    with filters:
        said = show_filters(options, buttons)
    said |= show_axes(metrics, options["scheme"], fields, buttons)
    with buttons:
        show_share("compare")
    return said


embedded = is_embedded()
known = known_specs()
(revision,) = ask_rows("revision")
every, options, metrics = results(
    str(settings().store_url),
    revision["revision"],
    in_force("scope", SCOPES),
    in_force("coverage", COVERAGES),
    candidates=in_force("candidates", ("false", "true")) == "true",
    public=is_public(),
)
if embedded:
    said: Said = {name: st.query_params.get_all(name) for name in st.query_params}
else:
    st.title("Compare")
    show_heading()
    said = choose(options, metrics, known.varying())
said["group"] = picked_now()
view = CompareView.read(said, cost_tables()[0])
compared = compared_now(revision["revision"], every, known, view)
if compared.view.axes.other is not None:
    st.caption(literal(f"{compared.view.axes.other.definition}."))
if compared.gaps:
    st.caption(literal(compared.gaps))
if not compared.groups:
    show_empty(view)
elif embedded:
    show_fronts(compared)
    st.caption(f"[Open in Bitfront](<{address('compare', query_now())}>)")
else:
    figures = show_fronts(compared)
    figures |= show_picked(compared, known, lambda: pick([]))
    show_table(compared, rows_picked)
    show_files(compared, figures)
    show_hypervolumes(compared)
    show_parallel(compared)
