"""Pages in other pages, and as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.share import frame_text
from engine.events import Envelope, SearchQueued, new_run_id
from tests.browser.conftest import Dashboard
from tests.browser.gallery import LOOKS, shots, take
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


@pytest.mark.parametrize("name", ["sweeps", "search", "views", "system"])
def test_a_page_is_taken_for_the_gallery_as_a_phone_shows_it(
    dashboard: Dashboard, filled: Service, chromium: Browser, tmp_path: Path, name: str
) -> None:
    (shot,) = (shot for shot in shots([]) if shot.name == name)
    take(chromium, dashboard.url, shot, LOOKS["phone"], tmp_path / f"{name}.webp")
    with Image.open(tmp_path / f"{name}.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (585, 1266))
        assert len(picture.getcolors(maxcolors=10**6) or []) > 50, "something is drawn"
