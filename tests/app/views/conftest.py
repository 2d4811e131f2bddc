"""The dashboard as AppTest runs it, over a real store service."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import connection
from engine.events import Envelope
from engine.settings import Settings
from tests.store.conftest import Service, Valkey, service, streaming, valkey

__all__ = ["service", "streaming", "valkey"]

DASHBOARD = Path(connection.__file__).parent / "dashboard.py"


class Dashboard:
    """Opens pages of the dashboard on the settings in the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.use(None)

    def use(self, service: Service | None, queue: Valkey | None = None) -> None:
        """Look at this store (None: at an address where none answers) and at this queue."""
        self._monkeypatch.setenv("BITFRONT_STORE_URL", service.client.url if service else "http://127.0.0.1:9")
        if service:
            self._monkeypatch.setenv("BITFRONT_STORE_TOKEN", (service.settings.home / "store.token").read_text())
        self._monkeypatch.setenv("REDIS_URL", queue.url if queue else "redis://127.0.0.1:9/0")
        connection.settings.clear()
        connection._client.clear()

    def open(self, page: str, **parameters: str | list[str]) -> AppTest:
        """The page (launch, runs, compare) as a link with these parameters shows it."""
        test = AppTest.from_file(str(DASHBOARD), default_timeout=30)
        if page != "launch":
            test.run()
            test.switch_page(f"views/{page}.py")
        for key, value in parameters.items():
            test.query_params[key] = value
        test.run()
        assert not test.exception
        return test


def files(page: AppTest) -> dict[str, int]:
    """The tables that a page offers as files, with their rows, once somebody opens the button."""
    page.session_state["download"] = True
    page.run()
    assert not page.exception
    titles = (re.fullmatch(r"\*\*(.+)\*\*, (\d+) rows?", text.value) for text in page.markdown)
    return {found[1]: int(found[2]) for found in titles if found}


def pictures(page: AppTest) -> list[str]:
    """The charts that a page offers as pictures, once somebody opens the button."""
    page.session_state["paper"] = True
    page.run()
    assert not page.exception
    return [str(option) for field in page.selectbox if field.key == "paper-chart" for option in field.options]


def stream(queue: Valkey) -> list[Envelope]:
    """The events on the queue's stream, oldest first."""
    entries: Any = queue.client().xrange("bitfront:events")
    return [Envelope.from_json(fields[b"e"]) for _, fields in entries]


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Dashboard:
    return Dashboard(monkeypatch)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One empty store for a module's tests."""
    running = Service(Settings(home=tmp_path_factory.mktemp("views") / "home"))
    running.start()
    yield running
    running.stop(signal.SIGKILL)
