"""Streamlit puts the folder app first on the path: its modules must not hide anybody's."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import app
from tests.conftest import ROOT


def test_no_module_of_app_bears_a_top_level_packages_name() -> None:
    folder = ROOT / "app"
    ours = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}
    theirs = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions())
    assert ours & (theirs | {"engine", "store", "tasks", "tests"}) == {"__init__"} & theirs
    assert app.__file__ == str(folder / "__init__.py")


def test_the_dashboard_imports_no_torch_celery_or_duckdb() -> None:
    script = (
        "import sys\n"
        "import app.connection, app.launching.form, app.launching.preview, app.guide, app.run_details, app.curves\n"
        "import app.group_table, app.charts.pareto, app.charts.learning, tasks.submit, engine.ledger\n"
        "print(sorted({'torch', 'celery', 'duckdb', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
