"""A real Chromium with a fresh profile, and the dashboard in front of real services."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

import app
from app.services.ports import free_port
from tests.browser.pages import FLAGS
from tests.store.conftest import Service
from tests.store.waiting import until
from tests.system.up import Up

PATIENCE = 30_000
"""Milliseconds that a page may take on a busy machine."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on this machine: install Debian's package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a fresh profile; a script error or a dialog in it, or a request to another machine, fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))

    def note(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            faults.append(f"asked another machine: {request.url}")

    page.on("request", note)
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    found = Up(tmp_path / "home")
    try:
        yield found
    finally:
        found.end_all()


class Dashboard:
    """Streamlit alone, in front of a store and of a queue that may be absent."""

    def __init__(self, service: Service, **environment: str) -> None:
        self.service = service
        self.environment = environment
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._start("-m", "app.serve", "--port", str(self.port))

    def start_by_hand(self) -> None:
        """As somebody does who has not read how."""
        script = Path(app.__file__).parent / "dashboard.py"
        self._start("-m", "streamlit", "run", str(script), f"--server.port={self.port}")

    def _start(self, *command: str) -> None:
        environment = os.environ | {
            "BITFRONT_HOME": str(self.service.settings.home),
            "BITFRONT_STORE_URL": self.service.client.url,
            "REDIS_URL": "redis://127.0.0.1:9/0",
        }
        self.process = subprocess.Popen(
            [sys.executable, *command],
            env=environment | self.environment,
            cwd=Path(app.__file__).parent.parent,
            stdout=subprocess.DEVNULL,
        )
        until(self._answers, "the dashboard answers", 60)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_stcore/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    from engine.settings import Settings

    running = Service(Settings(home=tmp_path_factory.mktemp("browser") / "home"))
    running.start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def dashboard(store: Service) -> Iterator[Dashboard]:
    """A dashboard whose queue is down."""
    running = Dashboard(store)
    try:
        running.start()
        yield running
    finally:
        running.stop()
