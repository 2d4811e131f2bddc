"""Recipes from outside the package: ``./mine.py:mine(bits=4)`` for local runs, entry points for installed ones.

A recipe file is Python with ``ENTRIES``, as the files of engine/schemes have; the part's name picks the recipe. It
runs with the rights of whoever reads the scheme, so what others send or store is never loaded: the queue refuses the
path form, and the dashboard and the workers call ``forbid()``. An installed package offers its recipes by the entry
point group ``bitfront.schemes``; each entry point is a Recipe, or a sequence of them.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable
from functools import cache
from hashlib import sha256
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError

if TYPE_CHECKING:
    from engine.grammar import Text
    from engine.schemes import Recipe

GROUP = "bitfront.schemes"
allowed = True
"""Whether this process reads recipe files, and data by its path (engine/datasets/own.py)."""


def forbid() -> None:
    """From now on this process refuses what names a file: for services, which read others' texts."""
    global allowed
    allowed = False


def refuse_files(parsed: Text, text: str) -> None:
    """Raise InputError if a part of a scheme names a recipe file."""
    for part in parsed.parts:
        if part.path:
            raise InputError(
                f"the scheme {text!r} names the file {part.path}, which other machines do not have: "
                f"train it here with `bitfront run`, or install the recipe as an entry point of {GROUP!r}"
            )


def load_recipes(path: str) -> list[Recipe]:
    """The recipes of a file. Raises InputError where it is absent, broken, holds none, or files are forbidden."""
    if not allowed:
        raise InputError(
            f"the recipe file {path} is not read here: a service takes installed recipes only (entry point {GROUP!r})"
        )
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"there is no recipe file {path}: give its path from here, such as ./mine.py:mine(bits=4)")
    return list(_load(file.resolve(), file.stat().st_mtime_ns))


@cache
def _load(file: Path, changed: int) -> tuple[Recipe, ...]:
    name = f"bitfront_recipes_{sha256(str(file).encode()).hexdigest()[:12]}"
    spec = util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is no Python file: a recipe file ends in .py")
    module = util.module_from_spec(spec)
    # Dataclasses, pickling and copying look their module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
        where = f" at line {line}" if line else ""
        raise InputError(f"the recipe file {file} fails{where}: {type(error).__name__}: {error}") from error
    return tuple(_recipes(getattr(module, "ENTRIES", ()), str(file)))


def _recipes(found: Any, where: str) -> list[Recipe]:
    from engine.schemes import Recipe

    recipes = [found] if isinstance(found, Recipe) else list(found) if isinstance(found, Iterable) else []
    if not recipes or not all(isinstance(recipe, Recipe) for recipe in recipes):
        raise InputError(f"{where} holds no recipes: give it ENTRIES = [engine.schemes.Recipe(…)]")
    return recipes


def installed(report: Callable[[str], None]) -> list[Recipe]:
    """The recipes of installed packages; one that does not load is reported in a sentence and left out."""
    recipes: list[Recipe] = []
    for point in metadata.entry_points(group=GROUP):
        try:
            recipes += _recipes(point.load(), f"the entry point {point.name} of {GROUP!r}")
        except Exception as error:
            report(f"the scheme recipe {point.name} ({point.value}) does not load, so it is left out: {error}")
    return recipes
