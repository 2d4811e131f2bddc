"""From the browser to a Pareto point on a real graph: launch, watch, compare, share, restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.pages import (
    axis_title,
    elsewhere,
    front_groups,
    go,
    pick_schemes,
    set_number,
    wait_for_all_points,
    wait_for_points,
)
from tests.system.up import Up, bitfront

pytestmark = [pytest.mark.browser, pytest.mark.system]

SCHEMES = {"fp32", "int8", "int4", "msfp13"}
EPOCHS = 60
POINTS = 2 * 12 * EPOCHS  # loss and accuracy of twelve runs
NUMBERS = 4
"""The picked group's numbers on Compare."""
TRAINING = 180_000
"""Milliseconds for twelve short runs on a busy machine."""


def test_launch_watch_compare_share_and_restart(
    up: Up, page: Page, chromium: Browser, mirror: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITFRONT_MIRROR", str(mirror))
    arguments = ("--workers", "2", "--data", str(data_root))
    page.goto(up.start(*arguments)["dashboard"])

    # Launch: Cora and GCN are what the form begins with, fp32 is picked.
    pick_schemes(page, sorted(SCHEMES - {"fp32"}))
    set_number(page, "Epochs", EPOCHS)
    page.get_by_role("button", name="Launch 12 runs").click()
    expect(page.get_by_text("Launched 12 runs.")).to_be_visible()

    # Watch: points appear while runs are going.
    page.get_by_role("link", name="Watch these runs").click()
    expect(page.get_by_role("heading", name="Learning curves")).to_be_visible()
    seen = wait_for_points(page, more_than=0)
    assert seen < POINTS
    assert wait_for_points(page, more_than=seen) < POINTS
    expect(page.get_by_text("12 finished", exact=True)).to_be_visible(timeout=TRAINING)
    wait_for_all_points(page, POINTS)

    # Compare: four groups with error bars; a click opens one.
    go(page, "Compare")
    groups = front_groups(page)
    assert set(groups) == SCHEMES
    assert all(group["error"] > 0 for group in groups.values())
    assert page.locator(".errorbar path").count() == 4
    page.get_by_role("radio", name="Arithmetic").click()
    groups = front_groups(page, "Arithmetic")
    assert groups["int8"]["x"] == pytest.approx(7.7)
    page.mouse.click(groups["int8"]["left"], groups["int8"]["top"])
    expect(page.get_by_role("heading", name="int8 on cora, gcn")).to_be_visible()

    # Share: a copied link shows the same view in a fresh profile.
    link = page.url
    expect(page.get_by_test_id("stMetricValue")).to_have_count(NUMBERS)
    view = (axis_title(page), page.get_by_test_id("stMetricValue").all_inner_texts())
    assert see(chromium, link) == view

    # Restart: all of it is still there.
    assert bitfront(up.home, "down").returncode == 0
    up.wait()
    again = up.start("--workers", "0")["dashboard"]
    assert see(chromium, elsewhere(link, again)) == view
    page.goto(f"{again}/runs")
    expect(page.get_by_text("12 finished", exact=True)).to_be_visible()


def see(chromium: Browser, link: str) -> tuple[str, list[str]]:
    """What a colleague sees who opens this link on Compare: the axis, the picked group's numbers."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="int8 on cora, gcn")).to_be_visible()
    assert set(front_groups(page)) == SCHEMES
    expect(page.get_by_test_id("stMetricValue")).to_have_count(NUMBERS)
    seen = (axis_title(page), page.get_by_test_id("stMetricValue").all_inner_texts())
    context.close()
    return seen
