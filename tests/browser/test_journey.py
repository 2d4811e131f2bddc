"""From the browser to a report on a real graph: launch, watch, compare, share, search, restart."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from engine.search.file import read_search
from tasks.submit import search
from tests.browser.pages import (
    CHARTS,
    axis_title,
    elsewhere,
    front_groups,
    go,
    pick_point,
    pick_schemes,
    set_number,
    wait_for_all_points,
    wait_for_points,
)
from tests.system.up import Up, bitfront

pytestmark = [pytest.mark.browser, pytest.mark.system]

SCHEMES = {"fp32", "int8", "int4", "msfp13"}
SHOWN = SCHEMES - {"msfp13"}
"""What is left by the filter."""
SEEDS = 3
EPOCHS = 60
POINTS = 2 * len(SCHEMES) * SEEDS * EPOCHS
"""Of loss and accuracy of twelve runs."""
NUMBERS = 4
"""One picked group's numbers on Compare."""
TRAINING = 180_000
"""Milliseconds for twelve short runs, or a search, on a busy machine."""
SEARCH = {
    "name": "bits of Cora", "epsilon": 20.0, "n_mea": 3, "n_sample": 20, "n_iter": 1, "epochs": 2, "finalists": 1,
    "final_seeds": 1, "confirm": 2, "figure": "feature_memory",
    "spec": {"dataset": "cora", "model": "gcn", "training": {"epochs": 20}},
    "space": {"granularity": "lwq", "bits": [4, 8]},
}  # fmt: skip


