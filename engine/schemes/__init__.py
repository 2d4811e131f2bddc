"""Recipes: each file turns a name into a scheme; a new scheme is a new file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.catalogue import Catalogue, unknown
from engine.grammar import Part
from engine.recipe_files import installed, load_recipes
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


class _Recipes(Catalogue[Recipe]):
    """The package's recipes, and those of installed packages (entry points of ``bitfront.schemes``)."""

    @cached_property
    def _entries(self) -> dict[str, Recipe]:
        import structlog

        warn = structlog.get_logger().warning
        entries = dict(super()._entries)
        for recipe in installed(warn):
            if recipe.name in entries:
                warn(f"the installed scheme recipe {recipe.name} is left out: another one has its name")
            entries.setdefault(recipe.name, recipe)
        return entries


RECIPES: Catalogue[Recipe] = _Recipes("scheme", "engine.schemes")


def build_part(part: Part) -> Built:
    """The scheme, or the modifier, of one part. Raises InputError for a name that no recipe takes."""
    recipes = load_recipes(part.path) if part.path else list(RECIPES.values())
    for recipe in recipes:
        built = recipe.build(part)
        if built is not None:
            return built
    raise unknown("scheme", part.name, [name for recipe in recipes for name in recipe.names])
