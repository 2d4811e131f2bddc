"""The light half of the engine, the dashboard's imports and `--help` need no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = [
    "engine",
    "engine.artifacts",
    "engine.catalogue",
    "engine.costs",
    "engine.datasets",
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
    "engine.sweep",
    "tasks.submit",
    "store.client",
    "store.service",
    "app.cli",
]


def imports_torch(program: str) -> bool:
    check = "import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{check}"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_leaves_torch_out(module: str):
    assert not imports_torch(f"import {module}")


def test_previewing_and_parsing_leave_torch_out():
    assert not imports_torch(
        "import engine\n"
        "spec = engine.RunSpec.parse({'dataset': 'cora', 'model': 'gcn', 'scheme': 'msfp13'})\n"
        "engine.preview(spec); engine.list_formats(); engine.parse_scheme('int4:weight')"
    )


def test_training_brings_torch_in():
    assert imports_torch("import engine; engine.train")
