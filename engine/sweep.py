"""Sweeps: many runs from one table, every list and range in it an axis of the grid (engine.axes).

    name = "formats-on-cora"
    seeds = 3                          # or a list of seeds
    folds = 10                         # every fold of a cross-validation; without it, the one that the task names
    [spec]
    dataset = ["cora", "citeseer"]     # a list means: each of these
    model = "gcn"
    scheme = ["fp32", { text = "int{bits}", bits = { from = 4, to = 8, step = 2 } }]
    [spec.training]
    epochs = 200

Where not all of it is one grid, blocks say what differs; each is put over [spec] and is a grid of its own, served by a
priority of its own if it gives one; what fits a table of [[exclude]] is left out of all of them:

    [[runs]]
    model = "gat(heads=8)"
    scheme = ["qat-int4", "dq-int4"]
    training.lr = 0.005
    priority = 3                       # 0 is served first, 9 last
    [[exclude]]
    dataset = "citeseer"
    scheme = ["qat-int4", "int4"]      # a list means: any of these

A budget ends what would take too much: no more runs are launched, or what goes on is cancelled:

    [budget]
    runs = 100
    hours = 5.5                        # that workers spend on it, all together

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

Two more tables: of each family of schemes the densest that stays within so many points of the baseline, with what a
paper concludes; and the mean of a column of the per-epoch table, by epoch:

    [conclusion]
    within = 1.0
    [[conclusion.families]]
    name = "dynamic"
    starts = ["sdq", "adq"]            # or schemes = a list
    …
    curves = ["val_loss"]

Where memory and time are the question, one run of each cell is measured after it has trained (bitfront measure); a
published figure of a measured quantity names it, in bytes or seconds:

    measure = true
    [[published]]
    metric = "peak_torch"
    …

Order: seeds outermost, then folds, then one dataset and architecture after the other, on each of them scheme by scheme,
whatever the order in the file: whenever one looks, all schemes but for a few have had as many runs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.axes import expand_axes, is_axis, is_range, size, values_of
from engine.errors import InputError
from engine.exclusions import Exclusions
from engine.scheme import parse_scheme
from engine.spec import RunSpec, component_table, explain, read_text_file, read_toml
from engine.sweep_report import Comparison, Conclusion, CurveQuantity, Published

MOST_SEEDS = 10_000
MOST_RUNS = 100_000
"""Larger grids are refused: more likely a slip than a plan."""


class Budget(BaseModel):
    """What a sweep may take at most; what is left out is not limited."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    runs: Annotated[int, Field(ge=1)] | None = None
    """Runs that are launched for it, over all of its launches; what is there already costs nothing."""
    hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Hours that workers spend on these runs, all together."""


NO_BUDGET = Budget()

Priority = Annotated[int, Field(ge=0, le=9)]


class SweepFile(BaseModel):
    """What a sweep's file may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^@,]+$")] = "sweep"
    seeds: int | list[int] | dict[str, Any] = 1
    folds: Annotated[int, Field(ge=3, le=1000)] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    priority: Priority = 5
    """0 is served first, 9 last."""
    budget: Budget = NO_BUDGET
    spec: dict[str, Any]
    runs: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    exclude: list[dict[str, Any]] = []
    baseline: str | None = None
    compare: list[Comparison] = []
    published: list[Published] = []
    conclusion: Conclusion | None = None
    curves: list[CurveQuantity] = []
    measure: bool = False
    """Measure one run of each cell after it has trained (bitfront measure)."""


