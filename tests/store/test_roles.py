"""The two roles at the store's HTTP interface: every path, with every token, in every mode."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.settings import Settings
from store.access import read_token, read_viewer_token
from store.client import StoreError, connect
from tests.store.conftest import Service
from tests.store.lives import finished, remember
from tests.store.waiting import until

WRITES = [
    ("POST", "/events"),
    ("PATCH", "/runs/run1"),
    ("DELETE", "/runs/run1"),
    ("POST", "/views"),
    ("PATCH", "/views/view1"),
    ("DELETE", "/views/view1"),
    ("POST", "/uploads?kind=file"),
    ("POST", "/backup"),
]
READS = ["/health", "/queries", "/query/runs", "/uploads", "/uploads/u0123456789abcdef/files", "/docs", "/openapi.json"]


class Hosted(Service):
    """A service in one of the modes."""

    def __init__(self, settings: Settings, auth: str) -> None:
        super().__init__(settings)
        self.environment["BITFRONT_AUTH"] = auth

    def ask(self, method: str, path: str, token: str | None = None, **options: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.client.url}{path}"
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=30, **options)  # pyright: ignore


def _started(folder: Path, auth: str) -> Iterator[Hosted]:
    """A store with one run, written before the mode was set."""
    settings = Settings(home=folder / "home")
    remember(settings, finished("run1"))
    running = Hosted(settings, auth)
    running.start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    yield from _started(tmp_path_factory.mktemp("oidc"), "oidc")


@pytest.fixture(scope="module")
def readonly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    yield from _started(tmp_path_factory.mktemp("readonly"), "readonly")


def test_with_oidc_nothing_is_read_without_a_token(oidc: Hosted) -> None:
    for path in READS:
        answer = oidc.ask("GET", path)
        assert (answer.status_code, answer.json()) == (
            401,
            {"detail": "reading this store needs its token: set BITFRONT_STORE_TOKEN"},
        ), path
    assert oidc.ask("POST", "/query/runs", json={}).status_code == 401
    answer = oidc.ask("GET", "/alive")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_with_oidc_the_viewers_token_reads_and_does_not_write(oidc: Hosted) -> None:
    token = read_viewer_token(oidc.settings)
    for path in READS:
        assert oidc.ask("GET", path, token).status_code in (200, 422), path  # 422: there is no such upload
    assert oidc.ask("POST", "/query/runs", token, json={}).status_code == 200
    for method, path in WRITES:
        answer = oidc.ask(method, path, token)
        assert (answer.status_code, answer.json()) == (
            403,
            {"detail": "viewers may only read: writing to the store needs its token, BITFRONT_STORE_TOKEN"},
        ), path


def test_a_path_that_nobody_knows_is_closed_too(oidc: Hosted) -> None:
    token = read_viewer_token(oidc.settings)
    assert oidc.ask("PUT", "/nothing/here", token).status_code == 403
    assert oidc.ask("GET", "/nothing/here").status_code == 401
    assert oidc.ask("GET", "/alive/../query/runs").status_code == 401
    assert oidc.ask("GET", "//query/runs").status_code == 401


def test_with_oidc_the_stores_token_reads_and_writes(oidc: Hosted) -> None:
    token = read_token(oidc.settings)
    assert oidc.ask("GET", "/query/runs", token).status_code == 200
    assert oidc.ask("PATCH", "/runs/run1", token, json={"name": "kept"}).status_code == 200


def test_a_client_as_viewer_is_refused_by_the_store_itself(oidc: Hosted) -> None:
    settings = oidc.settings.model_copy(update={"store_url": oidc.client.url})
    with connect(settings, as_viewer=True) as client:
        assert client.query("runs").num_rows == 1
        with pytest.raises(StoreError) as refusal:
            client.delete_run("run1")
    assert str(refusal.value) == "viewers may only read: writing to the store needs its token, BITFRONT_STORE_TOKEN"


def test_readonly_is_open_to_read_and_closed_to_write_whatever_the_token(readonly: Hosted) -> None:
    for path in READS:
        assert readonly.ask("GET", path).status_code in (200, 422), path
    for token in (None, read_viewer_token(readonly.settings), read_token(readonly.settings)):
        for method, path in WRITES:
            answer = readonly.ask(method, path, token)
            assert (answer.status_code, answer.json()) == (
                403,
                {"detail": "this store is read-only (BITFRONT_AUTH=readonly): nothing can be changed through it"},
            ), path
    assert readonly.ask("GET", "/health").json()["counts"] == {"finished": 1}


def test_off_reads_openly_and_writes_with_the_token_only(shared_service: Service) -> None:
    for token in (None, "wrong", read_viewer_token(shared_service.settings)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = shared_service.client.url
        assert httpx.get(f"{url}/query/runs", headers=headers, trust_env=False).status_code == 200
        for method, path in WRITES:
            answer = httpx.request(method, f"{url}{path}", headers=headers, trust_env=False)
            assert (answer.status_code, answer.json()) == (
                401,
                {"detail": "writing to the store needs its token: set BITFRONT_STORE_TOKEN"},
            ), path


def test_where_the_home_lies_is_told_only_to_whoever_may_write(oidc: Hosted, readonly: Hosted) -> None:
    assert oidc.ask("GET", "/health", read_token(oidc.settings)).json()["home"] == str(oidc.settings.home)
    seen = oidc.ask("GET", "/health", read_viewer_token(oidc.settings))
    assert seen.json()["home"] is None
    assert str(oidc.settings.home) not in seen.text
    for token in (None, read_viewer_token(readonly.settings), read_token(readonly.settings)):
        assert readonly.ask("GET", "/health", token).json()["home"] is None


def test_what_the_store_lacks_is_told_to_viewers_without_the_homes_path(tmp_path: Path) -> None:
    """A Redis that is not there, at a socket in the home."""
    settings = Settings(home=tmp_path / "home")
    service = Service(settings, f"unix://{settings.home}/run/redis.sock")
    service.start()
    try:
        url = service.client.url
        until(lambda: service.client.health()["trouble"], "the store misses its queue")
        assert str(settings.home) in service.client.health()["trouble"]
        seen = httpx.get(f"{url}/health", trust_env=False)
        assert "BITFRONT_HOME/run/redis.sock" in seen.json()["trouble"]
        assert str(settings.home) not in seen.text
    finally:
        service.stop(signal.SIGKILL)


def test_answers_are_not_guessed_at_or_kept_by_browsers(shared_service: Service) -> None:
    headers = httpx.get(f"{shared_service.client.url}/query/runs", trust_env=False).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_service_refuses_an_open_address_in_a_sentence(settings: Settings) -> None:
    ended = Service(settings).run_to_end("--host", "0.0.0.0")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "the address 0.0.0.0 is not allowed with BITFRONT_AUTH=off: whoever reaches it could do everything; "
        "set BITFRONT_AUTH to oidc or readonly, or BITFRONT_OPEN_TO_NETWORK=true to allow it\n"
    )
    assert not settings.database.exists()
