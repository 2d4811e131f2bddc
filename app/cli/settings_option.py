"""`--set key=value`: a dotted setting of a run and its value, written as in TOML or as plain text."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from engine.errors import InputError


def parse_settings(options: Sequence[str]) -> dict[str, Any]:
    """["training.lr=0.02", "model.layers=3"] → {"training.lr": 0.02, "model.layers": 3}. Raises InputError."""
    found: dict[str, Any] = {}
    for option in options:
        key, equals, text = option.partition("=")
        key = key.strip()
        if not key or not equals:
            raise InputError(f"--set {option!r} is not allowed: write key=value, as in training.lr=0.02")
        if key in found:
            raise InputError(f"--set names {key!r} twice")
        try:
            found[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = text.strip()
    return found
