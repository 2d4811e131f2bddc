"""Sweeps: many runs from one table, every list in it an axis of the grid.

    name = "formats-on-cora"
    seeds = 3                          # or a list of seeds
    folds = 10                         # every fold of a cross-validation; without it, the one that the task names
    [spec]
    dataset = ["cora", "citeseer"]     # a list means: each of these
    model = "gcn"
    scheme = ["fp32", "int8", "msfp13"]
    [spec.training]
    epochs = 200

Where not all of it is one grid, blocks say what differs; each is put over [spec] and is a grid of its own:

    [[runs]]
    model = "gat(heads=8)"
    scheme = ["qat-int4", "dq-int4"]
    training.lr = 0.005

What the table compares seed by seed, and what a paper says (only figures that are at hand, none from memory):

    baseline = "fp32"                  # every other scheme minus this one
    [[compare]]
    a = "dq-int4"
    b = "qat-int4"
    [[published]]
    dataset = "cora"
    model = "agnn"
    scheme = "fp32"
    value = 83.16
    source = "SGQuant, Table III"
    selection = "best test"            # which of our three values it stands beside
    provenance = "given"

Where memory and time are the question, one run of each cell is measured after it has trained (bitfront measure); a
published figure of a measured quantity names it, in bytes or seconds:

    measure = true
    [[published]]
    metric = "peak_torch"
    …

Order: seeds outermost, so that an early look at a sweep is already a comparison.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.errors import InputError
from engine.events import MeasuredQuantity
from engine.scheme import parse_scheme
from engine.spec import RunSpec, explain

MOST_SEEDS = 10_000
MOST_RUNS = 100_000
"""Larger grids are refused: more likely a slip than a plan."""


class Published(BaseModel):
    """A figure of a paper for one cell of the sweep, with where it stands.

    ``provenance`` has one value: a figure that was only recalled is a yardstick while working and is not shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: str
    model: str
    scheme: str
    value: float
    std: float | None = None
    source: str
    metric: MeasuredQuantity | None = None
    """What the figure is of, where it is not the task's metric; ``value`` is then in bytes or seconds."""
    selection: Literal["best validation", "last", "best test"] = "best validation"
    """The epoch that the paper reports: it is shown beside our value of the same selection."""
    provenance: Literal["given"]

    @field_validator("scheme")
    @classmethod
    def _scheme(cls, value: str) -> str:
        return str(parse_scheme(value))


class _Comparison(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    a: str
    b: str


class _SweepFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=100)] = "sweep"
    seeds: int | list[int] = 1
    folds: Annotated[int, Field(ge=3, le=1000)] | None = None
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    spec: dict[str, Any]
    runs: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    baseline: str | None = None
    compare: list[_Comparison] = []
    published: list[Published] = []
    measure: bool = False


