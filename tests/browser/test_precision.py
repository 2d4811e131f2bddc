"""Precision by epoch, as a browser draws it: bits under the loss, reasons on hover, another schedule by a slider."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.events import Envelope, new_run_id
from tests.browser.conftest import Dashboard
from tests.store import lives

pytestmark = pytest.mark.browser

BITS = "chart => chart._fullData.filter(trace => trace.yaxis === 'y2').map(trace => trace.name)"


def send(dashboard: Dashboard, events: list[Envelope]) -> None:
    dashboard.service.client.post_events(events)


def open_run(page: Page, dashboard: Dashboard, run: str, more: str = "") -> Locator:
    """The loss chart of a run's page, drawn with its bits."""
    page.goto(f"{dashboard.url}/runs?run={run}{more}")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.live-chart.js-plotly-plot')].some(chart => chart._fullLayout?.yaxis2)"
    )
    return page.locator(".live-chart.js-plotly-plot").first


def point_at(page: Page, mark: Locator) -> None:
    """Move the mouse onto a mark; plotly's own layer lies above it, so the mark itself is never hit."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)


def test_bits_lie_under_the_loss_and_a_switch_says_why(page: Page, dashboard: Dashboard) -> None:
    run = new_run_id()
    life = lives.climbing(run)
    send(dashboard, life[:18])
    chart = open_run(page, dashboard, run)
    assert chart.evaluate(BITS) == ["mean over elements", "switches"]
    upper, lower = (chart.locator(f".{name} .nsewdrag, .{name}.nsewdrag").first for name in ("xy", "xy2"))
    above, below = upper.bounding_box(), lower.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] < below["y"]
    assert (above["x"], above["width"]) == (below["x"], below["width"])

    point_at(page, chart.locator(".xy2 .point").nth(1))
    hover = chart.locator(".hoverlayer .hovertext")
    expect(hover).to_contain_text("int4 → int5 from epoch 12")
    expect(hover).to_contain_text("loss plateau: 1 against 0.9")

    send(dashboard, life[18:])
    expect(chart.locator(".xy2 .point")).to_have_count(3)
    expect(page.get_by_role("tab", name="Decisions")).to_be_visible()


def test_a_slider_shows_what_another_threshold_would_have_done(page: Page, dashboard: Dashboard) -> None:
    run = new_run_id()
    send(dashboard, lives.climbing(run, scheme="int4", climb={1: ("int4", 4.0)}))
    chart = open_run(page, dashboard, run)
    page.get_by_text("What would another schedule have done?").click()
    expect(page.get_by_text("exact up to epoch 11")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]replay=true\b"))
    replayed = "replayed: adq[int4,int8]"
    page.wait_for_function(f"name => ({BITS})(document.querySelector('.live-chart')).includes(name)", arg=replayed)
    expect(chart.locator(".xy2 .point")).to_have_count(4)

    slider = page.get_by_role("slider")
    expect(slider).to_have_value("0.9")
    slider.press("End")
    expect(page.get_by_text("exact up to epoch 20")).to_be_visible()
    expect(page.get_by_role("textbox", name="Schedule")).to_have_value("adq[int4,int8](theta=1.2)")
    expect(chart.locator(".xy2 .point")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"[?&]replayed=adq.*1\.2"))
    expect(page.get_by_role("button", name="Launch the real run")).to_be_enabled()


def test_the_replay_fits_a_telephone(page: Page, dashboard: Dashboard) -> None:
    run = new_run_id()
    send(dashboard, lives.climbing(run))
    page.set_viewport_size({"width": 390, "height": 844})
    chart = open_run(page, dashboard, run, "&replay=true")
    expect(page.get_by_role("slider")).to_be_visible()
    box = chart.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_launch_page_previews_a_schedule(page: Page, dashboard: Dashboard) -> None:
    page.goto(f"{dashboard.url}/?schemes=int8&own=sdq%5Bint4,int8%5D")
    chart = page.locator(".js-plotly-plot")
    expect(chart.locator(".scatterlayer .trace")).to_have_count(2)
    assert chart.evaluate("chart => chart._fullLayout.yaxis.title.text") == "Bits"
    assert chart.evaluate("chart => chart._fullData[1].x") == [1, 75, 76, 150]
