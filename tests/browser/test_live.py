"""A live chart is drawn on: the same element, the zoom kept, the new points there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.events import new_run_id
from tests.browser.conftest import Dashboard
from tests.browser.pages import LEARNING, wait_for_all_points
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
    row = page.get_by_role("row", name="int8 · seed 0")
    expect(row).to_contain_text("5 of 10")

    store.post_events(lives.attempt_of(run, epochs=10)[6:])
    wait_for_all_points(page, 10 * SPLITS * CHARTS)
    expect(page.get_by_text("headline, epoch 10")).to_be_visible()
    assert x_range(first) == zoomed


def test_several_runs_are_overlaid_smoothed_and_caught_up_with(page: Page, dashboard: Dashboard) -> None:
    store, runs = dashboard.service.client, [new_run_id(), new_run_id()]
    for run, scheme in zip(runs, ("adq[int4,int8]", "int8"), strict=True):
        climb = lives.CLIMB if scheme.startswith("adq") else {1: ("int8", 8.0)}
        store.post_events(lives.climbing(run, scheme, climb=climb)[:-2])
    page.goto(f"{dashboard.url}/runs?run={','.join(runs)}&smooth=0.6&log_axes=Loss")
    # The first run's switches: a mark for all on its curve, one of each run on its bits.
    marks = "drawn => drawn._fullData.filter(trace => trace.name === 'switches').length === 3"
    page.wait_for_function(f"() => {{ const drawn = ({LEARNING})()[0]; return drawn && ({marks})(drawn) }}")
    chart = page.locator(".live-chart.js-plotly-plot").first
    assert chart.evaluate("chart => chart._fullLayout.yaxis.type") == "log"
    smooth = "chart => chart._fullData.filter(trace => trace.meta?.[1] === 'Validation, smoothed').length"
    assert chart.evaluate(smooth) == 2
    expect(page.get_by_role("row", name="adq[int4,int8] · seed 0")).to_contain_text("18 of 20")
    # A page that has lost what it was told asks for it, and goes on.
    page.evaluate("() => { const old = document.querySelector('.live-runs'); old.replaceWith(old.cloneNode(true)) }")
    store.post_events(lives.climbing(runs[0])[-2:])
    last = "drawn => drawn.data.some(trace => trace.x?.includes(20)) && drawn.data.some(trace => trace.x?.includes(1))"
    page.wait_for_function(f"() => {{ const drawn = ({LEARNING})()[0]; return drawn && ({last})(drawn) }}")


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
