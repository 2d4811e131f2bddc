"""Marks of a spec's fields (``json_schema_extra``) for forms that grow from it."""

from __future__ import annotations

from pydantic import JsonValue

HIDDEN: dict[str, JsonValue] = {"form": "hidden"}
"""Set by other means than a field."""
BASIC: dict[str, JsonValue] = {"form": "basic"}
"""Shown to those who have not asked for every field."""
