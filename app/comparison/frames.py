"""The type of tables of runs and groups while they are worked on."""

from __future__ import annotations

from typing import Any, TypeAlias

Frame: TypeAlias = Any
"""A pandas DataFrame. pandas says of most of its answers that they may be one of several things."""

Column: TypeAlias = Any
"""A pandas Series."""
