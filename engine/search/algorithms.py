"""What to measure next: random search, SGQuant's regression tree, NSGA-II; ask for a batch, tell what it gave.

All take the same first batch for the same seed and spend the same budget, so that they can be compared. What they ask
follows from the seed and from what they were told alone: one that is told the same again asks the same again, which is
how a search goes on after a restart.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.search.cost import Costs
from engine.search.goal import Goal
from engine.search.space import Point, Points, Space


@dataclass(frozen=True)
class Proposal:
    """A point to measure, with what the cost model expects of it (None: it was not asked)."""

    point: Point
    predicted: float | None = None


@dataclass(frozen=True)
class Measured:
    """What came of a point; ``value`` None: its training failed."""

    point: Point
    value: float | None
    cost: float


@dataclass(frozen=True)
class Sizes:
    """SGQuant's settings: points a batch, points that the model looks at, batches after the first."""

    n_mea: int
    n_sample: int
    n_iter: int

    @property
    def budget(self) -> int:
        """Points that are measured in all."""
        return self.n_mea * (1 + self.n_iter)


class Algorithm(ABC):
    """``allowed``: whether a point can be trained at all (its text is a scheme that fits the model)."""

    def __init__(
        self, space: Space, costs: Costs, goal: Goal, sizes: Sizes, seed: int, allowed: Callable[[Point], bool]
    ) -> None:
        self.space, self.costs, self.goal, self.sizes, self.seed, self.allowed = (
            space, costs, goal, sizes, seed, allowed,
        )  # fmt: skip
        self.told: list[Measured] = []
        self.batch = 0
        """Batches that were told."""
        self.model_seconds: list[float] = []
        """What choosing each batch took, without the first."""
        self._seen: set[Point] = set()

    def ask(self) -> list[Proposal]:
        """The next batch; empty where the budget is spent or the space has nothing new."""
        left = self.sizes.budget - len(self.told)
        if left <= 0:
            return []
        count = min(self.sizes.n_mea, left)
        rng = np.random.default_rng([self.seed, self.batch])
        if self.batch == 0:
            return [Proposal(point) for point in self.fresh(rng, count)]
        began = time.perf_counter()
        found = self.propose(rng, count)
        self.model_seconds.append(time.perf_counter() - began)
        return found

    def tell(self, measured: Iterable[Measured]) -> None:
        """What the whole batch gave."""
        found = list(measured)
        self.told += found
        self._seen |= {each.point for each in found}
        self.batch += 1

    @abstractmethod
    def propose(self, rng: np.random.Generator, count: int) -> list[Proposal]:
        """A batch after the first."""

    def fresh(self, rng: np.random.Generator, count: int) -> list[Point]:
        """Points at random that were not measured yet; fewer where the space has no more."""
        found: dict[Point, None] = {}
        for _ in range(50):
            for point in _points(self.space.draw(rng, 4 * count)):
                if len(found) < count and self.is_new(point) and point not in found:
                    found[point] = None
            if len(found) == count or len(found) + len(self._seen) >= self.space.size:
                break
        return list(found)

    def is_new(self, point: Point) -> bool:
        return point not in self._seen and self.allowed(point)


class Random(Algorithm):
    """The baseline: every batch at random."""

    def propose(self, rng: np.random.Generator, count: int) -> list[Proposal]:
        return [Proposal(point) for point in self.fresh(rng, count)]


