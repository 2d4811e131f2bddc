"""Compare in a real browser: filter, pick two points, save the view, open its link elsewhere, export, report."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.share import frame_text
from engine.events import Envelope, SearchQueued, new_run_id
from tests.browser.conftest import Dashboard
from tests.browser.gallery import LOOKS, shots, take
from tests.browser.pages import CHARTS, front_groups
from tests.store import lives
from tests.store.conftest import Service

pytestmark = pytest.mark.browser

MEMORY = {"fp32": 1.0, "int8": 4.0, "int4": 8.0}
TESTS = {"fp32": 82.0, "int8": 81.5, "int4": 75.0}


@pytest.fixture(scope="module")
def filled(store: Service) -> Service:
    """Three schemes on two graphs, two seeds each."""
    for scheme, test in TESTS.items():
        for seed in (0, 1):
            for dataset in ("karate", "cora"):
                run = new_run_id()
                events = lives.attempt_of(run, test=test + seed, memory=MEMORY[scheme])
                store.client.post_events([lives.queued(run, scheme=scheme, seed=seed, dataset=dataset), *events])
    runs = store.client.query("runs")["run"].to_pylist()
    search = SearchQueued(name="bits of karate", dataset="karate", model="gcn", file={"name": "bits of karate"})
    store.client.post_events([lives.launched("formats", [(runs[0], True), (None, True)])])
    store.client.post_events([Envelope(run="s1", at=lives.BEGAN, body=search)])
    return store


def pick(page: Page, scheme: str, picked: int) -> None:
    """Click a scheme's point on the one front; wait until so many groups are picked."""
    point = front_groups(page)[scheme]
    page.mouse.click(point["left"], point["top"])
    page.wait_for_function(
        "n => (new URL(location).searchParams.get('group') || '').split(',').filter(Boolean).length === n", arg=picked
    )


def test_filter_pick_two_save_share_export_and_report(
    dashboard: Dashboard, filled: Service, page: Page, chromium: Browser, tmp_path: Path
) -> None:
    page.goto(f"{dashboard.url}/compare")
    datasets = page.get_by_role("combobox", name="Dataset")
    datasets.fill("cora")
    page.get_by_role("option", name="cora", exact=True).click()
    datasets.press("Escape")
    assert set(front_groups(page)) == set(TESTS)

    pick(page, "int8", 1)
    expect(page.get_by_role("heading", name="int8 on cora, gcn")).to_be_visible()
    pick(page, "int4", 2)
    expect(page.get_by_role("heading", name="int8 and int4")).to_be_visible()

    page.get_by_role("button", name="Share").click()
    page.get_by_role("textbox", name="Save this view as").fill("Front on Cora")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("Saved: it stands on the page Views.")).to_be_visible()
    (view,) = filled.client.query("views")["view"].to_pylist()

    # Whoever opens the saved view, in a profile of their own, sees the same.
    colleague = chromium.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    colleague.goto(f"{dashboard.url}/saved")
    colleague.get_by_role("link", name="Front on Cora").click()
    expect(colleague.get_by_role("heading", name="int8 and int4")).to_be_visible()
    expect(colleague.get_by_text("Front on Cora")).to_be_visible()
    assert f"view={view}" in colleague.url
    colleague.wait_for_function(f"() => ({CHARTS})().length === 2")

    # What is on the page, as a file.
    colleague.get_by_role("button", name="Download", exact=True).click()
    with colleague.expect_download() as download:
        colleague.get_by_role("button", name="CSV", exact=True).first.click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert {row["Scheme"]: (row["Dataset"], row["n"], row["Test"]) for row in rows} == {
        scheme: ("cora", "2", str(test + 0.5)) for scheme, test in TESTS.items()
    }

    # The front as a picture, drawn by the browser.
    colleague.keyboard.press("Escape")
    colleague.get_by_role("button", name="Figure for a paper").click()
    for label, begin in (("Save as SVG", b"<svg"), ("Save as PNG", b"\x89PNG")):
        with colleague.expect_download() as download:
            colleague.get_by_role("button", name=label).click()
        assert Path(download.value.path()).read_bytes().startswith(begin)
    colleague.context.close()

    # The report opens from disk, with networking off, its charts alive.
    page.goto(f"{dashboard.url}/saved")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report of 1 view").click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    offline = chromium.new_context(offline=True)
    alone = offline.new_page()
    faults: list[str] = []
    alone.on("pageerror", lambda error: faults.append(str(error)))
    alone.goto(report.as_uri())
    alone.wait_for_function(f"() => ({CHARTS})().length === 2")
    expect(alone.get_by_role("heading", name="Front on Cora")).to_be_visible()
    assert alone.locator(".errorbar path").count() == len(TESTS)
    assert faults == []
    offline.close()


