"""A hosted Bitfront in a real browser: sign-in at a real identity provider, two roles, a read-only showcase."""

from __future__ import annotations

import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from engine.settings import Settings
from tests.browser.conftest import PATIENCE, Dashboard
from tests.store.conftest import Service
from tests.store.lives import finished, remember

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the provider's own imports are deprecated ones
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = pytest.mark.browser

PEOPLE = {
    "runner": {"email": "Ada@example.org", "email_verified": True},
    "viewer": {"email": "vera@lab.example.org", "email_verified": True},
    "stranger": {"email": "mallory@example.org", "email_verified": True},
    "pretender": {"email": "ada@example.org", "email_verified": False},
    "nameless": {},
}


@contextmanager
def hosted(folder: Path, **environment: str) -> Iterator[Dashboard]:
    """A store with one finished run, and a dashboard before it that is yet to be started, both in a mode."""
    settings = Settings(home=folder / "home")
    remember(settings, finished("run1"))
    store = Service(settings)
    store.environment |= environment
    store.start()
    dashboard = Dashboard(store, **environment)
    try:
        yield dashboard
    finally:
        dashboard.stop()
        store.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with run_server_in_thread(user_claims=[User(sub=name, claims=claims) for name, claims in PEOPLE.items()]) as server:
        settings = {
            "BITFRONT_AUTH": "oidc",
            "BITFRONT_RUNNERS": "ada@example.org",
            "BITFRONT_VIEWERS": "*@lab.example.org",
            "BITFRONT_OIDC_METADATA_URL": f"http://127.0.0.1:{server.server_port}/.well-known/openid-configuration",
            "BITFRONT_OIDC_CLIENT_ID": "bitfront",
            "BITFRONT_OIDC_CLIENT_SECRET": "the-clients-secret",
            "BITFRONT_PUBLIC_URL": "http://127.0.0.1",  # the dashboard's has its port
        }
        with hosted(tmp_path_factory.mktemp("oidc"), **settings) as dashboard:
            dashboard.environment["BITFRONT_PUBLIC_URL"] = dashboard.url
            dashboard.start()
            yield dashboard


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Page]:
    """A fresh profile: nobody is signed in."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def sign_in(page: Page, url: str, who: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=who, exact=True).click()
    page.wait_for_url(re.compile(re.escape(url)))


def test_nothing_is_shown_before_signing_in(visitor: Page, oidc: Dashboard) -> None:
    for path in ("/", "/runs?run=run1", "/compare"):
        visitor.goto(f"{oidc.url}{path}")
        expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()
        expect(visitor.get_by_role("heading")).to_have_count(1)  # the door's own
        assert "run1" not in visitor.inner_text("body")
        assert "karate" not in visitor.inner_text("body")


def test_a_runner_may_launch_and_signs_out_again(visitor: Page, oidc: Dashboard) -> None:
    sign_in(visitor, oidc.url, "runner")
    expect(visitor.get_by_text("Ada@example.org, may launch")).to_be_visible()
    visitor.get_by_role("button", name=re.compile(r"^Launch \d+ runs?$")).click()
    expect(visitor.get_by_text("nothing was launched")).to_be_visible()  # there is no queue in this test
    visitor.get_by_role("button", name="Sign out").click()
    visitor.wait_for_url(re.compile("end_session"))  # the provider asks whether to end its own session too
    visitor.goto(oidc.url)
    expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_viewer_looks_and_changes_nothing(visitor: Page, oidc: Dashboard) -> None:
    sign_in(visitor, oidc.url, "viewer")
    expect(visitor.get_by_text("vera@lab.example.org, may look and share")).to_be_visible()
    expect(visitor.get_by_role("button", name=re.compile(r"^Launch"))).to_be_disabled()
    expect(visitor.get_by_text("You may look and share, not change")).to_be_visible()
    visitor.goto(f"{oidc.url}/runs?run=run1")
    expect(visitor.get_by_role("heading", name="Learning curves")).to_be_visible()
    expect(visitor.get_by_role("button", name="Measure")).to_have_count(0)
    visitor.goto(f"{oidc.url}/?dataset=file")
    expect(visitor.get_by_text("You may pick among what is uploaded, not upload.")).to_be_visible()
    expect(visitor.locator("input[type=file]")).to_have_count(0)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("stranger", "The address mallory@example.org is not on the list of this Bitfront."),
        ("pretender", "Your provider does not confirm the address ada@example.org."),
        ("nameless", "An account without an e-mail address is not on the list of this Bitfront."),
    ],
)
def test_who_is_not_on_the_list_is_not_let_in(visitor: Page, oidc: Dashboard, who: str, why: str) -> None:
    sign_in(visitor, oidc.url, who)
    expect(visitor.get_by_text(why)).to_be_visible()
    expect(visitor.get_by_role("heading", name="Launch", exact=True)).to_have_count(0)
    expect(visitor.get_by_role("button", name="Sign out")).to_be_visible()


def test_the_secrets_lie_where_only_their_owner_reads_them(oidc: Dashboard) -> None:
    home = oidc.service.settings.home
    private = [home / "run" / "secrets.toml", home / "cookie.secret", home / "store.token", home / "store.viewer.token"]
    assert [oct(path.stat().st_mode & 0o777) for path in private] == ["0o600"] * len(private)
    for path in home.rglob("*"):
        if path.is_file() and path not in private:
            assert b"the-clients-secret" not in path.read_bytes(), path


def test_a_showcase_is_looked_at_by_everybody_and_changed_by_nobody(page: Page, tmp_path: Path) -> None:
    with hosted(tmp_path, BITFRONT_AUTH="readonly") as dashboard:
        dashboard.start()
        page.goto(dashboard.url)
        expect(page.get_by_text("Read-only: look, compare and share; nothing is launched here.")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile(r"^Launch"))).to_be_disabled()
        page.goto(f"{dashboard.url}/compare")
        expect(page.get_by_text("1 seed group")).to_be_visible()


def test_a_dashboard_that_was_started_by_hand_on_an_open_address_shows_nothing(page: Page, tmp_path: Path) -> None:
    with hosted(tmp_path, BITFRONT_PUBLISHED="127.0.0.1") as dashboard:
        dashboard.environment["BITFRONT_PUBLISHED"] = "203.0.113.5"
        dashboard.start_by_hand()
        page.goto(f"{dashboard.url}/runs")
        expect(page.get_by_text("the address 203.0.113.5 is not allowed with BITFRONT_AUTH=off")).to_be_visible()
        expect(page.get_by_role("heading", name="Runs", exact=True)).to_have_count(0)
