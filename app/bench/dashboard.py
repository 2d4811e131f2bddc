"""Pages with many runs: a generated history in a home of its own, a store and a dashboard, a Chromium that clicks.

Needs Chromium and playwright, which are for development: `pip install playwright`, Debian's package chromium.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.services.ports import free_port
from engine.bench import Goal, Report
from engine.errors import BitfrontError
from engine.settings import Settings
from store.generated import generate_history

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
SOURCE = Path(__file__).parent.parent.parent
PATIENCE = 60
GOALS = {"Compare, from the click": 1500, "a filter changed": 500, "the front drawn": 1000}
MEMORY_GOAL = 600
"""Server memory, in 10^6 bytes."""

# Charts that are drawn, how many, and that nothing on the page is of the run before.
DRAWN = """least => !document.querySelector('[data-stale=true]')
    && document.querySelector('[data-testid=stDataFrame]')
    && [...document.querySelectorAll('.js-plotly-plot')].filter(chart => chart.calcdata).length >= least"""

# How long plotly takes to draw the figure that is on the page, anew.
REDRAW = """async () => {
    const chart = [...document.querySelectorAll('.js-plotly-plot')].find(chart => chart.calcdata);
    const began = performance.now();
    await window.Plotly.newPlot(chart, chart.data, chart.layout);
    return performance.now() - began;
}"""


def run(runs: int = 10_000, seeds: int = 10, epochs: int = 1000, repeats: int = 5) -> Report:
    """Measure with a history of so many runs, ``seeds`` of each configuration, ``epochs`` rows of each run.

    Raises BitfrontError where there is no Chromium or no playwright.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BitfrontError("this bench drives a browser: pip install playwright") from None
    chromium = shutil.which("chromium")
    if chromium is None:
        raise BitfrontError("there is no chromium on this machine: install Debian's package chromium")
    home = Path(tempfile.mkdtemp(prefix="bitfront-bench-"))
    try:
        settings = Settings(home=home)
        generate_history(settings, runs=runs, seeds=seeds, epochs=epochs)
        with _served(home) as (url, server), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            times = _measure(browser, url, repeats)
            memory = psutil.Process(server.pid).memory_info().rss / 1e6
            browser.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return _report(times, memory, f"{runs} runs, {seeds} of each configuration, {runs * epochs} epoch rows (synthetic)")


def _measure(browser: Any, url: str, repeats: int) -> dict[str, list[float]]:
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(f"{url}/compare")
    page.wait_for_function(DRAWN, arg=4)  # warm: modules are imported, specs are known
    times: dict[str, list[float]] = {name: [] for name in GOALS}
    for _ in range(repeats):
        page.get_by_role("link", name="Runs", exact=True).click()
        page.get_by_role("heading", name="Runs", exact=True).wait_for()
        page.wait_for_function("() => !document.querySelector('.js-plotly-plot')")

        def click() -> None:
            page.get_by_role("link", name="Compare", exact=True).click()
            page.wait_for_function(DRAWN, arg=4)

        times["Compare, from the click"].append(_timed(click))

        def choose() -> None:
            page.get_by_role("option", name="mx", exact=True).click()
            page.wait_for_function(f"least => ({DRAWN})(least) && ({ONLY_MX})()", arg=4)

        times["the front drawn"].append(float(page.evaluate(REDRAW)))
        page.get_by_role("combobox", name="Scheme family").click()
        times["a filter changed"].append(_timed(choose))
        page.goto(f"{url}/compare")
        page.wait_for_function(DRAWN, arg=4)
    return times


ONLY_MX = """() => [...document.querySelectorAll('.js-plotly-plot')].filter(chart => chart.calcdata).every(
    chart => chart._fullData.every(trace => !trace.legendgroup || trace.legendgroup === 'mx'))"""


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _served(home: Path) -> Iterator[tuple[str, subprocess.Popen[Any]]]:
    """A store and a dashboard on the home; the dashboard's address and process."""
    store_port, port = free_port(), free_port()
    environment = os.environ | {
        "BITFRONT_HOME": str(home),
        "BITFRONT_STORE_URL": f"http://127.0.0.1:{store_port}",
        "REDIS_URL": "redis://127.0.0.1:9/0",
    }

    def start(*command: str) -> subprocess.Popen[Any]:
        null = subprocess.DEVNULL
        return subprocess.Popen([sys.executable, "-m", *command], stdout=null, stderr=null, cwd=SOURCE, env=environment)

    store = start("store.service", "--port", str(store_port))
    server = start("app.serve", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(f"http://127.0.0.1:{store_port}/alive")
        _wait(f"{url}/_stcore/health")
        yield url, server
    finally:
        for process in (server, store):
            process.terminate()
            process.wait()


def _wait(url: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise BitfrontError(f"nothing answers at {url} within {PATIENCE} seconds")


def _report(times: dict[str, list[float]], memory: float, about: str) -> Report:
    rows = [
        {"case": name, "milliseconds": statistics.median(found), "slowest": max(found), "goal": GOALS[name]}
        for name, found in times.items()
    ]
    goals = [
        Goal(
            f"{row['case']} within {row['goal']} ms",
            f"{row['milliseconds']:.0f} ms",
            row["milliseconds"] <= row["goal"],
        )
        for row in rows
    ]
    goals.append(Goal(f"the server under {MEMORY_GOAL} MB", f"{memory:.0f} MB", memory < MEMORY_GOAL))
    notes = [
        f"History: {about}.",
        "Times are the browser's, from the click to charts drawn and table shown; the front is drawn anew by plotly.",
    ]
    return Report(rows, goals, notes)
