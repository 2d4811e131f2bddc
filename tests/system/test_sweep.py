"""`bitfront sweep` on real workers: the table at the end, and the same table again when nothing runs any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.client import connect
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


def test_a_sweep_is_waited_for_compared_and_shown_again(up: Up, tmp_path: Path) -> None:
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

    assert bitfront(up.home, "down").returncode == 0
    again = bitfront(up.home, "sweep", str(file), "--table", *short, COLUMNS="200")
    assert (again.returncode, again.stdout) == (0, waited.stdout)
