"""What stands in the links: a parameter that two pages name must be the same kind of widget on both.

A page's parameters stay when one goes to the next page, and a widget that finds a value of another kind there fails.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import app

MANY = {"multiselect", "pills(multi)", "segmented_control(multi)"}
"""Widgets whose value is a list of words."""


def bound(path: Path) -> Iterator[tuple[str, str]]:
    """(parameter, widget) of each widget of a module that is kept in the link under a name that the module says."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        given = {each.arg: each.value for each in node.keywords if each.arg}
        key, bind = given.get("key"), given.get("bind")
        if isinstance(key, ast.Constant) and isinstance(bind, ast.Constant) and bind.value == "query-params":
            mode = given.get("selection_mode")
            many = isinstance(mode, ast.Constant) and mode.value == "multi"
            yield str(key.value), node.func.attr + ("(multi)" if many else "")


def test_a_parameter_is_one_kind_of_widget_everywhere() -> None:
    root = Path(app.__file__).parent
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(root.rglob("*.py")):
        for key, widget in bound(path):
            kind = "many" if widget in MANY else widget
            found[key][kind] = str(path.relative_to(root))
    assert len(found) > 10
    assert {key: kinds for key, kinds in found.items() if len(kinds) > 1} == {}
