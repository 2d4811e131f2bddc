"""What `bitfront run` says of a store that answers and takes nothing: the run is trained, and kept for later."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from app.cli import main
from engine.settings import Settings
from tests.store.conftest import Service

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
