"""Under what conditions a process measures."""

from __future__ import annotations

import os

import pytest

from engine.measure.conditions import allocator, processor


def test_the_allocator_names_what_tunes_it(monkeypatch: pytest.MonkeyPatch):
    for name in os.environ:
        if name.startswith(("MALLOC_", "GLIBC_TUNABLES")):
            monkeypatch.delenv(name)
    plain = allocator()
    assert plain
    assert "(" not in plain
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "8")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert allocator() == f"{plain} (MALLOC_ARENA_MAX=1, MALLOC_TRIM_THRESHOLD_=8)"


def test_the_processor_has_a_name():
    assert processor()
