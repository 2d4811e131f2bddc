"""A store of the test's own."""

from __future__ import annotations

from tests.store.conftest import service

__all__ = ["service"]
