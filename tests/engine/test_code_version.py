"""The code's version: of what runs' numbers depend on, and said by every run."""

from __future__ import annotations

import shutil
from pathlib import Path

import engine.code_version
from engine.code_version import BESIDE, code_version
from engine.training import software


def version_of(root: Path, monkeypatch) -> str:
    monkeypatch.setattr(engine.code_version, "__file__", str(root / "code_version.py"))
    return code_version.__wrapped__()


def test_it_changes_with_what_trains_and_not_with_what_only_launches(tmp_path: Path, monkeypatch) -> None:
    here, root = Path(engine.code_version.__file__).parent, tmp_path / "engine"
    shutil.copytree(here, root, ignore=shutil.ignore_patterns("__pycache__"))
    known = code_version()
    assert version_of(root, monkeypatch) == known
    for name in BESIDE:
        path = root / name
        if path.suffix == ".py":
            path.write_text("other")
        else:
            path.mkdir(exist_ok=True)
            (path / "new.py").write_text("other")
    assert version_of(root, monkeypatch) == known
    (root / "formats" / "grid.py").write_text("other")
    assert version_of(root, monkeypatch) != known


def test_a_run_says_which_code_trained_it() -> None:
    assert software()["code"] == code_version()
