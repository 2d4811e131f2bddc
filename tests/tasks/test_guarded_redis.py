"""Redis by password and TLS: everything works by the address alone, and the password shows nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.settings import Settings
from store.access import read_viewer_token
from tasks.connection import celery_address, shown
from tasks.submit import QueueUnavailable, submit
from tests.tasks.stack import TOKEN, Stack, karate, wait_for
from tests.tasks.tls import GuardedRedis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[GuardedRedis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    running = GuardedRedis(folder)
    yield running
    running.close()


def test_a_run_goes_through_and_neither_password_nor_token_is_written_anywhere(
    redis: GuardedRedis, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    stack = Stack(home, redis_url=redis.url)
    try:
        wait_for(stack.redis.ping, "redis answers")
        for name in ("store", "dispatcher", "worker@a"):
            stack.start(name)
        [run] = stack.launch(karate(epochs=5))
        assert stack.until(run, "finished", "failed")["state"] == "finished"
        said = "".join(event.to_json() for event in stack.said())
        exported = str([stack.store.query(name, run=run).to_pylist() for name in ("run", "artifacts")])
        stack.end("worker@a")
    finally:
        stack.end_all()
    for secret in (redis.password, TOKEN, read_viewer_token(stack.settings) or ""):
        assert len(secret) > 10
        assert secret not in said
        assert secret not in exported
        for path in home.rglob("*"):
            if path.is_file() and path.name != "store.viewer.token":
                assert secret.encode() not in path.read_bytes(), path


def test_a_wrong_password_is_said_without_it(redis: GuardedRedis, settings: Settings) -> None:
    wrong = redis.url.replace(redis.password, "not-the-password")
    with pytest.raises(QueueUnavailable) as refusal:
        submit(settings.model_copy(update={"redis_url": wrong}), [karate()])
    assert str(refusal.value).startswith(f"the queue at rediss://:***@127.0.0.1:{redis.port}/0")
    assert "not-the-password" not in str(refusal.value)
    assert "nothing was launched" in str(refusal.value)


def test_a_certificate_that_nobody_vouches_for_is_refused(redis: GuardedRedis, settings: Settings) -> None:
    unknown = redis.url.partition("?")[0]
    with pytest.raises(QueueUnavailable, match="certificate verify failed"):
        submit(settings.model_copy(update={"redis_url": unknown}), [karate()])


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("rediss://h/0", "rediss://h/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=a.pem", "rediss://h/0?ssl_ca_certs=a.pem&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("redis://h/0", "redis://h/0"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
    ],
)
def test_celerys_spelling(url: str, celery: str) -> None:
    assert celery_address(url) == celery


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("redis://ada:s%40cret@h:1/0", "redis://ada:***@h:1/0"),
        ("redis://h:1/0?password=secret", "redis://h:1/0?password=***"),
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://[half", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, words: str) -> None:
    assert shown(url) == words
