"""Pages in other pages, as files and as pictures."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.share import frame_text
from engine.events import SearchEnded, new_run_id
from tests.app.views.test_search import RESULT, begun, said
from tests.browser.conftest import Dashboard
from tests.browser.gallery import LOOKS, shots, take
from tests.browser.pages import front_groups
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
    store.client.post_events([lives.launched("formats", [(runs[0], True), (None, True)])])
    store.client.post_events([*begun("s1"), said("s1", SearchEnded(result=RESULT), lives.BEGAN + 90)])
    return store


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


@pytest.mark.parametrize(
    ("name", "first", "files"),
    [
        ("sweeps", {"Sweep": "formats", "Progress": "50.0"}, ["sweeps-sweeps", "sweeps-grid", "sweeps-runs"]),
        ("search", {"Name": "rows", "Winner": "emb[2 -> 4]"}, ["search-searches", "search-trials"]),
        (
            "system",
            {},
            [f"system-{part}" for part in ("workers", "waiting", "storage", "tables", "versions", "datasets")],
        ),
    ],
)
def test_what_a_page_shows_is_files_on_a_phone_too(
    dashboard: Dashboard, filled: Service, chromium: Browser, name: str, first: dict[str, str], files: list[str]
) -> None:
    phone = chromium.new_context(viewport={"width": 390, "height": 844}).new_page()
    phone.goto(f"{dashboard.url}/{name}")
    phone.get_by_role("button", name="Download", exact=True).click()
    buttons = phone.get_by_role("button", name="CSV", exact=True)
    expect(buttons).to_have_count(len(files))
    assert phone.evaluate("document.scrollingElement.scrollWidth") == 390
    for place, file in enumerate(files):
        with phone.expect_download() as download:
            buttons.nth(place).click()
        assert download.value.suggested_filename == f"{file}.csv"
        rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
        if place == 0 and first:
            assert {key: rows[0][key] for key in first} == first
    phone.context.close()


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
