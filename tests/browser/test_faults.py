"""What the browser shows when something is wrong: one sentence, and nothing typed is lost."""

from __future__ import annotations

import signal

import pytest
from playwright.sync_api import Page, expect

from engine.errors import InputError
from engine.events import new_run_id
from engine.scheme import parse_scheme
from tests.browser.conftest import Dashboard
from tests.browser.pages import pick_schemes
from tests.store import lives

pytestmark = pytest.mark.browser


def test_an_unknown_scheme_is_refused_as_it_is_typed(page: Page, dashboard: Dashboard) -> None:
    page.goto(dashboard.url)
    field = page.get_by_role("textbox", name="Or write your own")
    field.press_sequentially("msfp31")
    with pytest.raises(InputError) as refused:
        parse_scheme("msfp31")
    expect(page.get_by_text(str(refused.value), exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Launch", exact=True)).to_be_disabled()
    expect(field).to_be_focused()


def test_a_queue_that_is_down_keeps_what_was_typed(page: Page, dashboard: Dashboard) -> None:
    page.goto(dashboard.url)
    pick_schemes(page, ["int8"])
    page.get_by_role("textbox", name="Or write your own").fill("int4:weight")
    page.get_by_role("button", name="Launch 9 runs").click()
    expect(page.get_by_text("nothing was launched")).to_be_visible()
    expect(page.get_by_role("textbox", name="Or write your own")).to_have_value("int4:weight")
    page.reload()
    expect(page.get_by_role("textbox", name="Or write your own")).to_have_value("int4:weight")
    expect(page.get_by_role("button", name="Launch 9 runs")).to_be_visible()


def test_a_store_that_went_away_is_said_and_the_page_comes_back_by_itself(page: Page, dashboard: Dashboard) -> None:
    service = dashboard.service
    run = new_run_id()
    service.client.post_events(lives.finished(run))
    page.goto(f"{dashboard.url}/runs?run={run}")
    expect(page.get_by_role("heading", name="Learning curves")).to_be_visible()
    port = service.client.url.rsplit(":", 1)[1]
    service.stop(signal.SIGKILL)
    expect(page.get_by_text("the store does not answer at")).to_be_visible()
    page.goto(f"{dashboard.url}/compare")
    expect(page.get_by_text("the store does not answer at")).to_be_visible()
    assert "Traceback" not in page.inner_text("body")
    service.start("--port", port)
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.get_by_text("1 seed group")).to_be_visible()
    expect(page.get_by_text("the store does not answer at")).to_be_hidden()


@pytest.mark.parametrize("path", ["/", "/runs", "/compare", "/system"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(page: Page, dashboard: Dashboard, path: str, width: int) -> None:
    run = new_run_id()
    dashboard.service.client.post_events(lives.finished(run))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{dashboard.url}{path}?run={run}" if path == "/runs" else dashboard.url + path)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
