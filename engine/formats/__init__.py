"""Number formats: what a tensor's elements become.

A family is one file that exports ``ENTRIES``; a format is a value of its family, found by its name
(``int8``, ``msfp13``). Definitions: METHODS §1; densities: Rouhani et al., NeurIPS 2020, and METHODS §9.
"""

from __future__ import annotations

from functools import cache

from engine.catalogue import Catalogue, unknown
from engine.formats.base import Density, Family, Format

__all__ = ["FAMILIES", "Density", "Family", "Format", "get_format", "list_formats"]

FAMILIES: Catalogue[Family] = Catalogue("format family", "engine.formats")


@cache
def get_format(name: str) -> Format:
    """The format of this name. Raises InputError with the nearest names, or the family's bounds."""
    for family in FAMILIES.values():
        found = family.parse(name)
        if found is not None:
            return found
    raise unknown("format", name, [format.name for format in list_formats()])


def is_format(name: str) -> bool:
    """Whether some family claims the name (bits out of its bounds raise InputError)."""
    return any(family.parse(name) is not None for family in FAMILIES.values())


@cache
def list_formats() -> tuple[Format, ...]:
    """Every named format, by family and then by bits."""
    return tuple(format for family in FAMILIES.values() for format in family.formats())
