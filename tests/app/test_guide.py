"""The tour of somebody who has no run yet."""

from __future__ import annotations

import pytest

from app.guide import DEMO, STEPS
from engine.events import RunQueued, new_run_id
from engine.sweep import expand
from tests.app.views.conftest import Dashboard, stream
from tests.app.views.conftest import dashboard as dashboard
from tests.app.views.test_launch import has
from tests.store.conftest import Service, Valkey
from tests.store.conftest import service as service
from tests.store.conftest import streaming as streaming
from tests.store.conftest import valkey as valkey
from tests.store.lives import finished


def test_the_tour_goes_from_the_form_over_real_runs_to_compare(
    dashboard: Dashboard, streaming: Service, valkey: Valkey
) -> None:
    dashboard.use(streaming, valkey)
    page = dashboard.open("launch", detail="Sweep file", parent="r0")
    page.button(key="guide-start").click().run()
    assert "parent" not in page.query_params
    assert page.multiselect(key="dataset").value == ["karate"]
    assert page.multiselect(key="schemes").value == DEMO["spec"]["scheme"]
    assert page.number_input(key="training.epochs").value == 60
    page.button(key="launch").click().run()
    assert not page.exception
    launched = [entry for entry in stream(valkey) if isinstance(entry.body, RunQueued)]
    assert len(launched) == len(expand(DEMO).runs) == 12
    link = next(link for link in page.page_link if link.proto.label == "Watch them train")
    assert all(entry.run in link.proto.query_string for entry in launched[:4])

    page.switch_page("views/runs.py").run()
    assert STEPS[2].text in [text.value for text in page.markdown]
    assert "12 runs to go" in [text.value for text in page.caption]
    page.switch_page("views/compare.py").run()
    assert STEPS[3].text in [text.value for text in page.markdown]
    page.button(key="guide-end").click().run()
    page.switch_page("views/launch.py").run()
    assert not has(page, "guide-start")


def test_nobody_is_asked_twice(dashboard: Dashboard, service: Service) -> None:
    dashboard.use(service)
    page = dashboard.open("launch")
    page.button(key="guide-refuse").click().run()
    assert not has(page, "guide-start")
    assert not has(dashboard.open("compare"), "guide-start")


def test_only_who_has_no_run_and_may_launch_is_asked(
    dashboard: Dashboard, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard.use(service)
    with monkeypatch.context() as showcase:
        showcase.setenv("BITFRONT_AUTH", "readonly")
        dashboard.use(service)
        assert not has(dashboard.open("launch"), "guide-start")
    dashboard.use(service)
    assert has(dashboard.open("launch"), "guide-start")
    service.client.post_events(finished(new_run_id()))
    assert not has(dashboard.open("launch"), "guide-start")
    dashboard.use(None)
    assert not has(dashboard.open("launch"), "guide-start")
