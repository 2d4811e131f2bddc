"""Saved views: listed with their links, changed, forgotten, put together as a report."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.phrases import literal
from app.report import Drawn, Listed, Said, Section, Written, report_html
from app.report_sections import section_of
from app.share import parameters_of
from engine.events import new_run_id
from engine.spec import read_toml
from engine.sweep import Sweep, expand
from tests.app.views.conftest import Dashboard
from tests.app.views.test_search import searched
from tests.app.views.test_sweeps import swept
from tests.store import lives
from tests.store.conftest import Service

__all__ = ["searched", "swept"]


@pytest.fixture(scope="module")
def filled(store: Service) -> Service:
    for scheme in ("fp32", "int8"):
        for seed in (0, 1):
            store.client.post_events(lives.finished(new_run_id(), sweep="saved", scheme=scheme, seed=seed))
    return store


def test_nothing_saved_yet_says_where_it_is_done(dashboard: Dashboard, service: Service) -> None:
    dashboard.use(service)
    page = dashboard.open("saved")
    assert page.subheader[0].value == "No saved views yet"
    assert page.page_link[0].value == "Compare runs"


def test_a_view_is_listed_changed_and_forgotten(dashboard: Dashboard, filled: Service) -> None:
    view = filled.client.add_view("Front *here*", "compare", "from=saved&log=true", "a note")
    dashboard.use(filled)
    page = dashboard.open("saved")
    (link,) = [found for found in page.page_link if found.value == literal("Front *here*")]
    assert link.proto.query_string == f"from=saved&log=true&view={view}"
    assert "a note" in [text.value for text in page.markdown]
    page.text_input(f"title-{view}").set_value("Front").run()
    page.button(f"save-{view}").click().run()
    assert filled.client.query("views", views=view)["title"].to_pylist() == ["Front"]
    page.button(f"delete-{view}").click().run()
    assert filled.client.query("views", views=view).num_rows == 0


def test_a_title_cannot_be_empty(dashboard: Dashboard, filled: Service) -> None:
    view = filled.client.add_view("Kept", "runs", "")
    dashboard.use(filled)
    page = dashboard.open("saved")
    page.text_input(f"title-{view}").set_value("").run()
    page.button(f"save-{view}").click().run()
    assert [text.value for text in page.error] == ["title: String should have at least 1 character"]
    filled.client.delete_view(view)


def test_who_may_only_look_changes_nothing(
    dashboard: Dashboard, filled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = filled.client.add_view("Shown", "compare", "")
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    dashboard.use(filled)
    page = dashboard.open("saved")
    assert "Shown" in [found.value for found in page.page_link]
    assert [button.label for button in page.button] == []
    filled.client.delete_view(view)


def test_a_link_to_a_saved_view_shows_its_title_and_note(dashboard: Dashboard, filled: Service) -> None:
    view = filled.client.add_view("Front", "compare", "", "what to see")
    dashboard.use(filled)
    shown = [text.value for text in dashboard.open("compare", view=view).markdown]
    assert shown[:2] == [":material/bookmark: **Front**", "what to see"]
    assert dashboard.open("compare", view="gone").title[0].value == "Compare"
    filled.client.delete_view(view)


def test_the_sections_of_a_report_are_what_the_pages_show(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    run = filled.client.query("runs", sweep="saved")["run"][0].as_py()
    rows = [
        {"title": "Front", "note": None, "page": "compare", "query": "from=saved&metric=Best+test&sort=Scheme"},
        {"title": "Curves", "note": "see", "page": "runs", "query": f"run={run}"},
        {"title": "Gone", "note": None, "page": "gone", "query": ""},
    ]
    front, curves, gone = (section_of(row, "http://here/") for row in rows)
    drawn, listed = front.parts
    assert isinstance(drawn, Drawn)
    assert drawn.figure.to_dict()["layout"]["yaxis"]["title"]["text"].startswith("Test accuracy (%), best of all")
    assert isinstance(listed, Listed)
    assert listed.table["Scheme"].tolist() == ["int8", "fp32"]
    assert listed.formats["Test accuracy, best val. (%)"] == "%.2f"
    assert [part.title for part in curves.parts if isinstance(part, Drawn)] == ["Loss", "Accuracy"]
    assert gone.remarks == ["This page has nothing to print: open it."]
    made = report_html("Report", "", [front, curves, gone], datetime(2026, 6, 1, tzinfo=UTC))
    assert made.count('role="img"') == 3


def section(page: str, query: str) -> Section:
    return section_of({"title": "Saved", "note": None, "page": page, "query": query}, "http://here/")


def test_a_sweep_is_printed_with_its_progress_grid_and_cell(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    sweep, runs = swept
    progress, budget, grid, cell, failed = section("sweeps", f"sweep={sweep.id}&cell=fp32|karate+·+gcn").parts
    assert isinstance(progress, Said)
    assert progress.text.startswith(f"{sweep.id}: 1 of 4 runs finished · 1 queued · 1 failed · 1 missing")
    assert budget == Said("at most 6 runs: 1 left out")
    assert isinstance(grid, Listed)
    assert grid.table.to_numpy().tolist() == [
        ["fp32", "1 of 2 · 1 queued"],
        ["int8", "0 of 2 · 1 failed · 1 missing"],
    ]
    assert isinstance(cell, Listed)
    assert cell.title == "fp32 on karate · gcn: 1 of 2 · 1 queued"
    assert cell.table[["Seed", "State", "Run"]].to_numpy().tolist() == [
        [0, "finished", runs[0]],
        [1, "queued", runs[2]],
    ]
    assert failed == Said("1 run failed: the loss of epoch 2 is *nan*")
    assert section("sweeps", "sweep=gone").remarks == ["The sweep of this view is not there any more."]


def test_a_search_is_printed_with_its_winner_charts_and_trials(
    dashboard: Dashboard, store: Service, searched: str
) -> None:
    dashboard.use(store)
    found = section("search", f"search={searched}")
    state, winner, figures, spent, *charts, trials = found.parts
    assert state == Said("rows on karate, gcn: finished.")
    assert winner == Written("Winner", "emb[2 -> 4]")
    assert isinstance(figures, Listed)
    assert figures.table["Value"].tolist() == ["13.25×", "2.50", "80.00 ± 1.00", "-0.50 ± 0.25"]
    assert isinstance(spent, Said)
    assert spent.text.startswith("2 configurations measured: 0 runs of few epochs, 2 fine-tunings")
    assert [chart.title for chart in charts if isinstance(chart, Drawn)] == [
        "Front of what was measured",
        "Measured against predicted by the cost model",
        "Error against cost by granularity",
        "Best saving by measured configurations",
    ]
    assert isinstance(trials, Listed)
    assert trials.table["Scheme"].tolist() == ["fp32", "emb[2 -> 2]", "emb[2 -> 4]"]
    assert report_html("Report", "", [found], datetime(2026, 6, 1, tzinfo=UTC)).count('role="img"') == 4
    assert section("search", "search=gone").remarks == ["The search of this view is not there any more."]


def test_a_launch_is_printed_as_what_it_would_launch(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    query = "dataset=karate&schemes=fp32&schemes=int8&seeds=2&training.epochs=20"
    runs, densities, file = section("launch", query).parts
    assert runs == Said("4 runs: 2 schemes, 2 seeds.")
    assert isinstance(densities, Listed)
    assert densities.table[["Scheme", "Memory"]].to_numpy().tolist() == [["fp32", 1.0], ["int8", 4.0]]
    assert isinstance(file, Written)
    assert len(expand(read_toml(file.text, "it")).runs) == 4
    page = dashboard.open("launch", **parameters_of(query))
    assert expand(read_toml(page.code[2].value, "it")).id == expand(read_toml(file.text, "it")).id
    sweep, _ = swept
    *_, file = section("launch", f"detail=Sweep+file&clone={sweep.id}").parts
    assert isinstance(file, Written)
    assert expand(read_toml(file.text, "it")).id == sweep.id
    assert section("launch", "detail=Sweep+file").remarks == [
        "A sweep file was being written in this view: its text is not part of the link."
    ]
    assert section("launch", "seeds=x").remarks[0].startswith("The link does not say what can be launched: seeds = 'x'")
