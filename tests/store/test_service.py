"""The service's process: how it starts, refuses, answers, ends."""

from __future__ import annotations

import re
import signal
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pytest

from engine.errors import InputError
from engine.events import CancelRequested, new_run_id
from engine.settings import Settings
from store.backup import backup
from store.client import StoreClient, StoreError
from store.database import SCHEMA_VERSION, open_for_reading
from store.ingest import apply_batch
from tests.store import lives
from tests.store.conftest import Service
from tests.store.waiting import until


def test_it_ends_cleanly_when_asked(service: Service, settings: Settings) -> None:
    service.client.post_events(lives.finished("run1"))
    assert service.stop(signal.SIGTERM) == 0
    assert not settings.database.with_name("bitfront.duckdb.wal").exists()
    assert (settings.records / "run1.json").exists()


def test_the_next_start_shows_the_same_history(service: Service) -> None:
    service.client.post_events(lives.finished("run1"))
    before = service.client.query("run", run="run1")
    service.stop()
    assert service.start().query("run", run="run1") == before


def test_a_record_that_was_due_when_the_store_was_killed_is_written_at_the_next_start(
    settings: Settings, connection: duckdb.DuckDBPyConnection
) -> None:
    apply_batch(connection, lives.received(lives.finished("run1")))
    connection.close()
    assert not settings.records.exists()
    service = Service(settings)
    service.start()
    try:
        until((settings.records / "run1.json").exists, "the record is written")
    finally:
        service.stop()


def test_a_backup_is_made_by_the_running_store(service: Service, settings: Settings, tmp_path: Path) -> None:
    service.client.post_events(lives.finished("run1"))
    running = settings.model_copy(update={"store_url": service.client.url})
    copy = open_for_reading(backup(running, tmp_path / "copy.duckdb"))
    assert copy.execute("SELECT state FROM runs").fetchall() == [("finished",)]
    copy.close()
    with pytest.raises(InputError) as failure:
        backup(running, tmp_path / "copy.duckdb")
    assert str(failure.value) == f"{tmp_path / 'copy.duckdb'} exists already: name a new file"


def test_a_second_store_on_the_same_home_is_refused(service: Service, settings: Settings) -> None:
    assert service.process is not None
    ended = Service(settings).run_to_end()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"the database {settings.database} is held by process {service.process.pid}: "
        "a store is already running on this home\n"
    )