@dataclass(frozen=True)
class Sweep:
    """A named list of runs with their priorities and a budget, and what its table compares."""

    name: str
    runs: tuple[RunSpec, ...]
    """In the order of service."""
    cells: tuple[RunSpec, ...]
    """One run of each group, in the file's order."""
    priority: int = 5
    priorities: Mapping[str, int] = field(default_factory=dict)
    """Of groups that have one of their own."""
    budget: Budget = NO_BUDGET
    pairs: tuple[tuple[str, str], ...] = ()
    """Seed groups (``RunSpec.group``) whose difference is of interest: the first minus the second."""
    published: tuple[Published, ...] = ()
    baseline: str | None = None
    """The scheme that the others are compared with."""
    conclusion: Conclusion | None = None
    curves: tuple[CurveQuantity, ...] = ()
    """Columns of the per-epoch table that are printed by epoch."""
    measure: bool = False
    """Whether one run of each cell is measured after it has trained."""
    table: Mapping[str, Any] = field(default_factory=dict)
    """The table that gives this very sweep, what was overridden put in."""

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """The content hash of each run (``RunSpec.hash``)."""
        return tuple(run.hash for run in self.runs)

    @cached_property
    def id(self) -> str:
        """Its name and a digest of its runs: the same file is the same sweep, whenever it is launched."""
        digest = hashlib.sha256("".join(sorted(self.hashes)).encode()).hexdigest()[:8]
        return f"{self.name}@{digest}"

    def priority_of(self, spec: RunSpec) -> int:
        """0 is served first, 9 last."""
        return self.priorities.get(spec.group, self.priority) if self.priorities else self.priority

    @property
    def measured(self) -> tuple[RunSpec, ...]:
        """The runs that are to be measured: one of each group, where the file asks for it."""
        return self.cells if self.measure else ()


def read_sweep_file(path: Path) -> dict[str, Any]:
    """The table in a TOML file, or in a JSON file (``.json``). Raises InputError."""
    text = read_text_file(path)
    if path.suffix.lower() != ".json":
        return read_toml(text, str(path))
    try:
        found = json.loads(text)
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold a JSON object")
    return found


def expand(
    table: Mapping[str, Any], *, seeds: int | None = None, epochs: int | None = None, priority: int | None = None
) -> Sweep:
    """All runs of a sweep's table; ``seeds``, ``epochs`` and ``priority`` override the file's.

    Raises InputError in one sentence: unknown keys, a bad value, an empty list, a run named twice, too many runs,
    an exclusion that excludes nothing, a comparison of schemes that never meet.
    """
    overrides = {"seeds": seeds, "epochs": epochs, "priority": priority}
    table = {**table, **{key: value for key, value in overrides.items() if value is not None}}
    try:
        file = SweepFile.model_validate(table)
    except ValidationError as error:
        raise InputError(explain(error, SweepFile)) from None
    seed_list = _seeds(file.seeds)
    blocks = [
        _merged(file.spec, {key: value for key, value in block.items() if key != "priority"}) for block in file.runs
    ]
    if any("seed" in block for block in blocks):
        raise InputError("spec.seed is not allowed in a sweep: name the seeds by 'seeds'")
    count = len(seed_list) * (file.folds or 1) * sum(map(size, blocks))
    if count > MOST_RUNS:
        raise InputError(f"the sweep has {count} runs; at most {MOST_RUNS} are allowed")
    excluded = Exclusions(file.exclude)
    cells: list[RunSpec] = []
    priorities: dict[str, int] = {}
    for block, own in zip(blocks, file.runs, strict=True):
        found = [
            spec
            for data in expand_axes(block)
            if (spec := _cell(data, seed_list[0], file.folds, file.epochs, excluded)) is not None
        ]
        cells += found
        if "priority" in own:
            priorities |= dict.fromkeys((spec.group for spec in found), _priority(own["priority"]))
    excluded.check()
    if not cells:
        raise InputError("the sweep has no runs: everything is excluded")
    groups = _by_group(cells)
    return Sweep(
        name=file.name,
        runs=tuple(_in_order_of_service(cells, seed_list, file.folds)),
        cells=tuple(cells),
        priority=file.priority,
        priorities=priorities,
        budget=file.budget,
        pairs=_pairs(file, groups),
        published=tuple(file.published),
        baseline=file.baseline and str(parse_scheme(file.baseline)),
        conclusion=_checked_conclusion(file, groups),
        curves=tuple(file.curves),
        measure=file.measure,
        table=table,
    )


def _seeds(chosen: int | list[int] | Mapping[str, Any]) -> list[int]:
    if isinstance(chosen, int):
        seeds: list[Any] = list(range(chosen))
    else:
        seeds = values_of(chosen, "seeds") if is_range(chosen) or (isinstance(chosen, list) and chosen) else []
    if not 1 <= len(seeds) <= MOST_SEEDS or not all(type(seed) is int for seed in seeds):
        raise InputError(
            f"seeds = {chosen!r} is not allowed: name 1 to {MOST_SEEDS} seeds, by their number or as a list"
        )
    if len(set(seeds)) != len(seeds):
        raise InputError(f"seeds = {seeds} names a seed twice")
    return seeds


