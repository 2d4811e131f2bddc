"""Whatever is killed while runs are going, each run ends once, with its whole history, as an undisturbed twin does.

Short here, by SIGKILL alone; `make chaos` makes it long by BITFRONT_CHAOS (60 runs and 36 kills, by SIGTERM too) and
prints the table of victims.
BITFRONT_CHAOS_SEED chooses another order of victims and moments.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import httpx
import pytest

import engine
from engine.errors import BitfrontError
from engine.spec import RunSpec
from store.client import StoreClient, connect
from tasks.submit import QueueUnavailable, submit
from tests.system.chaos import Chaos
from tests.system.up import Up
from tests.tasks.stack import karate, wait_for

pytestmark = [pytest.mark.system, pytest.mark.chaos]

LONG = os.environ.get("BITFRONT_CHAOS") == "long"
SEED = int(os.environ.get("BITFRONT_CHAOS_SEED", "9"))
RUNS = 60 if LONG else 6
EPOCHS = 500
VICTIMS = (
    {"worker": 13, "child": 10, "store": 5, "queue": 4, "dispatcher": 2, "dashboard": 2}
    if LONG
    else {"worker": 1, "child": 2, "store": 1, "queue": 1}
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM) if LONG else (signal.SIGKILL,)
GCN, SAGE = "gcn(dropout=0.5)", "sage(dropout=0.5)"
KINDS = (("adq[int3,int8](theta=0.8)+dq+sr", GCN), ("dq-int4", GCN), ("fp32", SAGE), ("msfp13", SAGE), ("int8", GCN))
"""Schemes and models. The last one's epochs run compiled, and are over too soon for most blows to hit them."""
CLOCKS = ("run", "seconds")
"""Columns of an epoch that differ between twins."""


def _specs() -> list[RunSpec]:
    """So many runs, of fifteen specs at most: each spec has several runs and one twin."""
    kinds = [
        karate(epochs=EPOCHS, seed=seed, scheme=scheme, model=model)
        for seed in range(3 if LONG else 1)
        for scheme, model in (KINDS if LONG else KINDS[:2])
    ]
    return [kinds[number % len(kinds)] for number in range(RUNS)]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_whatever_is_hit_every_run_ends_once_whole_and_as_its_twin(
    up: Up, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("BITFRONT_ATTEMPTS", "100")
    monkeypatch.setenv("BITFRONT_CHECKPOINT_SECONDS", "0.5")
    endpoints = up.start("--workers", "2", *([] if LONG else ["--no-dashboard"]))
    specs = _specs()
    runs: list[str] = []

    def launch(number: int, of: int) -> None:
        """Some runs before each blow, so that there is always one to disturb."""
        some = specs[len(runs) : -(-RUNS * (number + 1) // of)]
        runs.extend(wait_for(lambda: _submitted(up, some), "the queue takes them", every=0.2))

    chaos = Chaos(up, SEED, number, VICTIMS, pause=(0.5, 3.0) if LONG else (0.2, 1.0))
    chaos.carry_out(launch)
    wait_for(lambda: _ended(up, runs) == RUNS, f"every run ends\n{chaos.table()}", 1800 if LONG else 600, every=0.2)
    with connect(up.settings) as client:
        hits = chaos.hits(client)
        print(f"\n{chaos.table()}\n{len(chaos.kills)} of {sum(VICTIMS.values())} victims, {len(hits)} in mid-run")
        assert len(chaos.kills) == sum(VICTIMS.values())
        assert 2 * len(hits) >= len(chaos.kills)
        twins = {spec.hash: _rows(engine.run(spec, up.settings).history.columns) for spec in set(specs)}
        for run, spec in zip(runs, specs, strict=True):
            _ended_once(client, run)
            assert _rows(client.query("epochs", runs=run).to_pydict()) == twins[spec.hash], run
        assert client.query("dead_letters").num_rows == 0
    if LONG:
        wait_for(lambda: httpx.get(endpoints["dashboard"], trust_env=False).status_code == 200, "the dashboard answers")


def _submitted(up: Up, specs: list[RunSpec]) -> list[str]:
    """The runs' ids; none where the queue was hit and does not answer."""
    try:
        return submit(up.settings, specs)
    except QueueUnavailable:
        return []


def _ended(up: Up, runs: list[str]) -> int:
    """How many runs are over; 0 while the store does not answer."""
    try:
        with connect(up.settings) as client:
            return client.query("runs", runs=runs, states="finished,failed,cancelled").num_rows
    except BitfrontError:
        return 0


def _ended_once(client: StoreClient, run: str) -> None:
    [row] = client.query("run", run=run).to_pylist()
    assert (row["state"], row["gap"], row["epoch"]) == ("finished", False, EPOCHS), row["reason"]
    attempts = json.loads(row["attempts_detail"])
    states = [attempt["state"] for attempt in attempts]
    assert states == ["lost"] * (len(states) - 1) + ["finished"]


def _rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """The per-epoch table by row, without what a clock says; every epoch must be there once."""
    names = [name for name in columns if name not in CLOCKS]
    found = [dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True)]
    assert [row["epoch"] for row in found] == list(range(1, EPOCHS + 1))
    return found