def test_points_are_picked_with_the_keyboard_alone(dashboard: Dashboard, filled: Service, page: Page) -> None:
    page.goto(f"{dashboard.url}/compare?data=cora")
    places = front_groups(page)
    front = page.get_by_role("application", name="against Memory density")
    said, ring = front.get_by_role("status"), front.locator(".front-ring")
    hover = front.locator(".hoverlayer .hovertext")
    front.focus()
    expect(front.get_by_text("Arrow keys: point to point")).to_be_visible()
    expect(ring).to_be_hidden()

    # From left to right: fp32, int8, int4.
    for key, scheme in (
        *(("ArrowRight", "fp32"), ("ArrowRight", "int8"), ("ArrowUp", "int4"), ("ArrowRight", "int4")),
        *(("Home", "fp32"), ("End", "int4"), ("ArrowLeft", "int8")),
    ):
        front.press(key)
        expect(said).to_have_text(re.compile(f"^{scheme} · gcn · cora. test at best validation"))
        expect(hover).to_contain_text(scheme)
        box = ring.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] / 2 == pytest.approx(places[scheme]["left"], abs=1)
        assert box["y"] + box["height"] / 2 == pytest.approx(places[scheme]["top"], abs=1)

    # Picked and let go: each hands the chart another figure, and the keys stay where they are.
    front.press("Enter")
    expect(page.get_by_role("heading", name="int8 on cora, gcn")).to_be_visible()
    expect(said).to_have_text(re.compile("^Picked: int8 · gcn · cora"))
    expect(hover).to_contain_text("int8")
    expect(front).to_be_focused()
    front.press("Space")
    expect(page.get_by_role("heading", name="int8 on cora, gcn")).to_have_count(0)
    expect(said).to_have_text(re.compile("^int8 · gcn · cora"))

    # A family that is hidden is passed over, and one that is not shown any more is left.
    front.press("End")
    front.locator(".legendtoggle").nth(1).click()
    expect(ring).to_be_hidden()
    expect(said).to_have_text("")
    front.press("ArrowLeft")
    expect(said).to_have_text(re.compile("^fp32 · gcn · cora"))
    front.press("Escape")
    expect(ring).to_be_hidden()
    expect(said).to_have_text("")
    expect(hover).to_have_count(0)


def test_another_page_shows_the_charts_alone(dashboard: Dashboard, filled: Service, page: Page) -> None:
    link = f"{dashboard.url}/compare?data=cora&density=Arithmetic&embed=true"
    page.set_content(frame_text(link, "The front on Cora"))
    frame = page.frame_locator("iframe[title='The front on Cora']")
    expect(frame.get_by_role("img", name="against Arithmetic density")).to_be_visible()
    expect(frame.locator(".front-chart .errorbar path")).to_have_count(len(TESTS))
    expect(frame.get_by_role("link", name="Open in Bitfront")).to_be_visible()
    expect(frame.get_by_role("heading")).to_have_count(0)
    expect(frame.get_by_role("combobox")).to_have_count(0)
    expect(frame.get_by_role("link", name="Launch")).to_have_count(0)


@pytest.mark.parametrize("name", ["runs", "sweeps", "search", "compare", "views", "system"])
def test_a_page_is_taken_for_the_gallery_as_a_phone_shows_it(
    dashboard: Dashboard, filled: Service, chromium: Browser, tmp_path: Path, name: str
) -> None:
    runs = filled.client.query("runs", limit=3)["run"].to_pylist()
    (shot,) = (shot for shot in shots(runs) if shot.name == name)
    take(chromium, dashboard.url, shot, LOOKS["phone"], tmp_path / f"{name}.webp")
    with Image.open(tmp_path / f"{name}.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (585, 1266))
        assert len(picture.getcolors(maxcolors=10**6) or []) > 50, "something is drawn"
