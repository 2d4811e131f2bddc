"""`bitfront sweep` on real workers: the table at the end, and the same table again when nothing runs any more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engine.measure import QUANTITIES
from store.client import connect
from tests.store.waiting import until
from tests.system.up import Up, bitfront

pytestmark = pytest.mark.system

STUDY = """
name = "study"
seeds = 10
baseline = "fp32"
[spec]
dataset = "karate"
[[runs]]
model = "gcn"
scheme = "fp32"
[[runs]]
model = "gcn"
scheme = "int4"
training.lr = 0.02
"""

MEASURED = """
name = "measured"
measure = true
[spec]
dataset = "karate"
model = "gcn"
scheme = "fp32"
training.epochs = 2
[[published]]
dataset = "karate"
model = "gcn"
scheme = "fp32"
metric = "peak_torch"
value = 17.56e6
source = "a paper"
provenance = "given"
"""


def test_a_sweep_is_waited_for_compared_and_shown_again(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Compiled, the longest run that there is would be over before another process could cancel it.
    monkeypatch.setenv("BITFRONT_COMPILED", "false")
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    short = ("--seeds", "2", "--epochs", "3")
    up.start("--workers", "2", "--no-dashboard")
    waited = bitfront(up.home, "sweep", str(file), "--wait", *short, COLUMNS="200")
    assert (waited.returncode, waited.stderr) == (0, "")
    lines = [line.split() for line in waited.stdout.splitlines()]
    assert [line[2:4] for line in lines[1:3]] == [["fp32", "2"], ["int4", "2"]]
    assert [line[2:6] for line in lines if "−" in line] == [["int4", "−", "fp32", "2"]]
    with connect(up.settings) as client:
        runs = client.query("runs", scheme="int4")["run"].to_pylist()
        assert set(client.query("diagnostics", runs=runs)["run"].to_pylist()) == set(runs)

    again = bitfront(up.home, "sweep", str(file), "--wait", *short, COLUMNS="200")
    assert (again.returncode, again.stdout) == (0, waited.stdout)
    nothing = r"0 runs launched as study@\w{8}; 4 had finished before \(--again trains them again\)\.\n"
    assert re.fullmatch(nothing, again.stderr)

    longer = bitfront(up.home, "sweep", str(file), "--seeds", "2", "--epochs", "100000", "--json")
    counts = json.loads(longer.stdout)
    assert (counts["launched"], counts["finished"], len(counts["runs"])) == (4, 0, 4)
    cancelled = bitfront(up.home, "cancel", counts["sweep"])
    assert cancelled.stdout == f"{counts['sweep']}: cancel asked for 4 runs\n"
    with connect(up.settings) as client:
        until(
            lambda: client.query("sweeps", sweep=counts["sweep"])["cancelled"][0].as_py() == 4, "all are cancelled", 60
        )

    resumed = bitfront(up.home, "resume", counts["sweep"]).stdout
    assert resumed.startswith(f"0 runs launched as {counts['sweep']}; 4 that had failed or were cancelled go on")
    assert bitfront(up.home, "cancel", counts["sweep"]).stdout == cancelled.stdout

    other = tmp_path / "measured.toml"
    other.write_text(MEASURED)
    measured = bitfront(up.home, "sweep", str(other), "--wait", "--json")
    assert (measured.returncode, measured.stderr) == (0, "")
    [row] = json.loads(measured.stdout)["measured"]
    assert list(row["quantities"]) == list(QUANTITIES)
    assert all(values["run"] == values["fp32"] > 0 for values in row["quantities"].values())
    assert row["quantities"]["peak_torch"]["published"] == {"value": 17.56e6, "source": "a paper"}

    assert bitfront(up.home, "down").returncode == 0
    again = bitfront(up.home, "sweep", str(file), "--table", *short, COLUMNS="200")
    assert (again.returncode, again.stdout) == (0, waited.stdout)
    status = bitfront(up.home, "sweep", str(file), "--status", *short, COLUMNS="200").stdout.splitlines()
    assert [line.split() for line in status[:3]] == [
        ["scheme", "karate", "·", "gcn"],
        ["fp32", "2", "of", "2"],
        ["int4", "2", "of", "2"],
    ]
    assert status[3:] == ["4 of 4 runs finished", "A launch now would do nothing."]
    listed = json.loads(bitfront(up.home, "list", "sweeps", "--json").stdout)
    assert [(row["total"], row["finished"], row["cancelled"]) for row in listed] == [(1, 1, 0), (4, 0, 4), (4, 4, 0)]
