"""Recipes: each file turns a name into a scheme; a new scheme is a new file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.catalogue import Catalogue, unknown
from engine.grammar import Part
from engine.scheme import Scheme

__all__ = ["RECIPES", "Built", "Modifier", "Recipe", "build_part"]

Modifier = Callable[[Scheme], Scheme]
"""Changes what the parts before it have set (``sr``, ``dq``)."""
Built = Scheme | Modifier


@dataclass(frozen=True)
class Recipe:
    """A catalogue entry: how one part of a scheme's text becomes a scheme.

    ``names`` are the names that it takes (of a family, the ones to suggest), ``examples`` whole texts to
    show and to pick from; ``build`` returns None where the part's name is not the recipe's.
    """

    name: str
    summary: str
    source: str
    names: Sequence[str]
    examples: Sequence[str]
    build: Callable[[Part], Built | None]


RECIPES: Catalogue[Recipe] = Catalogue("scheme", "engine.schemes")


def build_part(part: Part) -> Built:
    """The scheme, or the modifier, of one part. Raises InputError for a name that no recipe takes."""
    for recipe in RECIPES.values():
        built = recipe.build(part)
        if built is not None:
            return built
    raise unknown("scheme", part.name, [name for recipe in RECIPES.values() for name in recipe.names])
