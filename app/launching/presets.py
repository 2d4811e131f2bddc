"""The papers' settings to begin with: one file each in presets/, a sweep's table with a title and its source."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import InputError
from engine.spec import explain, read_toml_file

FOLDER = Path(__file__).parent / "presets"


class Preset(BaseModel):
    """A file of presets/."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    """The paper."""
    about: Annotated[str, Field(min_length=1)]
    """What it says, and what is ours where it says nothing."""
    sweep: Mapping[str, Any]
    """The table (engine.sweep)."""


@cache
def presets() -> dict[str, Preset]:
    """Every preset by its file's name, in the order of these. Raises InputError for a file that is none."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.toml"))}


def _read(path: Path) -> Preset:
    try:
        return Preset.model_validate(read_toml_file(path))
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error, Preset)}") from None
