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
from engine.events import Body, Envelope, EpochFinished, RunQueued, RunStarted
from engine.settings import Settings
from engine.spec import RunSpec
from store.client import StoreClient, connect
from store.generated import generate_history

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
SOURCE = Path(__file__).parent.parent.parent
PATIENCE = 60
GOALS = {"Compare, from the click": 1500, "a filter changed": 500, "the front drawn": 1000}
MEMORY_GOAL = 600
"""Server memory, in 10^6 bytes."""
LIVE_RUNS, LIVE_GOAL = 20, 15
"""Runs on a live page that gets an epoch of each every second, and per cent of a core that the dashboard may take."""
SETTLED = 5
"""Seconds that a live page is left alone before its work is measured."""

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


def run(runs: int = 10_000, seeds: int = 10, epochs: int = 1000, repeats: int = 5, live_seconds: int = 30) -> Report:
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
        with _served(home) as (url, store_url, server), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            times = _measure(browser, url, repeats)
            with connect(Settings(home=home, store_url=store_url)) as store:
                load = _measure_live(browser, url, store, psutil.Process(server.pid), live_seconds)
            memory = psutil.Process(server.pid).memory_info().rss / 1e6
            browser.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return _report(
        times, memory, load, f"{runs} runs, {seeds} of each configuration, {runs * epochs} epoch rows (synthetic)"
    )


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


# Curves of so many runs with so many points in all.
LIVE = """([runs, least]) => {
    const charts = [...document.querySelectorAll('.js-plotly-plot')].filter(chart => chart.calcdata);
    const traces = charts.flatMap(chart => chart.calcdata).filter(trace => trace.length > 1);
    return traces.length >= runs && traces.reduce((sum, trace) => sum + trace.length, 0) >= least;
}"""


def _measure_live(browser: Any, url: str, store: StoreClient, server: psutil.Process, seconds: int) -> float:
    """Per cent of a core that the dashboard takes while the curves of LIVE_RUNS runs grow by an epoch a second."""
    began = time.time()
    names = [f"synthetic-live{number:02d}" for number in range(LIVE_RUNS)]
    spec = RunSpec.parse({"dataset": "sbm", "model": "gcn", "scheme": "int8"}).model_dump(mode="json")
    start = RunStarted(worker="bench", host="here", pid=1, device="cpu", total_epochs=10_000, provenance={})

    def post(seq: int, body: Body) -> None:
        attempt = min(seq, 1)
        store.post_events([Envelope(run=run, attempt=attempt, seq=seq, at=began + seq, body=body) for run in names])

    post(0, RunQueued(spec=spec))
    post(1, start)
    epoch = 0

    def train(seconds: float) -> None:
        nonlocal epoch
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            epoch += 1
            loss, metric = 1 / epoch, 100 - 100 / epoch
            losses = {"train_loss": loss, "val_loss": loss, "test_loss": loss}
            metrics = {"train_metric": metric, "val_metric": metric, "test_metric": metric}
            post(epoch + 1, EpochFinished.model_validate({"epoch": epoch, "seconds": 1.0} | losses | metrics))
            time.sleep(min(1.0, left))

    train(2)
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(f"{url}/runs?run={','.join(names)}")
    page.wait_for_function(LIVE, arg=[LIVE_RUNS, 2 * LIVE_RUNS])
    train(SETTLED)
    before, at = _work(server), time.monotonic()
    train(seconds)
    load = 100 * (_work(server) - before) / (time.monotonic() - at)
    page.wait_for_function(LIVE, arg=[LIVE_RUNS, (epoch - 1) * LIVE_RUNS])  # it was live
    page.context.close()
    return load


def _work(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


ONLY_MX = """() => [...document.querySelectorAll('.js-plotly-plot')].filter(chart => chart.calcdata).every(
    chart => chart._fullData.every(trace => !trace.legendgroup || trace.legendgroup === 'mx'))"""


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _served(home: Path) -> Iterator[tuple[str, str, subprocess.Popen[Any]]]:
    """A store and a dashboard on the home; the dashboard's address, the store's, the dashboard's process."""
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
    url, store_url = (f"http://127.0.0.1:{each}" for each in (port, store_port))
    try:
        _wait(f"{store_url}/alive")
        _wait(f"{url}/_stcore/health")
        yield url, store_url, server
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


def _report(times: dict[str, list[float]], memory: float, load: float, about: str) -> Report:
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
    live = f"a live view of {LIVE_RUNS} runs at 1 Hz under {LIVE_GOAL} % of a core"
    goals.append(Goal(live, f"{load:.1f} %", load < LIVE_GOAL))
    goals.append(Goal(f"the server under {MEMORY_GOAL} MB", f"{memory:.0f} MB", memory < MEMORY_GOAL))
    notes = [
        f"History: {about}.",
        "Times are the browser's, from the click to charts drawn and table shown; the front is drawn anew by plotly.",
        "The live view's load is the dashboard server's; the store and the browser are processes of their own.",
    ]
    return Report(rows, goals, notes)
