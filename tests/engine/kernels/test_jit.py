"""Compiled kernels lie in a folder of their sources' version: an edited inner kernel leaves none stale."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from engine.kernels import jit, sparse
from engine.kernels.jit import digest, kernel


def test_each_version_of_the_sources_has_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def twice(x):
        return 2 * x

    assert kernel(twice)(4) == 8
    assert os.listdir(tmp_path) == [digest()]


def test_the_version_is_of_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    for name in jit.SOURCES:
        (tmp_path / name).mkdir()
        for path in (Path(jit.__file__).parents[1] / name).glob("*.py"):
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "kernels" / "jit.py"))
    digest.cache_clear()
    try:
        assert digest() == before
        (tmp_path / "compiled" / "gcn.py").write_text("changed")
        digest.cache_clear()
        assert digest() != before
    finally:
        digest.cache_clear()


def test_a_kernel_of_ours_lies_there() -> None:
    compiled = cast(Any, sparse)._multiply
    assert digest() in Path(compiled.stats.cache_path).parts