class Guided(Algorithm):
    """SGQuant's: a regression tree of all that was measured looks at ``n_sample`` points, and the most promising are
    measured (Feng et al., arXiv 2007.05100). Half of these points are neighbours of the best so far, our addition:
    in a large space points at random are hardly ever near its end."""

    nearby = 0.5
    """Share of the points that are neighbours of the best."""
    parents = 5
    leaf = 2
    """Points that a leaf of the tree holds at least."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        from sklearn.tree import DecisionTreeRegressor

        self._make = DecisionTreeRegressor

    def propose(self, rng: np.random.Generator, count: int) -> list[Proposal]:
        known = [each for each in self.told if each.value is not None]
        if not known:
            return [Proposal(point) for point in self.fresh(rng, count)]
        inputs = self.space.features(np.array([each.point for each in known]))
        tree = self._make(min_samples_leaf=self.leaf, random_state=self.seed)
        tree.fit(inputs, np.array([each.value for each in known], dtype=float))
        ranked = sorted(known, key=lambda each: self.goal.key(each.value, each.cost))
        near = int(self.nearby * self.sizes.n_sample)
        best = np.array([each.point for each in ranked[: self.parents]])
        pool = np.concatenate([self.space.draw(rng, self.sizes.n_sample - near), self.space.mutate(rng, best, near)])
        pool = np.unique(pool, axis=0)
        expected = np.asarray(tree.predict(self.space.features(pool)))
        found: dict[Point, float] = {}
        for place in self.goal.order(expected, self.costs.of_many(pool)):
            point = tuple(map(int, pool[place]))
            if self.is_new(point):
                found[point] = float(expected[place])
                if len(found) == count:
                    break
        proposals = [Proposal(point, value) for point, value in found.items()]
        if len(proposals) < count:
            more = [point for point in self.fresh(rng, count) if point not in found]
            proposals += [Proposal(point) for point in more[: count - len(proposals)]]
        return proposals


class Evolution(Algorithm):
    """NSGA-II over (metric, cost) by Optuna (Deb et al., IEEE TEC 2002): a batch is a generation. A point that comes
    again is answered from memory and costs nothing."""

    repeats = 20
    """Generations without a new point after which it gives up."""

    def propose(self, rng: np.random.Generator, count: int) -> list[Proposal]:
        import optuna
        from optuna.distributions import BaseDistribution, CategoricalDistribution

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.NSGAIISampler(population_size=self.sizes.n_mea, seed=self.seed)
        direction = "maximize" if self.goal.higher_is_better else "minimize"
        study = optuna.create_study(directions=[direction, "minimize"], sampler=sampler)
        axes: dict[str, BaseDistribution] = {
            axis.name: CategoricalDistribution(list(range(len(axis.choices)))) for axis in self.space.axes
        }
        known = {each.point: each for each in self.told}
        queue = list(self.told)
        found: dict[Point, None] = {}
        for _ in range(self.repeats * (1 + self.batch)):
            generation = [queue.pop(0) for _ in range(min(len(queue), self.sizes.n_mea))]
            if generation:
                for each in generation:
                    study.enqueue_trial(
                        {axis.name: place for axis, place in zip(self.space.axes, each.point, strict=True)}
                    )
            trials = [study.ask(axes) for _ in range(len(generation) or self.sizes.n_mea)]
            for trial in trials:
                point = tuple(trial.params[axis.name] for axis in self.space.axes)
                if point not in known and point not in found and self.allowed(point):
                    found[point] = None
            if found:
                return [Proposal(point) for point in list(found)[:count]]
            for trial in trials:
                each = known.get(tuple(trial.params[axis.name] for axis in self.space.axes))
                if each is None or each.value is None:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial, [each.value, each.cost])
        return [Proposal(point) for point in self.fresh(rng, count)]


ALGORITHMS: dict[str, type[Algorithm]] = {"guided": Guided, "random": Random, "nsga2": Evolution}
"""Every algorithm by the name that a search file gives."""


def _points(points: Points) -> Iterable[Point]:
    return (tuple(map(int, point)) for point in points)


def front(measured: Sequence[Measured], *, higher_is_better: bool = True) -> list[Measured]:
    """The measured points that no other beats in both metric and cost, by cost."""
    sign = 1 if higher_is_better else -1
    best: float | None = None
    kept: list[Measured] = []
    for each in sorted(measured, key=lambda each: (each.cost, -sign * (each.value or 0.0))):
        if each.value is not None and (best is None or sign * each.value > best):
            best = sign * each.value
            kept.append(each)
    return kept
