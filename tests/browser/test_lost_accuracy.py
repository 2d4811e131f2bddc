"""Where accuracy is lost, as a browser draws it: charts behind tabs, axes with units, the epoch in the link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from engine.events import new_run_id
from tests.browser.conftest import Dashboard
from tests.store import lives

pytestmark = pytest.mark.browser

TITLES = "chart => [...chart.querySelectorAll('.ytitle, .y2title, .y3title, .x3title')].map(title => title.textContent)"


def test_sites_degrees_and_epochs_can_be_looked_at(page: Page, dashboard: Dashboard) -> None:
    store, run = dashboard.service.client, new_run_id()
    later = [lives.event(run, 1, 1 + epoch, lives.diagnostics(epoch)) for epoch in (1, 2)]
    store.post_events([lives.queued(run), lives.started(run), *later, lives.event(run, 1, 4, lives.row(1))])
    page.goto(f"{dashboard.url}/runs?run={run}")

    sites = page.get_by_test_id("stPlotlyChart").filter(visible=True).locator(".js-plotly-plot")
    expect(sites.locator(".bars path")).to_have_count(6)
    assert sorted(sites.evaluate(TITLES)) == ["SQNR (dB)", "Saturated (%)", "Site", "Zeroed gradients (%)"]

    page.get_by_role("tab", name="By in-degree").click()
    degrees = page.get_by_test_id("stPlotlyChart").filter(visible=True).locator(".js-plotly-plot")
    expect(degrees.locator(".scatterlayer .point")).to_have_count(6)
    assert "In-degree of the node" in degrees.evaluate(TITLES)
    assert degrees.evaluate("chart => chart._fullLayout.width") > 600

    page.get_by_role("combobox", name="Epoch").click()
    page.get_by_role("option", name="1", exact=True).click()
    expect(page).to_have_url(re.compile(r"[?&]lost-at=1\b"))
