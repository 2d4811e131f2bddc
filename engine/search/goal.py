"""What a search is after: the least cost within a drop of the metric, or the best metric within a cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Key = tuple[float, float, float]
"""Ascending: what meets the goal first, the best of it first."""


@dataclass(frozen=True)
class Goal:
    """``reference``: the fp32 model's validation metric. One of ``epsilon`` (a drop, in the metric's unit) and
    ``budget`` (a cost) is given."""

    reference: float
    epsilon: float | None = None
    budget: float | None = None
    higher_is_better: bool = True

    def drop(self, value: float) -> float:
        """How much worse than the reference."""
        return self.reference - value if self.higher_is_better else value - self.reference

    def is_met(self, value: float | None, cost: float) -> bool:
        if value is None:
            return False
        if self.budget is not None:
            return cost <= self.budget
        assert self.epsilon is not None
        # Metrics are hundredths of percents summed in floating point: a drop of exactly ε is within it.
        return self.drop(value) <= self.epsilon + 1e-9

    def key(self, value: float | None, cost: float) -> Key:
        """By which points are ranked; one without a value comes last."""
        if value is None:
            return (2.0, 0.0, cost)
        met = self.is_met(value, cost)
        first = (self.drop(value), cost) if (self.budget is not None) == met else (cost, self.drop(value))
        return (0.0 if met else 1.0, *first)

    def order(self, values: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.int64]:
        """The places of many points by their keys: [count] twice in."""
        drops = self.reference - values if self.higher_is_better else values - self.reference
        if self.budget is not None:
            met = costs <= self.budget
            first, second = np.where(met, drops, costs), np.where(met, costs, drops)
        else:
            assert self.epsilon is not None
            met = drops <= self.epsilon + 1e-9
            first, second = np.where(met, costs, drops), np.where(met, drops, costs)
        return np.lexsort((second, first, ~met))
