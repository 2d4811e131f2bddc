"""A worker that cannot work says why and exits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def _start(home: Path, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"BITFRONT_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("module", ["tasks.worker", "tasks.dispatch"])
def test_without_a_queue_it_does_not_start(tmp_path: Path, module: str) -> None:
    answer = _start(tmp_path, module)
    assert answer.stderr == "no queue is running for this home: start it with `bitfront up`, or set REDIS_URL\n"
    assert answer.returncode == 1


def test_a_gpus_worker_does_not_start_without_a_gpu(tmp_path: Path) -> None:
    answer = _start(
        tmp_path, "tasks.worker", "--device-class", "cuda", REDIS_URL="redis://127.0.0.1:1", CUDA_VISIBLE_DEVICES=""
    )
    assert answer.stderr == "there is no GPU that torch can use: start the worker with --device-class cpu\n"
    assert answer.returncode == 1


def test_the_parent_of_a_worker_never_imports_torch(tmp_path: Path) -> None:
    code = "import sys, tasks.worker, tasks.train; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
