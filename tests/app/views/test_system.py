"""The System page: health, the queue, storage, versions, data."""

from __future__ import annotations

import platform

import pytest
import streamlit as st
import torch

from app.caveats import MIRROR_LOST
from app.phrases import literal
from app.system_facts import own_version
from engine.events import RunQueued, new_run_id
from tests.app.views.conftest import Dashboard, files
from tests.app.views.test_runs import health, messages
from tests.store import lives
from tests.store.conftest import Service


def test_the_page_shows_what_waits_what_is_stored_and_what_runs_here(
    dashboard: Dashboard, store: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run_id()
    store.client.post_events([lives.queued(run, scheme="msfp13")])
    monkeypatch.setenv("BITFRONT_HOME", str(store.settings.home))
    dashboard.use(store)
    page = dashboard.open("system")
    frames = {next(iter(frame.value.columns)): frame.value for frame in page.dataframe}
    assert frames["Place"][["Place", "Scheme", "Priority"]].values.tolist() == [[1, "msfp13", 5]]
    assert "Database" in frames["Part"]["Part"].tolist()
    assert frames["Table"].set_index("Table").loc["runs", "Rows"] == 1
    assert {"Bitfront", "torch"} <= set(frames["What"]["What"])
    assert "karate" in frames["Dataset"]["Dataset"].tolist()
    said = literal("the queue at redis://127.0.0.1:9/0 does not answer")
    assert health(page)["Queue"].startswith(f":orange-badge[look] {said}")
    assert messages(page.warning) == ["Not well: queue, workers."]
    assert any(str(store.settings.home) in text.replace("\\", "") for text in messages(page.caption))


def test_who_may_only_look_is_not_told_where_the_files_lie(
    dashboard: Dashboard, store: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITFRONT_HOME", str(store.settings.home))
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    dashboard.use(store)
    page = dashboard.open("system")
    assert "Storage" in messages(page.subheader)
    shown = " ".join([*messages(page.caption), *messages(page.markdown), *health(page).values()])
    assert str(store.settings.home) not in shown.replace("\\", "")


def test_who_may_only_look_is_told_no_versions_reasons_or_addresses(
    dashboard: Dashboard, store: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lives.event(new_run_id(), 0, 0, RunQueued(spec={"dataset": "/of/mine"}))
    store.client.post_events([lost])
    assert store.client.health()["dead_letters"] == 1
    monkeypatch.setenv("BITFRONT_HOME", str(store.settings.home))
    monkeypatch.setenv("BITFRONT_MIRROR", "/srv/nowhere")

    def seen(page_name: str) -> str:
        st.cache_data.clear()
        dashboard.use(store)
        page = dashboard.open(page_name, **({"dataset": "cora"} if page_name == "launch" else {}))
        said = [*messages(page.caption), *messages(page.markdown), *messages(page.warning), *messages(page.error)]
        said += [text for table in page.table for text in table.value.iloc[:, 0]]
        frames = (str(cell) for frame in page.dataframe for cell in frame.value.to_numpy().ravel())
        return " ".join([*said, *frames]).replace("\\", "")

    secrets = (platform.release(), torch.__version__, "not a whole RunSpec", "/srv/nowhere", "redis://")
    shown = seen("system")
    assert [secret for secret in secrets if secret not in shown] == []
    assert "/srv/nowhere" in seen("launch")
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    shown = seen("system")
    assert [secret for secret in secrets if secret in shown] == []
    assert f"Bitfront {own_version()}" in shown
    assert "1 event could not be applied." in shown
    assert MIRROR_LOST in shown
    shown = seen("launch")
    assert "/srv/nowhere" not in shown
    assert MIRROR_LOST in shown


def test_what_is_on_the_page_is_files(dashboard: Dashboard, store: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITFRONT_HOME", str(store.settings.home))
    st.cache_data.clear()
    dashboard.use(store)
    found = files(dashboard.open("system"))
    assert list(found) == ["Workers", "Waiting", "Storage", "Tables", "Versions", "Datasets"]
    assert found["Versions"] > 10
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    dashboard.use(store)
    assert files(dashboard.open("system")) == found | {"Versions": 1}, "Bitfront's own"
