"""The Sweeps page: the list, the grid, a cell's runs, reasons, cancelling and going on."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app.phrases import literal
from engine.events import CancelRequested, Envelope, ResumeRequested, RunQueued, SweepCell, SweepLaunched, new_run_id
from engine.spec import read_toml
from engine.sweep import Sweep, expand
from tests.app.views.conftest import Dashboard, files, stream
from tests.app.views.test_runs import messages
from tests.store import lives
from tests.store.conftest import Service, Valkey

TABLE = {
    "name": "mine",
    "seeds": 2,
    "budget": {"runs": 6},
    "spec": {"dataset": "karate", "model": "gcn", "scheme": ["fp32", "int8"], "training": {"epochs": 3}},
}


@pytest.fixture(scope="module")
def swept(store: Service) -> tuple[Sweep, list[str]]:
    """A sweep with a finished, a failed and a queued run, and one that its budget left out."""
    sweep = expand(TABLE)
    runs = [new_run_id() for _ in range(3)]
    cells = [
        SweepCell(
            group=spec.group,
            dataset="karate",
            model="gcn",
            scheme=spec.scheme,
            seed=spec.seed,
            hash=spec.hash,
            run=run,
            own=run is not None,
        )
        for spec, run in zip(sweep.runs, [*runs, None], strict=True)
    ]
    body = SweepLaunched(sweep=sweep.id, name="mine", table=dict(sweep.table), cells=cells, most_runs=6)
    names = {"sweep": sweep.id, "training": {"epochs": 3}}
    fails = lives.failed(runs[1], "the loss of epoch 2 is *nan*")
    fails[0] = lives.queued(runs[1], scheme="int8", **names)
    store.client.post_events([
        *lives.finished(runs[0], scheme="fp32", **names),
        *fails,
        lives.queued(runs[2], scheme="fp32", seed=1, **names),
        Envelope(run="", at=lives.BEGAN, body=body),
    ])  # fmt: skip
    return sweep, runs


def grid(page: AppTest):
    return page.dataframe[1].value


def test_no_sweeps_yet_says_so_and_leads_to_launch(dashboard: Dashboard, service: Service) -> None:
    dashboard.use(service)
    page = dashboard.open("sweeps")
    assert "No sweeps yet" in messages(page.subheader)
    assert page.page_link[0].value == "Launch"


def test_the_newest_sweep_is_shown_with_its_grid(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    page = dashboard.open("sweeps")
    sweep, _ = swept
    listed = page.dataframe[0].value.to_dict("records")
    assert [(row["Sweep"], row["Progress"], row["Going"], row["Missing"]) for row in listed] == [(sweep.id, 50, 1, 1)]
    assert grid(page).to_numpy().tolist() == [
        ["fp32", "1 of 2 · 1 queued"],
        ["int8", "0 of 2 · 1 failed · 1 missing"],
    ]
    [progress] = page.get("progress")
    assert progress.proto.text.startswith(literal("1 of 4 runs finished · 1 queued · 1 failed · 1 missing · about"))
    assert messages(page.error) == [literal("the loss of epoch 2 is *nan*")]
    assert any("at most 6 runs: 1 left out" in text for text in messages(page.caption))


def test_a_cell_in_the_link_leads_to_its_runs(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    sweep, runs = swept
    page = dashboard.open("sweeps", sweep=sweep.id, cell="fp32|karate · gcn")
    link = next(link for link in page.page_link if link.value == "Watch 2 runs")
    assert link.proto.query_string.split("run=")[1] == f"{runs[0]}%2C{runs[2]}"


def test_the_list_the_grid_and_each_run_are_files(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    sweep, _ = swept
    assert files(dashboard.open("sweeps", sweep=sweep.id)) == {"Sweeps": 1, "Grid": 2, "Runs": 4}
    assert files(dashboard.open("sweeps", sweep="none@0")) == {"Sweeps": 1}


def test_a_sweep_that_is_not_there_says_so(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    assert messages(dashboard.open("sweeps", sweep="none@0").info) == ["There is no sweep none@0 here."]


def test_cancelling_ends_what_the_sweep_launched(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]], valkey: Valkey
) -> None:
    dashboard.use(store, valkey)
    sweep, runs = swept
    page = dashboard.open("sweeps", sweep=sweep.id)
    page.button(key="cancel-sweep").click().run()
    assert [(entry.run, entry.body) for entry in stream(valkey)] == [(runs[2], CancelRequested())]


def test_going_on_is_with_what_is_not_done(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]], valkey: Valkey
) -> None:
    dashboard.use(store, valkey)
    sweep, runs = swept
    page = dashboard.open("sweeps", sweep=sweep.id)
    page.button(key="resume-sweep").click().run()
    launched, *queued = [entry.body for entry in stream(valkey)]
    assert isinstance(launched, SweepLaunched)
    assert [cell.run for cell in launched.cells][:3] == runs, "the code that trained them does not matter"
    resumed, missing = queued
    assert isinstance(resumed, ResumeRequested)
    assert isinstance(missing, RunQueued)
    assert (missing.spec["scheme"], missing.spec["seed"]) == ("int8", 1)


def test_a_sweep_from_the_launch_page_is_the_same_grid(dashboard: Dashboard, store: Service, valkey: Valkey) -> None:
    dashboard.use(store, valkey)
    page = dashboard.open("launch", dataset="karate", schemes=["fp32", "int4"], seeds="1")
    page.button(key="launch").click().run()
    first, *rest = [entry.body for entry in stream(valkey)]
    assert isinstance(first, SweepLaunched)
    assert [body.spec["scheme"] for body in rest if isinstance(body, RunQueued)] == ["fp32", "int4"]
    assert json.loads(json.dumps(first.table))["name"] == "karate-gcn"
    assert page.page_link[1].value == "See the whole grid"


def test_a_sweep_and_a_cell_of_it_are_cloned_into_the_form(
    dashboard: Dashboard, store: Service, swept: tuple[Sweep, list[str]]
) -> None:
    dashboard.use(store)
    sweep, runs = swept
    page = dashboard.open("sweeps", cell="int8|karate · gcn")
    links = {link.proto.label: parse_qs(link.proto.query_string) for link in page.page_link}
    assert links["Clone this group"]["schemes"] == ["int8"]
    assert links["Clone this group"]["parent"] == [runs[1]]
    filled = dashboard.open("launch", **links["Clone this sweep"])
    assert expand(read_toml(filled.code[2].value, "it")).id == sweep.id
    asked = dashboard.open("launch", detail="Sweep file", clone=sweep.id)
    assert expand(read_toml(str(asked.text_area(key="sweep-file").value), "it")).id == sweep.id
    assert [element.value for element in dashboard.open("launch", detail="Sweep file", clone="gone").warning] == [
        "There is no file of the sweep gone here."
    ]
