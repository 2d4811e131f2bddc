"""The light half of the engine, the dashboard's imports and `--help` need no torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LIGHT = [
    "engine",
    "engine.artifacts",
    "engine.catalogue",
    "engine.costs",
    "engine.datasets",
    "engine.datasets.known_inputs",
    "engine.errors",
    "engine.events",
    "engine.formats",
    "engine.grammar",
    "engine.ledger",
    "engine.ledger.figures",
    "engine.ledger.roofline",
    "engine.models",
    "engine.objectives",
    "engine.scheme",
    "engine.schemes",
    "engine.settings",
    "engine.spec",
    "engine.code_version",
    "engine.sweep",
    "tasks.submit",
    "tasks.sweeps",
    "store.client",
    "store.service",
    "app.cli",
]


def imports_torch(program: str) -> bool:
    check = "import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{check}"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1] == "True"


def test_importing_any_of_them_leaves_torch_out():
    """One after the other in one process: what brings torch in is the module after which it is there."""
    program = f"""
import importlib, sys
for name in {LIGHT!r}:
    importlib.import_module(name)
    print(name, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} False" for name in LIGHT]


def test_previewing_and_parsing_leave_torch_out():
    assert not imports_torch(
        "import engine\n"
        "spec = engine.RunSpec.parse({'dataset': 'cora', 'model': 'gcn', 'scheme': 'msfp13'})\n"
        "engine.preview(spec); engine.list_formats(); engine.parse_scheme('int4:weight')"
    )


def test_training_brings_torch_in():
    assert imports_torch("import engine; engine.train")


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_torchs_threads_wait_without_keeping_a_processor_unless_the_environment_says_how(
    given: dict[str, str], found: str
) -> None:
    others = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    program = "import engine, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=others | given
    )
    assert done.stdout.strip() == found
