"""What a point costs: a figure of the ledger, for thousands of points at once.

A ledger takes milliseconds. Most figures of most spaces are sums over their axes (the memory of features is, by layer
and bucket, once the buckets are fixed), which a few ledgers tell, and a few more confirm; where they do not, each point
has a ledger of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.search.space import Point, Points, Space

EXACT = 1e-6
"""How far a sum may be from the ledger, relative: elements of buckets are rounded to whole ones."""
PROBES = 12
"""Points at random whose sums are compared with their ledgers."""


class Costs:
    """The costs of a space's points. ``price``: of a scheme's text; raises InputError for what is no scheme."""

    def __init__(self, space: Space, price: Callable[[str], float]) -> None:
        self.space, self._price = space, price
        self._known: dict[Point, float] = {}
        self._tables: dict[int, list[NDArray[np.float64]]] = {}
        self._context = self._find_context()

    @property
    def are_sums(self) -> bool:
        """Whether the costs are sums over the axes (given the choice at one of them)."""
        return self._context is not None

    def of(self, point: Point) -> float:
        """A point's cost, by its ledger. Raises InputError where it is no scheme."""
        if point not in self._known:
            self._known[point] = self._price(self.space.scheme(point))
        return self._known[point]

    def least(self) -> float | None:
        """What the cheapest point costs; None where costs are no sums, so that it is not known."""
        if self._context is None:
            return None
        return min(float(sum(axis.min() for axis in table)) for table in self._tables.values())

    def of_many(self, points: Points) -> NDArray[np.float64]:
        """The costs of points, [count]; infinite where one is no scheme."""
        if self._context is None:
            return np.array([self._or_infinite(tuple(map(int, point))) for point in points])
        found = np.empty(len(points))
        keys = points[:, self._context] if self._context >= 0 else np.zeros(len(points), dtype=int)
        for key in np.unique(keys):
            chosen = keys == key
            table = self._tables[int(key)]
            found[chosen] = sum(table[axis][points[chosen, axis]] for axis in range(points.shape[1]))
        return found

    def _or_infinite(self, point: Point) -> float:
        try:
            return self.of(point)
        except InputError:
            return float("inf")

    def _find_context(self) -> int | None:
        """The axis given which costs are sums over the others (−1: none is needed); None: they are no sums."""
        rng = np.random.default_rng(0)
        probes = [tuple(map(int, point)) for point in self.space.draw(rng, PROBES)]
        try:
            first = self._table((0,) * len(self.space.axes))
            self._tables = {0: first}
            if self._is_sum(first, probes):
                return -1
            # With the right axis held, the others are sums already: one table and few ledgers tell which it is.
            for context in reversed(range(len(self.space.axes))):
                held = [(*point[:context], 0, *point[context + 1 :]) for point in probes]
                if len(self.space.axes[context].choices) > PROBES or not self._is_sum(first, held):
                    continue
                tables = {
                    key: self._table(tuple(key if place == context else 0 for place in range(len(self.space.axes))))
                    for key in range(len(self.space.axes[context].choices))
                }
                for key, table in tables.items():
                    # Only the key itself is looked up here; where it is the first axis, the base's cost stands in it.
                    table[context] = np.full_like(table[context], table[context][key])
                if all(self._is_sum(tables[point[context]], [point]) for point in probes):
                    self._tables = tables
                    return context
        except InputError:
            pass
        return None

    def _is_sum(self, table: list[NDArray[np.float64]], points: Iterable[Point]) -> bool:
        """Whether these points cost what the table says; no ledger more than needed is made."""
        return all(
            np.isclose(sum(axis[choice] for axis, choice in zip(table, point, strict=True)), self.of(point), EXACT, 0)
            for point in points
        )

    def _table(self, base: Point) -> list[NDArray[np.float64]]:
        """What each choice costs more than the base's, by axis; the first axis has the base's cost too."""
        whole = self.of(base)
        table = [
            np.array(
                [self.of((*base[:place], choice, *base[place + 1 :])) - whole for choice in range(len(axis.choices))]
            )
            for place, axis in enumerate(self.space.axes)
        ]
        table[0] = table[0] + whole
        return table
