"""Number formats: what a tensor's elements become.

A family is one file that exports ``ENTRIES``; a format is a value of its family, found by its name
(``int8``, ``msfp13``), options in brackets (``int4(exact_zero=false)``, ``msfp13(box=32)``).
Definitions: METHODS §1; densities: Rouhani et al., NeurIPS 2020, and METHODS §9.
"""

from __future__ import annotations

import difflib
from functools import cache

from engine.catalogue import Catalogue
from engine.errors import InputError
from engine.formats.base import Density, Family, Format
from engine.grammar import LONGEST, Part, parse_part

__all__ = ["FAMILIES", "Density", "Family", "Format", "get_format", "is_format", "list_formats"]

FAMILIES: Catalogue[Family] = Catalogue("format family", "engine.formats")


@cache
def get_format(name: str) -> Format:
    """The format of this name. Raises InputError with the nearest names, or the family's bounds."""
    if len(name) > LONGEST:
        raise InputError(f"the format has {len(name)} characters: at most {LONGEST} are allowed")
    part = parse_part(name, "format") if "(" in name else Part(name)
    if not part.steps:
        for family in FAMILIES.values():
            found = family.parse(part.name, dict(part.options))
            if found is not None:
                return found
    names = [format.name for format in list_formats()]
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    allowed = ", ".join(family.names for family in FAMILIES.values())
    raise InputError(f"unknown format {name!r}: {hint}Allowed: {allowed}")


def is_format(name: str) -> bool:
    """Whether some family claims the name (bits out of its bounds raise InputError)."""
    return any(family.parse(name, {}) is not None for family in FAMILIES.values())


@cache
def list_formats() -> tuple[Format, ...]:
    """Every named format, by family and then by bits."""
    return tuple(format for family in FAMILIES.values() for format in family.formats())
