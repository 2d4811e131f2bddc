"""The follower on a real Valkey: in order, once, through restarts of either side."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import redis

from engine.events import Envelope
from engine.settings import Settings
from store.reader import open_read_only
from store.stream import BATCH_SECONDS, MOST_SECONDS, SHARE, STREAM, pause_after
from tests.store import lives
from tests.store.conftest import Service, Valkey
from tests.store.waiting import until


def send(server: redis.Redis, events: list[Envelope]) -> None:
    with server.pipeline(transaction=True) as pipe:
        for item in events:
            pipe.xadd(STREAM, {"e": item.to_json()})
        pipe.execute()


def counts(service: Service) -> dict[str, int]:
    return {row["state"]: row["n"] for row in service.client.query("counts").to_pylist()}


def last_id(server: redis.Redis) -> str:
    info: Any = server.xinfo_stream(STREAM)
    return info["last-generated-id"].decode()


def test_events_on_the_stream_reach_the_tables(streaming: Service, valkey: Valkey) -> None:
    send(valkey.client(), lives.finished("run1"))
    until(lambda: counts(streaming) == {"finished": 1}, "the run is finished")
    assert streaming.client.query("epochs", runs="run1")["epoch"].to_pylist() == [1, 2, 3]


def test_what_is_ingested_is_trimmed_and_nothing_else(streaming: Service, valkey: Valkey) -> None:
    server = valkey.client()
    send(server, lives.finished("run1"))
    until(lambda: server.xlen(STREAM) <= 1, "the stream is trimmed")
    assert streaming.client.health()["stream_position"] == last_id(server)
    assert counts(streaming) == {"finished": 1}


def test_an_entry_that_is_no_event_is_a_dead_letter(streaming: Service, valkey: Valkey) -> None:
    server = valkey.client()
    server.xadd(STREAM, {"other": "x"})
    server.xadd(STREAM, {"e": b"\xff\xfe"})
    send(server, lives.finished("run1"))
    until(lambda: counts(streaming) == {"finished": 1}, "the run is finished")
    assert streaming.client.health()["dead_letters"] == 2


def test_a_store_without_redis_serves_reads_and_takes_up_the_stream_when_it_comes(
    settings: Settings, valkey: Valkey
) -> None:
    valkey.stop()
    service = Service(settings, valkey.url)
    service.start()
    try:
        assert service.client.health()["redis"] == "unreachable"
        assert service.client.query("runs").num_rows == 0
        valkey.start()
        send(valkey.client(), [lives.queued("run1")])
        until(lambda: counts(service) == {"queued": 1}, "the run is queued")
        assert service.client.health()["redis"] == "connected"
    finally:
        service.stop(signal.SIGKILL)


def test_the_follower_outlives_a_killed_redis(streaming: Service, valkey: Valkey) -> None:
    queue, *life = lives.finished("run1")
    send(valkey.client(), [queue])
    until(lambda: counts(streaming) == {"queued": 1}, "the run is queued")
    valkey.stop()
    until(lambda: streaming.client.health()["redis"] == "unreachable", "the store notices")
    valkey.start()
    send(valkey.client(), life)
    until(lambda: counts(streaming) == {"finished": 1}, "the run is finished")


def test_a_new_stream_is_read_from_its_beginning(streaming: Service, valkey: Valkey) -> None:
    server = valkey.client()
    far = 2**45
    server.xadd(STREAM, {"e": lives.queued("run1").to_json()}, id=f"{far}-0")
    until(lambda: streaming.client.health()["stream_position"] == f"{far}-0", "the first stream is read")
    streaming.stop()
    server.delete(STREAM)
    send(server, [lives.queued("run1"), lives.queued("run2")])
    streaming.start()
    until(lambda: counts(streaming) == {"queued": 2}, "the second stream is read")


def test_kill_9_amid_ingest_loses_and_doubles_nothing(streaming: Service, valkey: Valkey, settings: Settings) -> None:
    server, wanted, epochs = valkey.client(), 40, 150
    names = [f"run{number:03d}" for number in range(wanted)]
    whole = {name: [lives.queued(name), *lives.attempt_of(name, epochs=epochs)] for name in names}
    kills = 0
    for start in range(0, wanted, 10):
        for name in names[start : start + 10]:
            send(server, whole[name])
        before = streaming.client.health()["stream_position"]
        until(lambda before=before: streaming.client.health()["stream_position"] != before, "ingest goes on")
        assert streaming.stop(signal.SIGKILL) == -signal.SIGKILL
        kills += 1
        streaming.start()
    until(lambda: counts(streaming) == {"finished": wanted}, "every run is finished", 60)
    assert kills == 4
    streaming.stop()
    with open_read_only(settings) as reader:
        runs = reader.query("runs", limit=wanted).to_pylist()
        assert {row["run"] for row in runs} == set(names)
        assert not any(row["gap"] for row in runs)
        found = reader.query("epochs", runs=names)
        assert found.num_rows == wanted * epochs
        assert found["epoch"].to_pylist() == list(range(1, epochs + 1)) * wanted
        assert reader.query("dead_letters").num_rows == 0
        assert not any(row["healed"] for name in names for row in reader.query("attempts", run=name).to_pylist())
    assert {path.stem for path in settings.records.glob("*.json")} == set(names)


@pytest.mark.parametrize(
    ("applying", "pause"),
    [
        (0.01, BATCH_SECONDS - 0.01),  # so quick that the least time rules
        (0.1, 0.1 / SHARE - 0.1),
        (0.5, MOST_SECONDS - 0.5),  # nobody waits longer than that
        (2.0, 0.0),
    ],
)
def test_applying_takes_a_share_of_the_time_and_nobody_waits_long(applying: float, pause: float) -> None:
    assert pause_after(applying, applying=applying) == pytest.approx(pause)
