"""A live chart is drawn on: the same element, the zoom kept, the new points there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.events import new_run_id
from tests.browser.conftest import Dashboard
from tests.browser.pages import wait_for_all_points
from tests.store import lives

pytestmark = pytest.mark.browser

SPLITS = 3
CHARTS = 2


def test_points_arrive_in_the_same_chart_and_the_zoom_stays(page: Page, dashboard: Dashboard) -> None:
    store, run = dashboard.service.client, new_run_id()
    store.post_events([lives.queued(run), lives.started(run, total_epochs=10)])
    store.post_events([lives.event(run, 1, seq, lives.row(seq - 1)) for seq in (2, 3, 4)])
    page.goto(f"{dashboard.url}/runs?run={run}")
    wait_for_all_points(page, 3 * SPLITS * CHARTS)
    first = page.locator(".js-plotly-plot").first
    first.evaluate("chart => { chart.dataset.seen = 'yes' }")
    zoomed = zoom(page, first)

    store.post_events([lives.event(run, 1, seq, lives.row(seq - 1)) for seq in (5, 6)])
    wait_for_all_points(page, 5 * SPLITS * CHARTS)
    expect(first).to_have_attribute("data-seen", "yes")
    assert x_range(first) == zoomed
    expect(page.get_by_text("5 of 10 · 2.5 s left · 2.0 epochs a second", exact=True)).to_be_visible()

    store.post_events(lives.attempt_of(run, epochs=10)[6:])
    wait_for_all_points(page, 10 * SPLITS * CHARTS)
    expect(page.get_by_text("headline, epoch 10")).to_be_visible()
    assert x_range(first) == zoomed


def x_range(chart: Locator) -> list[float]:
    return chart.evaluate("chart => chart._fullLayout.xaxis.range")


def zoom(page: Page, chart: Locator) -> list[float]:
    """Drag a box in the chart; the range that it shows then."""
    before = x_range(chart)
    chart.scroll_into_view_if_needed()
    box = chart.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_function(
        "low => document.querySelector('.js-plotly-plot')._fullLayout.xaxis.range[0] > low", arg=before[0]
    )
    return x_range(chart)