def test_a_port_that_is_taken_is_one_sentence(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = Service(settings).run_to_end("--port", str(port))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"the store cannot listen on 127.0.0.1 port {port}: address already in use\n"


def test_a_database_that_is_broken_is_one_sentence(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    settings.database.write_bytes(b"no database" * 1000)
    ended = Service(settings).run_to_end()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(
        rf"the database {settings.database} cannot be opened \(.+\): run `bitfront rebuild`\n", ended.stderr
    )


def test_the_token_is_made_for_its_owner_alone(shared_service: Service) -> None:
    path = shared_service.settings.home / "store.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) >= 32


def test_writing_needs_the_token(shared_service: Service, run: str) -> None:
    for token in ("wrong", None):
        with StoreClient(shared_service.client.url, token) as stranger:
            with pytest.raises(StoreError) as failure:
                stranger.post_events([lives.queued(run)])
            assert str(failure.value) == "writing to the store needs its token: set BITFRONT_STORE_TOKEN"
            assert stranger.query("runs", runs=run).num_rows == 0


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/runs/run1"), ("DELETE", "/runs/run1"), ("POST", "/backup"), ("POST", "/events")]
)
def test_every_write_needs_the_token(shared_service: Service, method: str, path: str) -> None:
    assert httpx.request(method, shared_service.client.url + path, json={"path": "x"}).status_code == 401


def test_a_page_with_another_host_name_is_refused(shared_service: Service) -> None:
    answer = httpx.get(shared_service.client.url + "/health", headers={"Host": "evil.example:80"})
    assert answer.status_code == 421
    assert answer.json() == {"detail": "this store does not answer to that host name: start it with --allow-host NAME"}


def test_a_host_name_that_was_allowed_is_answered(settings: Settings) -> None:
    service = Service(settings)
    client = service.start("--allow-host", "store")
    try:
        assert httpx.get(client.url + "/health", headers={"Host": "store:8000"}).status_code == 200
    finally:
        service.stop()


def test_health_says_how_it_does(service: Service, settings: Settings) -> None:
    service.client.post_events([lives.queued("run1"), *lives.finished("run2")])
    assert service.client.health() == {
        "status": "ok",
        "version": "0.1.0",
        "schema_version": SCHEMA_VERSION,
        "stream_position": "0-0",
        "redis": "none",
        "home": str(settings.home),
        "counts": {"finished": 1, "queued": 1},
        "dead_letters": 0,
        "trouble": None,
    }


def test_posted_events_are_committed_before_the_answer(service: Service) -> None:
    life = lives.finished("run1")
    assert service.client.post_events(life) == len(life)
    assert service.client.post_events(life) == 0
    service.stop(signal.SIGKILL)
    assert service.start().query("runs")["state"].to_pylist() == ["finished"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "the events are not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
        ("{}", "the events must be a JSON list of envelopes"),
    ],
)
def test_a_body_that_is_no_list_of_events_is_refused(shared_service: Service, body: str, message: str) -> None:
    token = (shared_service.settings.home / "store.token").read_text()
    answer = httpx.post(
        shared_service.client.url + "/events", content=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(message)


def test_an_edit_is_read_back_and_survives(shared_service: Service, run: str) -> None:
    shared_service.client.post_events(lives.finished(run))
    shared_service.client.edit_run(run, name=" best ", tags=["a", "b", "a"], notes="fine")
    shared_service.client.edit_run(run, name="best yet")
    (row,) = shared_service.client.query("run", run=run).to_pylist()
    assert (row["name"], row["tags"], row["notes"]) == ("best yet", ["a", "b"], "fine")
    shared_service.client.edit_run(run, name=None, tags=[])
    (row,) = shared_service.client.query("run", run=run).to_pylist()
    assert (row["name"], row["tags"], row["notes"]) == (None, [], "fine")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags": ["a,b"]}, "the tag 'a,b' is not allowed: a tag has 1 to 60 characters and no comma"),
        ({"name": "x" * 201}, "name: String should have at most 200 characters"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(shared_service: Service, run: str, changes: dict, message: str) -> None:
    shared_service.client.post_events([lives.queued(run)])
    with pytest.raises(InputError) as failure:
        shared_service.client.edit_run(run, **changes)
    assert str(failure.value) == message


def test_an_edit_of_an_unknown_run_is_refused(shared_service: Service) -> None:
    with pytest.raises(InputError) as failure:
        shared_service.client.edit_run("none", name="x")
    assert str(failure.value) == "there is no run 'none'"


def test_a_run_that_is_over_can_be_deleted_with_its_record_and_files(shared_service: Service, run: str) -> None:
    other = new_run_id()
    shared_service.client.post_events([*lives.finished(run), *lives.finished(other)])
    until((shared_service.settings.records / f"{run}.json").exists, "the record is written")
    folders = [shared_service.settings.artifacts / each for each in (run, other)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"packed")
    shared_service.client.delete_run(run)
    assert [folder.exists() for folder in folders] == [False, True]
    assert shared_service.client.query("runs", runs=[run, other])["run"].to_pylist() == [other]
    assert shared_service.client.query("epochs", runs=[run, other])["run"].to_pylist() == [other] * 3
    assert set(shared_service.client.query("diagnostics", runs=[run, other])["run"].to_pylist()) == {other}
    until(lambda: not (shared_service.settings.records / f"{run}.json").exists(), "the record is removed")


def test_a_run_that_is_not_over_cannot_be_deleted(shared_service: Service, run: str) -> None:
    shared_service.client.post_events([lives.queued(run)])
    with pytest.raises(InputError) as failure:
        shared_service.client.delete_run(run)
    assert str(failure.value) == f"the run {run!r} is queued: cancel it before deleting it"
    shared_service.client.post_events([lives.event(run, 0, 0, CancelRequested())])
    shared_service.client.delete_run(run)
    assert shared_service.client.query("runs", runs=run).num_rows == 0


def test_the_outbox_is_ingested_before_the_store_is_ready(settings: Settings) -> None:
    settings.outbox.mkdir(parents=True)
    path = settings.outbox / "run1.jsonl"
    path.write_text("".join(item.to_json() + "\n" for item in lives.finished("run1")))
    service = Service(settings)
    client = service.start()
    try:
        assert client.query("runs")["state"].to_pylist() == ["finished"]
        assert not path.exists()
    finally:
        service.stop()


def test_the_page_for_people_needs_nothing_from_the_network(shared_service: Service) -> None:
    page = httpx.get(shared_service.client.url + "/docs").text
    assert not re.findall(r"(?:src|href)=['\"](?:https?:)?//", page)
    for query in shared_service.client.queries():
        assert f"/query/{query['name']}" in page
    assert "/health" in httpx.get(shared_service.client.url + "/openapi.json").json()["paths"]


def test_readers_and_the_writer_do_not_wait_for_each_other(shared_service: Service) -> None:
    names = [new_run_id() for _ in range(30)]
    lots = [item for name in names for item in lives.finished(name)]

    def read(_: int) -> int:
        return shared_service.client.query("runs", runs=names).num_rows

    with ThreadPoolExecutor(4) as pool:
        write = pool.submit(shared_service.client.post_events, lots)
        seen = list(pool.map(read, range(30)))
        assert write.result() == len(lots)
    assert set(seen) <= {0, 30}
    assert read(0) == 30


def test_an_answer_does_not_wait_for_nagles_delay(shared_service: Service) -> None:
    def seconds() -> float:
        began = time.monotonic()
        shared_service.client.query("counts")
        return time.monotonic() - began

    assert min(seconds() for _ in range(20)) < 0.035  # every one takes 40 ms where Nagle's algorithm is on


def test_it_takes_the_token_of_its_environment(settings: Settings) -> None:
    service = Service(settings)
    service.environment["BITFRONT_STORE_TOKEN"] = "from-outside"
    (settings.home).mkdir(parents=True)
    (settings.home / "store.token").write_text("from-inside")
    client = service.start()
    try:
        with StoreClient(client.url, "from-outside") as known:
            assert known.post_events([lives.queued("run1")]) == 1
        with pytest.raises(StoreError):
            client.post_events([lives.queued("run2")])
    finally:
        service.stop()