def test_launch_watch_compare_share_search_and_restart(
    up: Up,
    page: Page,
    chromium: Browser,
    mirror: Path,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BITFRONT_MIRROR", str(mirror))
    dashboard = up.start("--workers", "2", "--data", str(data_root))["dashboard"]
    page.goto(dashboard)
    launch_a_grid(page)
    watch_it(page)
    link, view = compare(page, chromium)
    saved = save_the_view(page)
    assert see(chromium, saved, "int8 and int4") == view
    export(page)
    read_offline(page, chromium, dashboard, tmp_path / "report.html")
    look_at_the_grid(page)
    search(up.settings, read_search(SEARCH))
    take_the_winner(page)
    go(page, "System")
    expect(page.get_by_text("All is well.")).to_be_visible()
    expect(page.get_by_role("heading", name="Workers: 2 alive")).to_be_visible()

    go(page, "Runs")
    finished = page.get_by_text(re.compile(r"^\d+ finished$"))
    before = finished.inner_text()

    # Restart: all of it is still there.
    assert bitfront(up.home, "down").returncode == 0
    up.wait()
    again = up.start("--workers", "0")["dashboard"]
    for known in (link, saved):
        assert see(chromium, elsewhere(known, again), "int8 and int4") == view
    page.goto(f"{again}/runs")
    expect(finished).to_have_text(before)


def launch_a_grid(page: Page) -> None:
    """Cora and GCN are what the form begins with, fp32 is picked."""
    pick_schemes(page, sorted(SCHEMES - {"fp32"}))
    set_number(page, "Epochs", EPOCHS)
    page.get_by_role("button", name="Launch 12 runs").click()
    expect(page.get_by_text("Launched 12 runs.")).to_be_visible()


def watch_it(page: Page) -> None:
    """Points appear while runs are going; a run's own details say what it found."""
    page.get_by_role("link", name="Watch these runs").click()
    expect(page.get_by_role("heading", name="Learning curves")).to_be_visible()
    seen = wait_for_points(page, more_than=0, patience=TRAINING)  # the first run compiles
    assert seen < POINTS
    assert wait_for_points(page, more_than=seen) < POINTS
    expect(page.get_by_text("12 finished", exact=True)).to_be_visible(timeout=TRAINING)
    wait_for_all_points(page, POINTS)
    expect(page.get_by_text("headline, epoch")).to_be_visible()


def compare(page: Page, chromium: Browser) -> tuple[str, list[str]]:
    """Four groups with error bars; filters leave three; two picked points stand side by side, for others too."""
    go(page, "Compare")
    groups = front_groups(page)
    assert set(groups) == SCHEMES
    assert all(group["error"] > 0 for group in groups.values())
    assert page.locator(".errorbar path").count() == len(SCHEMES)
    page.get_by_role("radio", name="Arithmetic").click()
    assert front_groups(page, "Arithmetic")["int8"]["x"] == pytest.approx(7.7)
    families = page.get_by_role("combobox", name="Scheme family")
    for family, left in (("fp32", 1), ("affine", len(SHOWN))):
        families.fill(family)
        page.get_by_role("option", name=family, exact=True).click()
        page.wait_for_function(f"() => ({CHARTS})()[0].querySelectorAll('.errorbar path').length === {left}")
    families.press("Escape")

    pick_point(page, "int8", 1)
    expect(page.get_by_role("heading", name="int8 on cora, gcn")).to_be_visible()
    expect(page.get_by_test_id("stMetricValue")).to_have_count(NUMBERS)
    pick_point(page, "int4", 2)
    expect(page.get_by_role("heading", name="int8 and int4")).to_be_visible()
    link = page.url
    return link, see(chromium, link, "int8 and int4")


def see(chromium: Browser, link: str, heading: str) -> list[str]:
    """What a colleague sees who opens this link on Compare in a fresh profile: the axis, what the pair's lines say."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    assert set(front_groups(page)) == SHOWN
    paired = page.get_by_text("int8 less int4, paired by seed and fold")
    seen = [axis_title(page), paired.inner_text(), *page.get_by_test_id("stAlert").all_inner_texts()]
    context.close()
    return seen


def save_the_view(page: Page) -> str:
    """Under a title; gives the link of the saved view."""
    page.get_by_role("button", name="Share").click()
    page.get_by_role("textbox", name="Save this view as").fill("Front on Cora")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("Saved: it stands on the page Views.")).to_be_visible()
    page.keyboard.press("Escape")
    go(page, "Views")
    page.get_by_role("link", name="Front on Cora").click()
    expect(page.get_by_role("heading", name="int8 and int4")).to_be_visible()
    expect(page.get_by_text("Front on Cora")).to_be_visible()
    assert "view=" in page.url
    return page.url


def export(page: Page) -> None:
    """What is on the page as a file, and the front as pictures drawn by the browser."""
    page.get_by_role("button", name="Download", exact=True).click()
    table = downloaded(page, page.get_by_role("button", name="CSV", exact=True).first).decode()
    rows = list(csv.DictReader(table.splitlines()))
    assert {(row["Scheme"], row["Dataset"], row["n"]) for row in rows} == {(each, "cora", str(SEEDS)) for each in SHOWN}
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Figure for a paper").click()
    for label, begin in (("Save as SVG", b"<svg"), ("Save as PNG", b"\x89PNG")):
        assert downloaded(page, page.get_by_role("button", name=label).first).startswith(begin)
    page.keyboard.press("Escape")


def downloaded(page: Page, button: Locator) -> bytes:
    with page.expect_download() as download:
        button.click()
    return Path(download.value.path()).read_bytes()


def read_offline(page: Page, chromium: Browser, dashboard: str, report: Path) -> None:
    """The report opens from disk, with networking off, its charts alive."""
    page.goto(f"{dashboard}/saved")
    report.write_bytes(downloaded(page, page.get_by_role("button", name="Report of 1 view")))
    offline = chromium.new_context(offline=True)
    alone = offline.new_page()
    faults: list[str] = []
    alone.on("pageerror", lambda error: faults.append(str(error)))
    alone.goto(report.as_uri())
    alone.wait_for_function(f"() => ({CHARTS})().length === 2")
    expect(alone.get_by_role("heading", name="Front on Cora")).to_be_visible()
    assert alone.locator(".errorbar path").count() == len(SHOWN)
    assert faults == []
    offline.close()


def look_at_the_grid(page: Page) -> None:
    """The launch as a sweep: all cells done; a cell leads to its runs."""
    go(page, "Sweeps")
    expect(page.get_by_text("12 of 12 runs finished")).to_be_visible()
    grid = page.get_by_test_id("stDataFrame").nth(1)
    box = grid.bounding_box()
    assert box is not None
    first_row = 35 + 17  # below the head, in the middle of the row
    grid.click(position={"x": box["width"] - 40, "y": first_row})
    page.get_by_role("link", name=f"Watch {SEEDS} runs").click()
    expect(page.get_by_role("heading", name="Learning curves")).to_be_visible()
    wait_for_all_points(page, 2 * SEEDS * EPOCHS)


def take_the_winner(page: Page) -> None:
    """A search is watched to its end, and its winner stands in Launch's form."""
    go(page, "Search")
    winner = page.get_by_test_id("stMarkdown").get_by_text("Winner", exact=True)
    expect(winner).to_be_visible(timeout=TRAINING)
    expect(page.get_by_text("Minus fp32 (95 %)")).to_be_visible()
    page.wait_for_function(f"() => ({CHARTS})().length === 4")
    page.get_by_role("link", name="Launch this scheme").click()
    expect(page.get_by_role("button", name="Launch 1 run")).to_be_enabled()
