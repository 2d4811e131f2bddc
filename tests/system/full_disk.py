"""A home on a small disk that fills up while a run trains, and has room again later.

Run by test_full_disk.py in a mount namespace of its own (`unshare --map-root-user --mount`), so that the small disk is
a tmpfs that nobody else sees and that goes with this process: `python -m tests.system.full_disk FOLDER` prints what
was found, one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import engine
from engine.errors import BitfrontError
from store.client import connect
from tasks.submit import submit
from tests.system.up import Up
from tests.tasks.stack import karate, wait_for

MEGABYTES = 64
EPOCHS = 1200


def main(folder: Path) -> None:
    """Everything, from the mount to the run's end."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)], check=True)
    up = Up(folder / "home")
    try:
        print(json.dumps(carry_out(up, folder / "ballast")))
    finally:
        up.end_all()


def carry_out(up: Up, ballast: Path) -> dict[str, Any]:
    up.start("--workers", "1", "--no-dashboard")
    spec = karate(epochs=EPOCHS, model="sage(dropout=0.5)")  # some milliseconds an epoch, on the plain path of training
    [run] = submit(up.settings, [spec])
    wait_for(lambda: row(up, run).get("epoch", 0) > 20, "the run trains", every=0.1)
    fill(ballast)
    noticed = wait_for(lambda: signs(up), "somebody notices", every=0.1)
    log = up.home / "logs" / "worker-1.log"
    wait_for(lambda: "the checkpoint could not be written" in log.read_text(), "the run trains on", every=0.1)
    ballast.unlink()
    end = wait_for(
        lambda: found if (found := row(up, run)).get("state") in ("finished", "failed") else None,
        "the run ends",
        300,
        every=0.2,
    )
    with connect(up.settings) as client:
        history = client.query("epochs", runs=run).to_pydict()
        return {
            "noticed": noticed,
            "state": end["state"],
            "reason": end["reason"],
            "epochs": history["epoch"] == list(range(1, EPOCHS + 1)),
            "equal": history["train_loss"] == engine.run(spec, up.settings).history.columns["train_loss"],
            "dead_letters": client.query("dead_letters").num_rows,
            "trouble": client.health()["trouble"],
        }


def fill(ballast: Path) -> None:
    """Take every byte that is left."""
    try:
        with ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        return


def row(up: Up, run: str) -> dict[str, Any]:
    """The store's row of a run; empty while it does not answer."""
    try:
        with connect(up.settings) as client:
            rows = client.query("run", run=run).to_pylist()
    except BitfrontError:
        return {}
    return rows[0] if rows else {}


def signs(up: Up) -> str | None:
    """What is said of the full disk."""
    try:
        with connect(up.settings) as client:
            return client.health()["trouble"]
    except BitfrontError:
        return "the store does not answer"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
