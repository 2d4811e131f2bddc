"""A catalogue: one entry a file, found by its name, with the nearest names suggested.

A catalogue is a package whose modules each export ``ENTRIES``; adding an entry is adding a file.
Entry modules import torch only inside the functions that need it, so listing names stays cheap.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from engine.errors import InputError


class Entry(Protocol):
    """What every catalogue entry has."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...


MOST_SHOWN = 24
"""Names that an error lists before it says how many more there are."""

E = TypeVar("E", bound=Entry)


def unknown(kind: str, name: str, allowed: list[str]) -> InputError:
    """The error for a name that no catalogue holds.

    >>> str(unknown("dataset", "coar", ["cora", "karate"]))
    "unknown dataset 'coar': did you mean cora? Allowed: cora, karate"
    """
    near = difflib.get_close_matches(name.lower(), allowed, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    shown = allowed if len(allowed) <= MOST_SHOWN else [*allowed[:MOST_SHOWN], f"… ({len(allowed)} in all)"]
    return InputError(f"unknown {kind} {name!r}: {hint}Allowed: {', '.join(shown)}")


@dataclass(frozen=True)
class Family(Generic[E]):
    """Entries that are made from other ones: ``name:other`` is ``make`` of the entry ``other``.

    ``make`` raises InputError where there is none of that one.
    """

    name: str
    summary: str
    make: Callable[[E], E]


class Catalogue(Mapping[str, E], Generic[E]):
    """The entries of a package, by name, in the order of the modules' names.

    A family's entries (modules export ``FAMILIES``) are found by name and never listed one by one: ``families``.
    ``kind`` is the word used in messages ("dataset"), ``package`` the dotted name of the package.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._made: dict[str, E] = {}

    @cached_property
    def _modules(self) -> list[Any]:
        root = importlib.import_module(self.package)
        names = sorted(module.name for module in pkgutil.iter_modules(root.__path__))
        return [importlib.import_module(f"{self.package}.{name}") for name in names]

    @cached_property
    def _entries(self) -> dict[str, E]:
        entries: dict[str, E] = {}
        for module in self._modules:
            for entry in getattr(module, "ENTRIES", ()):
                if entry.name in entries:
                    raise RuntimeError(f"two files name the {self.kind} {entry.name!r}")
                entries[entry.name] = entry
        return entries

    @cached_property
    def families(self) -> dict[str, Family[E]]:
        """The families, by name."""
        return {family.name: family for module in self._modules for family in getattr(module, "FAMILIES", ())}

    @property
    def members(self) -> list[str]:
        """The names of the families' entries."""
        names = [f"{family}:{name}" for family in self.families for name in self]
        return [name for name in names if name in self]

    def __getitem__(self, name: str) -> E:
        if name in self._entries:
            return self._entries[name]
        family, colon, other = name.partition(":")
        if not colon and name in self.families:
            raise InputError(f"the {self.kind} {name!r} needs a name after it: {name}:{next(iter(self._entries))}")
        if not colon:
            raise unknown(self.kind, name, list(self._entries))
        if family not in self.families:
            raise unknown(f"family of {self.kind}s", family, list(self.families))
        if name not in self._made:
            self._made[name] = self.families[family].make(self[other])
        return self._made[name]

    def get(self, name: object, default: E | None = None) -> E | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The entry, or ``default`` where there is none."""
        try:
            return self[name] if isinstance(name, str) else default
        except InputError:
            return default

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
