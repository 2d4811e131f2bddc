"""A run's cost card in a browser: its parts, what it exports, a measurement by a real worker, Compare by a figure."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from tasks.submit import submit
from tests.browser.pages import axis_title
from tests.system.up import Up, rows
from tests.tasks.stack import karate, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.system]

MEASURING = 180_000
"""Milliseconds for four fresh processes on a busy machine."""


def test_the_card_is_looked_at_measured_and_exported(up: Up, page: Page, tmp_path: Path) -> None:
    address = up.start("--workers", "1")["dashboard"]
    [run] = submit(up.settings, [karate(epochs=5, scheme="int8")])
    wait_for(lambda: rows(up.settings, runs=run, states="finished"), "the run finishes", every=0.2)

    page.goto(f"{address}/runs?run={run}")
    expect(page.get_by_role("cell", name="Memory density", exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Where the bits are").click()
    chart = page.get_by_test_id("stPlotlyChart").filter(has=page.locator(".heatmaplayer"), visible=True)
    expect(chart.locator(".heatmaplayer .hm")).to_have_count(1)
    page.get_by_role("tab", name="Roofline").click()
    expect(page.locator(".xtitle", has_text="Operational intensity (MAC a byte read or written)")).to_be_visible()

    page.get_by_role("tab", name="Measured").click()
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=MEASURING)

    page.get_by_role("tab", name="Export").click()
    with page.expect_download() as svg:
        page.get_by_role("button", name="Card as SVG").click()
    words = [text.text for text in ElementTree.parse(svg.value.path()).iter("{http://www.w3.org/2000/svg}text")]
    assert "Memory density (training, quantized part, ×)" in words
    with page.expect_download() as card:
        page.get_by_role("button", name="Card as JSON").click()
    figures = json.loads(Path(card.value.path()).read_text())["figures"]
    assert figures["memory_density.training"]["value"] == 4.0
    with page.expect_download() as model:
        page.get_by_role("button", name="model.safetensors").click()
    assert model.value.suggested_filename == f"{run}-model.safetensors"

    page.goto(
        f"{address}/compare?density=Another+figure&figure=Peak+memory%2C+torch-allocated+plus+features+(measured)"
    )
    expect(page.locator(".js-plotly-plot .point").first).to_be_visible()
    assert axis_title(page).startswith("Peak memory, torch-allocated plus features (10⁶ bytes, measured)")
