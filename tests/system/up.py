"""`bitfront up` as a child process, and everything that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from app.services.child import die_with_parent
from engine.settings import Settings
from tests.tasks.stack import wait_for

BITFRONT = [sys.executable, "-c", "from app.cli import main; main()"]


def bitfront(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*BITFRONT, *arguments],
        env=os.environ | {"BITFRONT_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process whose environment names this home, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("BITFRONT_HOME") == str(home):
                found.append(process)
    return found


class Up:
    """One supervisor and its children; ``end_all`` leaves nothing, whatever the test did."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings(home=home)
        self.process: subprocess.Popen[str] | None = None
        self.arguments: tuple[str, ...] = ()
        """Those of the last start."""

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, *arguments: str) -> dict[str, str]:
        """Start and wait until it says that it runs; gives the endpoints."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.arguments = arguments
        with self._output.open("w") as out:
            self.process = subprocess.Popen(
                [*BITFRONT, "up", "--port", "0", *arguments],
                env=os.environ | {"BITFRONT_HOME": str(self.home)},
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )
        wait_for(lambda: "Bitfront runs at" in self.output() or self.process_ended(), "bitfront up runs")
        assert "Bitfront runs at" in self.output(), self.output()
        return self.endpoints()

    @property
    def _output(self) -> Path:
        return self.home / "output.txt"

    def output(self) -> str:
        return self._output.read_text()

    def endpoints(self) -> dict[str, str]:
        return json.loads(self.settings.endpoints.read_text())

    def process_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(60)

    def service(self, module: str) -> psutil.Process:
        """The process of a service, found by its command line."""
        return wait_for(lambda: self._find(module), f"{module} runs")

    def _find(self, module: str) -> psutil.Process | None:
        for process in processes_of(self.home):
            with suppress(psutil.Error):
                if module in process.cmdline():
                    return process
        return None

    def end_all(self) -> None:
        for process in processes_of(self.home):
            with suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait()


def rows(settings: Settings, **parameters: Any) -> list[dict[str, Any]]:
    from store.client import connect

    with connect(settings) as client:
        return client.query("runs", **parameters).to_pylist()
