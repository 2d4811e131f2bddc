"""Searches of one row, space, goal and budget that differ in the algorithm only, pair by pair (SGQuant, Fig. 8)."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.search_rows import Told

APART = ("algorithm", "name", "priority", "finalists", "final_seeds", "confirm", "published", "source", "seed")
"""What two searches of a pair may differ in, or what names the pair: nothing of it changes what is measured, but the
algorithm."""


@dataclass(frozen=True)
class Pair:
    """What two algorithms found with the same seed and budget."""

    row: str
    seed: int
    first: str
    """The search of the first algorithm."""
    second: str
    measured: int
    """Configurations that each has measured; of what the one has more (others failed), no more counts."""
    same_start: bool
    """Whether the first batches are the same configurations."""
    one: float | None
    """The best that the first found within the goal, in validation; None: nothing."""
    other: float | None
    unit: str
    higher_is_better: bool

    @property
    def difference(self) -> float | None:
        """By how much the first is better."""
        if self.one is None or self.other is None:
            return None
        return (self.one - self.other) * (1 if self.higher_is_better else -1)


@dataclass(frozen=True)
class Advantage:
    """The mean difference over pairs with its 95 % interval (None for a single pair)."""

    n: int
    mean: float
    ci95: float | None


def best(search: Told, among: int | None = None) -> float | None:
    """The best metric within a cost, or the best saving within a drop: what the search's goal asks for; ``among`` the
    first so many that were measured."""
    met = [each for each in search.candidates[:among] if search.is_met(each)]
    if not met:
        return None
    if search.budget is None:
        return max((each.saving for each in met if each.saving is not None), default=None)
    choose = max if search.higher_is_better else min
    return choose(each.value for each in met)


def pairs(searches: Iterable[tuple[Mapping[str, Any], Told]], one: str, other: str) -> list[Pair]:
    """Pairs of searches that are over, the newest of each kind, from their rows in the store, newest first.

    A search that was cancelled has not spent its budget, and is in none.
    """
    found: dict[tuple[str, int], dict[str, tuple[Mapping[str, Any], Told]]] = {}
    for row, told in searches:
        if row["state"] not in ("finished", "failed"):  # failed: over, without a winner
            continue
        file = json.loads(row["file"])
        key = json.dumps({name: value for name, value in file.items() if name not in APART}, sort_keys=True)
        found.setdefault((key, file.get("seed", 0)), {}).setdefault(told.algorithm, (row, told))
    made = [_pair(two[one], two[other], seed) for (_, seed), two in found.items() if {one, other} <= two.keys()]
    return sorted(made, key=lambda pair: (pair.row, pair.seed))


def _pair(one: tuple[Mapping[str, Any], Told], other: tuple[Mapping[str, Any], Told], seed: int) -> Pair:
    (row, first), (_, second) = one, other
    by_saving = first.budget is None
    measured = min(len(first.candidates), len(second.candidates))
    starts = [{each.scheme for each in told.candidates if each.batch == 0} for told in (first, second)]
    return Pair(
        row=f"{row['dataset']} × {row['model']}",
        seed=seed,
        first=first.search,
        second=second.search,
        measured=measured,
        same_start=starts[0] == starts[1],
        one=best(first, measured),
        other=best(second, measured),
        unit="×" if by_saving else first.unit,
        higher_is_better=by_saving or first.higher_is_better,
    )


def advantage(pairs: Sequence[Pair]) -> Advantage | None:
    """Over the pairs in which both found something; None where there is none, or where units differ."""
    differences = [pair.difference for pair in pairs if pair.difference is not None]
    if not differences or len({pair.unit for pair in pairs}) > 1:
        return None
    mean, n = statistics.fmean(differences), len(differences)
    if n == 1:
        return Advantage(1, mean, None)
    from scipy.stats import t

    return Advantage(n, mean, float(t.ppf(0.975, n - 1)) * statistics.stdev(differences) / math.sqrt(n))