@dataclass(frozen=True)
class Sweep:
    """A named list of runs with a priority, and what its table compares."""

    name: str
    priority: int
    runs: tuple[RunSpec, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    """Seed groups (``RunSpec.group``) whose difference is of interest: the first minus the second."""
    published: tuple[Published, ...] = ()
    measure: bool = False
    """Whether one run of each cell is measured after it has trained."""

    @property
    def cells(self) -> tuple[RunSpec, ...]:
        """One run of each group, in the file's order."""
        first = self.runs[0]
        return tuple(run for run in self.runs if (run.seed, run.fold) == (first.seed, first.fold))


def expand(table: Mapping[str, Any], *, seeds: int | None = None, epochs: int | None = None) -> Sweep:
    """All runs of a sweep's table; ``seeds`` and ``epochs`` override the file's.

    Raises InputError in one sentence: unknown keys, a bad value, an empty list, a run named twice, too many runs,
    a comparison of schemes that never meet.
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
    blocks = [_merged(file.spec, block) for block in file.runs]
    if any("seed" in block for block in blocks):
        raise InputError("spec.seed is not allowed in a sweep: name the seeds by 'seeds'")
    count = len(seed_list) * (file.folds or 1) * sum(map(_size, blocks))
    if count > MOST_RUNS:
        raise InputError(f"the sweep has {count} runs; at most {MOST_RUNS} are allowed")
    cells = [cell for block in blocks for cell in _cells(block)]
    if epochs is not None:
        cells = [with_settings(cell, {"training.epochs": epochs}) for cell in cells]
    folded = [cells] if file.folds is None else list(zip(*(in_folds(cell, file.folds) for cell in cells), strict=True))
    runs = tuple(RunSpec.parse({**cell, "seed": seed}) for seed in seed_list for fold in folded for cell in fold)
    groups = _by_group(runs[: len(cells)])
    return Sweep(file.name, file.priority, runs, _pairs(file, groups), tuple(file.published), file.measure)


def _merged(base: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the block's values in place of its own; a table inside a table is merged, all else replaced."""
    merged = dict(base)
    for key, value in block.items():
        own = merged.get(key)
        merged[key] = _merged(own, value) if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return merged


def _size(block: Mapping[str, Any]) -> int:
    for path, values in _axes(block):
        if not values:
            raise InputError(f"spec.{'.'.join(path)} is an empty list: name at least one value")
    return math.prod(len(values) for _, values in _axes(block))


def _cells(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The grid of a block: one table for each choice from its lists."""
    axes = list(_axes(block))
    for values in itertools.product(*(values for _, values in axes)):
        yield _with_values(block, [(path, value) for (path, _), value in zip(axes, values, strict=True)])


def _by_group(cells: Iterable[RunSpec]) -> dict[str, RunSpec]:
    found: dict[str, RunSpec] = {}
    for cell in cells:
        if found.setdefault(cell.group, cell) is not cell:
            raise InputError(
                f"the sweep names a run twice: {cell.scheme} on {cell.dataset.name}, {cell.model.name}; "
                "let each list and each [[runs]] block add runs of its own"
            )
    return found


def _pairs(file: _SweepFile, groups: Mapping[str, RunSpec]) -> tuple[tuple[str, str], ...]:
    """The seed groups to compare: for each named pair of schemes, wherever both stand."""
    schemes = list(dict.fromkeys(cell.scheme for cell in groups.values()))

    def known(text: str, where: str) -> str:
        scheme = str(parse_scheme(text))
        if scheme not in schemes:
            raise InputError(f"{where} = {text!r} is no scheme of this sweep; its schemes are: {', '.join(schemes)}")
        return scheme

    wanted = [(known(pair.a, "compare.a"), known(pair.b, "compare.b")) for pair in file.compare]
    if file.baseline is not None:
        baseline = known(file.baseline, "baseline")
        wanted += [(scheme, baseline) for scheme in schemes if scheme != baseline]
    found: dict[tuple[str, str], None] = {}
    for a, b in wanted:
        pairs = [
            (group, partner)
            for group, cell in groups.items()
            if cell.scheme == a and (partner := _partner(cell, b, groups)) is not None
        ]
        if a == b or not pairs:
            raise InputError(f"{a!r} cannot be compared with {b!r}: they never stand on the same dataset and model")
        found |= dict.fromkeys(pairs)
    return tuple(found)


def _partner(cell: RunSpec, scheme: str, groups: Mapping[str, RunSpec]) -> str | None:
    """The group of this scheme that is nearest to the cell: equal but for the scheme; else of one dataset and model
    with other training; else with other options of the model too. None where there is none."""
    others = {
        group: other
        for group, other in groups.items()
        if other.scheme == scheme and other.dataset == cell.dataset and other.task == cell.task
    }
    for same in (
        lambda other: (other.model, other.training, other.device) == (cell.model, cell.training, cell.device),
        lambda other: other.model == cell.model,
        lambda other: other.model.name == cell.model.name,
    ):
        near = [group for group, other in others.items() if same(other)]
        if len(near) > 1:
            raise InputError(
                f"{cell.scheme!r} has {len(near)} groups of {scheme!r} to be compared with on {cell.dataset.name}, "
                f"{cell.model.name}: give both schemes the same lists"
            )
        if near:
            return near[0]
    return None


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


def in_folds(data: Mapping[str, Any], folds: int) -> list[dict[str, Any]]:
    """A run's table, once for each fold of a cross-validation."""
    return [with_settings(data, {"task.folds": folds, "task.fold": fold}) for fold in range(folds)]


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
