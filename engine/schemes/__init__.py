"""Recipes: each file turns a name into a scheme's rules; a new scheme is a new file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.catalogue import Catalogue, unknown
from engine.grammar import Part
from engine.scheme import Rule

__all__ = ["RECIPES", "Recipe", "build_part"]


@dataclass(frozen=True)
class Recipe:
    """A catalogue entry: how one part of a scheme's text becomes rules.

    ``names`` are all the names that it takes, ``examples`` whole texts to show and to pick from;
    ``build`` returns None where the part's name is not the recipe's.
    """

    name: str
    summary: str
    source: str
    names: Sequence[str]
    examples: Sequence[str]
    build: Callable[[Part], Sequence[Rule] | None]


RECIPES: Catalogue[Recipe] = Catalogue("scheme", "engine.schemes")


def build_part(part: Part) -> Sequence[Rule]:
    """The rules of one part. Raises InputError for a name that no recipe takes."""
    for recipe in RECIPES.values():
        rules = recipe.build(part)
        if rules is not None:
            return rules
    raise unknown("scheme", part.name, [name for recipe in RECIPES.values() for name in recipe.names])
