"""A home for `bitfront up`, and the certainty that nothing of it outlives the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.up import Up


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    found = Up(tmp_path / "home")
    try:
        yield found
    finally:
        found.end_all()
