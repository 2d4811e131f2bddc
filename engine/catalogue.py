"""A catalogue: one entry a file, found by its name, with the nearest names suggested.

A catalogue is a package whose modules each export ``ENTRIES``; adding an entry is adding a file.
Entry modules import torch only inside the functions that need it, so listing names stays cheap.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Generic, Protocol, TypeVar

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


class Catalogue(Mapping[str, E], Generic[E]):
    """The entries of a package, by name, in the order of the modules' names.

    ``kind`` is the word used in messages ("dataset"), ``package`` the dotted name of the package.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package

    @cached_property
    def _entries(self) -> dict[str, E]:
        entries: dict[str, E] = {}
        root = importlib.import_module(self.package)
        for module in sorted(pkgutil.iter_modules(root.__path__), key=lambda m: m.name):
            found = importlib.import_module(f"{self.package}.{module.name}")
            for entry in getattr(found, "ENTRIES", ()):
                if entry.name in entries:
                    raise RuntimeError(f"two files name the {self.kind} {entry.name!r}")
                entries[entry.name] = entry
        return entries

    def __getitem__(self, name: str) -> E:
        try:
            return self._entries[name]
        except KeyError:
            raise unknown(self.kind, name, list(self._entries)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
