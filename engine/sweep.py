"""Sweeps: many runs from one table, every list in it an axis of the grid.

    name = "formats-on-cora"
    seeds = 3                          # or a list of seeds
    [spec]
    dataset = ["cora", "citeseer"]     # a list means: each of these
    model = "gcn"
    scheme = ["fp32", "int8", "msfp13"]
    [spec.training]
    epochs = 200

Order: seeds outermost, so that an early look at a sweep is already a comparison.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import InputError
from engine.spec import RunSpec, explain

MOST_SEEDS = 10_000
MOST_RUNS = 100_000
"""Larger grids are refused: more likely a slip than a plan."""


class _SweepFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=100)] = "sweep"
    seeds: int | list[int] = 1
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    spec: dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A named list of runs with a priority."""

    name: str
    priority: int
    runs: tuple[RunSpec, ...]


def expand(table: Mapping[str, Any], *, seeds: int | None = None, epochs: int | None = None) -> Sweep:
    """All runs of a sweep's table; ``seeds`` and ``epochs`` override the file's.

    Raises InputError in one sentence: unknown keys, a bad value, an empty list, too many runs.
    """
    try:
        file = _SweepFile.model_validate(dict(table))
    except ValidationError as error:
        raise InputError(explain(error, _SweepFile)) from None
    chosen = seeds if seeds is not None else file.seeds
    seed_list = list(range(chosen)) if isinstance(chosen, int) else chosen
    if not 1 <= len(seed_list) <= MOST_SEEDS:
        raise InputError(
            f"seeds = {chosen!r} is not allowed: name 1 to {MOST_SEEDS} seeds, by their number or as a list"
        )
    if len(set(seed_list)) != len(seed_list):
        raise InputError(f"seeds = {seed_list} names a seed twice")
    if "seed" in file.spec:
        raise InputError("spec.seed is not allowed in a sweep: name the seeds by 'seeds'")
    axes = list(_axes(file.spec))
    count = len(seed_list)
    for path, values in axes:
        if not values:
            raise InputError(f"spec.{'.'.join(path)} is an empty list: name at least one value")
        count *= len(values)
    if count > MOST_RUNS:
        raise InputError(f"the sweep has {count} runs; at most {MOST_RUNS} are allowed")
    runs = []
    for seed, values in itertools.product(seed_list, itertools.product(*(values for _, values in axes))):
        data = _with_values(file.spec, [(path, value) for (path, _), value in zip(axes, values, strict=True)])
        if epochs is not None:
            data = with_settings(data, {"training.epochs": epochs})
        runs.append(RunSpec.parse({**data, "seed": seed}))
    return Sweep(file.name, file.priority, tuple(runs))


def _axes(table: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    for key, value in table.items():
        if isinstance(value, list):
            yield (*prefix, key), value
        elif isinstance(value, Mapping):
            yield from _axes(value, (*prefix, key))


def _with_values(table: Mapping[str, Any], values: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    data = {key: _with_values(value, []) if isinstance(value, Mapping) else value for key, value in table.items()}
    for path, value in values:
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    return data


def with_settings(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's table with dotted settings ("training.lr", "model.hidden") put in.

    A component given as a name is opened first, so that its options can be set. Raises InputError
    where a dotted name goes through something that is no table.
    """
    from engine.spec import component_table

    result: dict[str, Any] = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    for dotted, value in settings.items():
        head, *rest = dotted.split(".")
        if not rest:
            result[head] = value
            continue
        if len(rest) > 1:
            raise InputError(f"unknown setting {dotted!r}: at most one dot is allowed, as in training.lr")
        inner = result.setdefault(head, {})
        if isinstance(inner, str):
            inner = component_table(inner, head)
        if not isinstance(inner, dict):
            raise InputError(f"unknown setting {dotted!r}: {head} has no settings of its own")
        result[head] = {**inner, rest[0]: value}
    return result