def _priority(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 9:
        raise InputError(f"runs.priority = {value!r} is not allowed: it is a whole number from 0 (first) to 9 (last)")
    return value


def _cell(
    data: Mapping[str, Any], seed: int, folds: int | None, epochs: int | None, excluded: Exclusions
) -> RunSpec | None:
    """One group's first run; None where it is excluded. Raises InputError where it cannot be run."""
    if epochs is not None:
        data = with_settings(data, {"training.epochs": epochs})
    if folds is not None:
        data = in_folds(data, folds)[0]
    try:
        spec = RunSpec.parse({**data, "seed": seed})
    except InputError:
        if excluded.fits(data):  # as it is written: often a combination is left out because it cannot be run
            return None
        raise
    return None if excluded.fits(spec.model_dump(mode="json")) else spec


def _in_order_of_service(cells: Sequence[RunSpec], seeds: Sequence[int], folds: int | None) -> Iterator[RunSpec]:
    ordered = _interleaved(cells)
    for seed in seeds:
        RunSpec.parse({**cells[0].model_dump(), "seed": seed})  # a seed out of bounds is refused by name
        for fold in range(folds or 1):
            for cell in ordered:
                # A cell was checked as a whole: neither its seed nor its fold changes whether it fits.
                changes: dict[str, Any] = {"seed": seed}
                if folds is not None:
                    changes["task"] = cell.task.model_copy(update={"fold": fold})
                yield cell.model_copy(update=changes)


def _interleaved(cells: Sequence[RunSpec]) -> list[RunSpec]:
    """Place by place; on each, the first cell of every scheme, then the second of every scheme, and so on."""
    places = {place: rank for rank, place in enumerate(dict.fromkeys(map(_place, cells)))}
    turns: Counter[tuple[Any, str]] = Counter()
    order: list[tuple[int, int]] = []
    for cell in cells:
        place = _place(cell)
        order.append((places[place], turns[place, cell.scheme]))
        turns[place, cell.scheme] += 1
    return [cell for _, cell in sorted(zip(order, cells, strict=True), key=lambda pair: pair[0])]


def _place(cell: RunSpec) -> tuple[str, str, str]:
    return (cell.dataset.model_dump_json(), cell.task.name, cell.model.name)


def _merged(base: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the block's values in place of its own; a table inside a table is merged, all else replaced."""
    merged = dict(base)
    for key, value in block.items():
        own = merged.get(key)
        if isinstance(own, Mapping) and isinstance(value, Mapping) and not (is_axis(own) or is_axis(value)):
            value = _merged(own, value)
        merged[key] = value
    return merged


def _by_group(cells: Iterable[RunSpec]) -> dict[str, RunSpec]:
    found: dict[str, RunSpec] = {}
    for cell in cells:
        if found.setdefault(cell.group, cell) is not cell:
            raise InputError(
                f"the sweep names a run twice: {cell.scheme} on {cell.dataset.name}, {cell.model.name}; "
                "let each list and each [[runs]] block add runs of its own"
            )
    return found


def _pairs(file: SweepFile, groups: Mapping[str, RunSpec]) -> tuple[tuple[str, str], ...]:
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


def _checked_conclusion(file: SweepFile, groups: Mapping[str, RunSpec]) -> Conclusion | None:
    """The file's conclusion. Raises InputError where it has nothing to compare with, or a family has no scheme."""
    if file.conclusion is None:
        return None
    if file.baseline is None:
        raise InputError("a [conclusion] says how far schemes are from the baseline: give baseline = the scheme")
    for family in file.conclusion.families:
        if not any(family.holds(cell.scheme) for cell in groups.values()):
            raise InputError(f"the family {family.name!r} of the conclusion has no scheme of this sweep")
    return file.conclusion


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


def in_folds(data: Mapping[str, Any], folds: int) -> list[dict[str, Any]]:
    """A run's table, once for each fold of a cross-validation."""
    return [with_settings(data, {"task.folds": folds, "task.fold": fold}) for fold in range(folds)]


def with_settings(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's table with dotted settings ("training.lr", "model.hidden") put in.

    A component given as a name is opened first, so that its options can be set. Raises InputError
    where a dotted name goes through something that is no table.
    """
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
