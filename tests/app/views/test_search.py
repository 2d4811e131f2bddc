"""The Search page: the list, the winner with its confirmation, what failed, ending a search."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
import streamlit as st

from app.phrases import literal
from engine.events import AskedTrial, Envelope, SearchCancelRequested, SearchEnded, SearchQueued, TrialsAsked
from engine.search.file import read_search
from tests.app.views.conftest import Dashboard, files, pictures, stream
from tests.app.views.test_runs import messages
from tests.store import lives
from tests.store.conftest import Service, Valkey

SIZE = {"nodes": 34, "edges": 156, "features": 34, "classes": 4}
FILE = read_search(
    {
        "name": "rows",
        "epsilon": 1.0,
        "published": 12.5,
        "source": "a paper",
        "spec": {"dataset": "karate", "model": "gcn"},
        "space": {"granularity": "lwq", "bits": [2, 4]},
    }
)
RESULT: dict[str, Any] = {
    "scheme": "emb[2 -> 4]",
    "saving": 13.25,
    "measured": 2,
    "few_runs": 0,
    "full_fine_tunings": 2,
    "full_trainings": 3,
    "failed": 0,
    "unit": "%",
    "figures": {"average_bits_sgquant": 2.5},
    "test": {
        "n": 2, "winner": 80.0, "winner_std": 1.0, "fp32": 80.5, "fp32_std": 1.0, "difference": -0.5,
        "difference_ci95": 0.25,
    },
}  # fmt: skip


def said(search: str, body: Any, at: float = lives.BEGAN) -> Envelope:
    return Envelope(run=search, at=at, body=body)


def begun(search: str) -> list[Envelope]:
    """A search with fp32 and two candidates that have finished."""
    body = SearchQueued(name="rows", dataset="karate", model="gcn", file=FILE.model_dump(mode="json"))
    rows = [
        AskedTrial(number=0, run=f"{search}-0", stage="reference", batch=0, scheme="fp32", seed=0),
        AskedTrial(
            number=1, run=f"{search}-1", stage="measure", batch=0, scheme="emb[2 -> 2]", seed=0, point=[0, 0], cost=400
        ),
        AskedTrial(
            number=2, run=f"{search}-2", stage="measure", batch=1, scheme="emb[2 -> 4]", seed=0, point=[0, 1], cost=500,
            predicted=79.0,
        ),
    ]  # fmt: skip
    events = [said(search, body), said(search, TrialsAsked(rows=rows))]
    for row in rows:
        life = lives.finished(row.run, scheme=row.scheme)
        life[1] = lives.started(row.run, trained_on=SIZE)
        events += life
    return events


@pytest.fixture(scope="module")
def searched(store: Service) -> str:
    ended = said("found", SearchEnded(result=RESULT), lives.BEGAN + 90)
    store.client.post_events([*begun("found"), ended])
    return "found"


def test_no_searches_yet_says_how_to_launch_one(dashboard: Dashboard, service: Service) -> None:
    dashboard.use(service)
    page = dashboard.open("search")
    assert "No searches yet" in messages(page.subheader)


def test_a_winner_is_shown_with_its_confirmation_and_leads_to_launch(
    dashboard: Dashboard, store: Service, searched: str
) -> None:
    dashboard.use(store)
    page = dashboard.open("search", search=searched)
    [row] = page.dataframe[0].value.to_dict("records")
    assert (row["Name"], row["State"], row["Winner"], row["Saving"]) == ("rows", "finished", "emb[2 -> 4]", 13.25)
    assert page.code[0].value == "emb[2 -> 4]"
    assert [(metric.label, metric.value) for metric in page.metric] == [
        ("Saving of feature memory", "13.25×"),
        ("Average bits (SGQuant)", "2.50"),
        ("Test, 2 seeds", "80.00 ± 1.00"),
        ("Minus fp32 (95 %)", "-0.50 ± 0.25"),
    ]
    assert page.metric[0].delta == "published: 12.5×"
    titles = messages(page.markdown)
    for title in ("Front", "Measured against predicted", "Error against cost", "Best saving"):
        assert any(text.startswith(f"**{title}**") for text in titles)
    assert len(page.get("plotly_chart")) == 4
    [link] = [link for link in page.page_link if link.value == "Launch this scheme"]
    said = parse_qs(link.proto.query_string)
    assert {name: said[name] for name in ("dataset", "model", "own", "parent")} == {
        "dataset": ["karate"],
        "model": ["gcn"],
        "own": ["emb[2 -> 4]"],
        "parent": [f"{searched}-2"],
    }


def test_a_search_without_a_winner_says_why(dashboard: Dashboard, store: Service) -> None:
    reason = "no configuration of the 2 measured is within epsilon = 1"
    store.client.post_events([*begun("none"), said("none", SearchEnded(reason=reason), lives.BEGAN + 90)])
    dashboard.use(store)
    page = dashboard.open("search", search="none")
    assert messages(page.error) == [literal("N" + reason[1:])]
    assert not page.code


def test_a_search_that_goes_on_can_be_ended(dashboard: Dashboard, service: Service, valkey: Valkey) -> None:
    service.client.post_events(begun("goes-on"))
    dashboard.use(service, valkey)
    page = dashboard.open("search", search="goes-on")
    page.button(key="cancel-search").click().run()
    assert not page.exception
    assert [each.run for each in stream(valkey) if isinstance(each.body, SearchCancelRequested)] == ["goes-on"]


def test_a_link_to_no_search_says_so(dashboard: Dashboard, store: Service, searched: str) -> None:
    dashboard.use(store)
    page = dashboard.open("search", search="lost")
    assert messages(page.info) == ["There is no search lost here."]


CHARTS = ["Front", "Measured against predicted", "Error against cost", "Best saving"]


def confirmed(search: str) -> list[Envelope]:
    """The runs that confirm a search's winner, finished."""
    rows = [
        AskedTrial(number=3, run=f"{search}-3", stage="confirm", batch=0, scheme="emb[2 -> 4]", seed=9, point=[0, 1]),
        AskedTrial(number=4, run=f"{search}-4", stage="confirm", batch=0, scheme="fp32", seed=9),
    ]
    lived = (event for row in rows for event in lives.finished(row.run, scheme=row.scheme, seed=9))
    return [said(search, TrialsAsked(rows=rows)), *lived]


def test_trials_and_charts_are_files_and_the_test_only_once_the_search_is_over(
    dashboard: Dashboard, store: Service
) -> None:
    store.client.post_events([*begun("asks"), *confirmed("asks")])
    dashboard.use(store)
    page = dashboard.open("search", search="asks")
    listed = len(page.dataframe[0].value)
    assert files(page) == {"Searches": listed, "Trials": 5}, "it goes on, and chooses without a test"
    assert pictures(page) == CHARTS
    store.client.post_events([said("asks", SearchEnded(result=RESULT), lives.BEGAN + 90)])
    st.cache_data.clear()
    assert files(dashboard.open("search", search="asks")) == {"Searches": listed, "Trials": 5, "Confirmation": 1}


def test_before_a_candidate_is_measured_there_is_no_picture(dashboard: Dashboard, store: Service) -> None:
    body = SearchQueued(name="young", dataset="karate", model="gcn", file=FILE.model_dump(mode="json"))
    store.client.post_events([said("young", body)])
    dashboard.use(store)
    page = dashboard.open("search", search="young")
    assert pictures(page) == []
    assert "No chart is drawn yet." in messages(page.caption)
