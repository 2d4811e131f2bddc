"""A disk that is full for a while costs a delay, and not a run or an epoch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.chaos]


def test_a_full_disk_costs_a_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITFRONT_CHECKPOINT_SECONDS", "0.5")
    alone = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.system.full_disk", str(tmp_path)]
    carried = subprocess.run(alone, capture_output=True, text=True, timeout=500)
    assert carried.returncode == 0, carried.stderr
    found = json.loads(carried.stdout.splitlines()[-1])
    assert found.pop("noticed").startswith("the disk is full: ")
    assert found == {
        "state": "finished",
        "reason": None,
        "epochs": True,
        "equal": True,
        "dead_letters": 0,
        "trouble": None,
    }
