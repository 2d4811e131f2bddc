"""What `bitfront run` says to a store: that it lives, whatever an epoch takes; and of one that takes nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from app.cli import main, recording
from app.cli.recording import Recorder, find_store, outbox_file
from engine.events import EpochFinished, RunCancelled, RunStarted
from engine.settings import Settings
from tests.store.conftest import Service
from tests.store.waiting import until
from tests.tasks.stack import karate

RUN = ("run", "--dataset", "karate", "--model", "gcn", "--epochs", "1")
REFUSED = "The store takes nothing: reading this store needs its token: set BITFRONT_STORE_TOKEN.\n"


@pytest.mark.parametrize(("auth", "said"), [("readonly", ""), ("oidc", REFUSED)])
def test_a_run_beside_a_store_that_takes_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], auth: str, said: str
) -> None:
    service = Service(Settings(home=tmp_path / "hosted"))
    service.environment["BITFRONT_AUTH"] = auth
    outbox = tmp_path / "home" / "outbox"
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "400")
    try:
        monkeypatch.setenv("BITFRONT_STORE_URL", service.start().url)
        with pytest.raises(SystemExit) as end:
            main(RUN)
    finally:
        service.stop(signal.SIGKILL)
    assert not end.value.code
    assert capsys.readouterr().err == f"{said}1 run kept in {outbox} for the store's next start.\n"
    assert len(list(outbox.iterdir())) == 1


STARTED = RunStarted(worker="", host="h", pid=1, device="cpu", total_epochs=2)


def _beside(service: Service, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a run beside this store; it beats twenty times a second."""
    monkeypatch.setattr(recording, "BEAT_SECONDS", 0.05)
    return service.settings.model_copy(update={"store_url": service.client.url})


def test_a_run_in_a_long_epoch_is_heard_from_and_is_no_worker(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From here on the training says nothing, as in an epoch of minutes."""
    settings = _beside(service, monkeypatch)
    recorder = Recorder(karate(), settings, find_store(settings))
    recorder.record(STARTED)

    def row() -> dict:
        return service.client.query("run", run=recorder.run).to_pylist()[0]

    running = {"runs": recorder.run, "states": "running"}
    until(lambda: service.client.query("runs", **running).num_rows, "its start is sent though nothing follows it")
    for _ in range(2):
        before = row()["heard_at"]
        until(lambda before=before: row()["heard_at"] > before, "it is heard from again")
    assert row()["is_silent"] is False
    assert service.client.query("workers").num_rows == 0
    assert "worker_heartbeat" not in outbox_file(settings, recorder.run).read_text()
    recorder.record(RunCancelled())
    recorder.close()
    assert (row()["state"], row()["gap"], service.client.health()["dead_letters"]) == ("cancelled", False, 0)
    assert not outbox_file(settings, recorder.run).exists()


def test_a_store_that_comes_back_hears_of_the_run_again_while_it_trains(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _beside(service, monkeypatch)
    recorder = Recorder(karate(), settings, find_store(settings))
    recorder.record(STARTED)
    service.stop(signal.SIGKILL)
    recorder.record(EpochFinished(epoch=1))
    until(lambda: recorder.client is None, "the run notices")
    service.start("--port", service.client.url.rpartition(":")[2])
    until(lambda: service.client.query("epochs", runs=recorder.run).num_rows == 1, "its epoch has come")
    assert outbox_file(settings, recorder.run).exists()
    recorder.record(RunCancelled())
    recorder.close()
    assert service.client.query("run", run=recorder.run)["state"].to_pylist() == ["cancelled"]
