"""Saved views: listed with their links, changed, forgotten, put together as a report."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.phrases import literal
from app.report import Drawn, Listed, report_html
from app.report_sections import section_of
from engine.events import new_run_id
from tests.app.views.conftest import Dashboard
from tests.store import lives
from tests.store.conftest import Service


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
        {"title": "Form", "note": None, "page": "launch", "query": ""},
    ]
    front, curves, form = (section_of(row, "http://here/") for row in rows)
    drawn, listed = front.parts
    assert isinstance(drawn, Drawn)
    assert drawn.figure.to_dict()["layout"]["yaxis"]["title"]["text"].startswith("Test accuracy (%), best of all")
    assert isinstance(listed, Listed)
    assert listed.table["Scheme"].tolist() == ["int8", "fp32"]
    assert listed.formats["Test accuracy, best val. (%)"] == "%.2f"
    assert [part.title for part in curves.parts] == ["Loss", "Accuracy"]
    assert form.remarks == ["This page has nothing to print: open it."]
    made = report_html("Report", "", [front, curves, form], datetime(2026, 6, 1, tzinfo=UTC))
    assert made.count('role="img"') == 3
