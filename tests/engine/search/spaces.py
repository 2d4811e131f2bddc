"""A space of which everything is known, for the tests of the algorithms."""

from __future__ import annotations

import numpy as np

from engine.search.algorithms import Algorithm, Measured, Sizes
from engine.search.cost import Costs
from engine.search.goal import Goal
from engine.search.space import Point, Space

BITS = (1, 2, 3, 4, 8)
LAYERS = 6
REFERENCE, EPSILON = 80.0, 0.5

SPACE = Space.of(
    f"lwq[{','.join(f'{{l{layer}}}' for layer in range(LAYERS))}]", {f"l{layer}": BITS for layer in range(LAYERS)}
)
WEIGHTS = (1000, 1, 1, 1, 1, 1)
"""Elements of each layer: the first one is nearly all of the cost."""
NEEDED = (1, 4, 2, 4, 1, 2)
"""Bits from which on a layer loses nothing."""
OPTIMUM = sum(bits * weight for bits, weight in zip(NEEDED, WEIGHTS, strict=True))
"""The least cost without a loss: no narrower layer stays within EPSILON."""


def price(text: str) -> float:
    bits = map(int, text.removeprefix("lwq[").removesuffix("]").split(","))
    return float(sum(each * weight for each, weight in zip(bits, WEIGHTS, strict=True)))


def value(point: Point) -> float:
    """A point's metric: each bit that a layer lacks costs one point."""
    return REFERENCE - sum(max(0, need - BITS[choice]) for need, choice in zip(NEEDED, point, strict=True))


def made(kind: type[Algorithm], sizes: Sizes, seed: int = 0) -> Algorithm:
    return kind(SPACE, Costs(SPACE, price), Goal(REFERENCE, epsilon=EPSILON), sizes, seed, lambda point: True)


def spend(algorithm: Algorithm) -> list[Measured]:
    """Measure all that it asks for, to the end of its budget."""
    while batch := algorithm.ask():
        points = [each.point for each in batch]
        costs = algorithm.costs.of_many(np.array(points))
        algorithm.tell(Measured(point, value(point), float(cost)) for point, cost in zip(points, costs, strict=True))
    return algorithm.told


def least(measured: list[Measured]) -> float:
    """The least cost that stays within EPSILON; infinite where none does."""
    return min((each.cost for each in measured if REFERENCE - (each.value or 0) <= EPSILON), default=float("inf"))
