"""Schedules of precision: what one plans before its run, and what another would have done on a run's signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from engine import grammar
from engine.controllers import CONTROLLERS
from engine.controllers.plan import plan
from engine.controllers.replay import Replay, replay
from engine.datasets.known_size import known_size
from engine.errors import InputError
from engine.formats import Format, get_format, is_format
from engine.ledger import epoch_bits
from engine.objectives import OBJECTIVES
from engine.schedule import START, Signals, Step, formats_like
from engine.scheme import parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Replayed:
    """What another schedule would have done: ``decisions`` are rows as of ``switches``, each with its ``bits``."""

    scheme: str
    decisions: Sequence[Row]
    exact_until: int
    last: int
    """The last epoch of the run that it was asked of."""


@dataclass(frozen=True)
class Planned:
    """A stretch of epochs before its run: the bits of a step of the ladder, and what it holds in words."""

    first_epoch: int
    last_epoch: int
    label: str
    bits: float
    certain: bool
    about: str = ""


def planned(spec: RunSpec, settings: Settings) -> list[Planned]:
    """The stages of a run before it is launched. Raises InputError where this installation cannot read its scheme."""
    scheme = spec.parsed_scheme
    stages = plan(scheme, spec.training.epochs, spec.plateau_ratio)
    bits = step_bits(spec, settings)
    return [
        Planned(
            stage.first_epoch,
            stage.last_epoch,
            stage.label,
            bits.get(stage.label, stage.bits),
            stage.certain,
            formats_text(stage.formats),
        )
        for stage in stages
    ]


def formats_text(formats: Sequence[tuple[str, tuple[str, ...] | None, int | None, Format]]) -> str:
    """Which sites have which format: "int4: weight, input; int8: gradient"; empty where all have one."""
    by_format: dict[str, dict[str, None]] = {}
    for site, _, _, format in formats:
        by_format.setdefault(format.name, {})[site] = None
    if len(by_format) < 2:
        return ""
    return "; ".join(f"{name}: {', '.join(sites)}" for name, sites in by_format.items())


def step_bits(spec: RunSpec, settings: Settings) -> dict[str, float]:
    """Bits an element of each step of the scheme's ladder, by its label, as the run's ledger counts them.

    Where the ledger needs what only the loaded graph tells: the plain mean over the rules. Empty for a static scheme.
    """
    schedule = spec.parsed_scheme.schedule
    found: dict[str, float] = {}
    for step in schedule.ladder if schedule is not None else ():
        try:
            size = known_size(spec.dataset, settings)
            found[step.label] = epoch_bits(spec, OBJECTIVES[spec.task.name].expect(spec.task, size, spec), step)
        except InputError:
            found[step.label] = _mean_bits(spec, step)
    return found


def _mean_bits(spec: RunSpec, step: Step) -> float:
    return fmean(rule.quantization.format.bits for rule in spec.parsed_scheme.at(step).rules)


def replay_run(
    scheme: str, spec: RunSpec, columns: Mapping[str, Sequence[Any]], epochs: int, settings: Settings
) -> tuple[Replay, Replayed]:
    """What ``scheme`` would have done on the run of ``spec``: the answer, and the same as a chart draws it.

    ``columns``: the run's per-epoch table; ``epochs``: what it was to have. Raises InputError, one sentence.
    """
    if not columns["epoch"]:
        raise InputError("this run has no epoch yet: ask again when it trains")
    if not has_signals(columns):
        raise InputError("this run logged no signals: it was trained by an older Bitfront, so nothing can be replayed")
    found = replay(scheme, spec, columns, epochs)
    bits = step_bits(with_scheme(spec, scheme), settings)
    start = {"epoch": 1, "label": found.start, "signal": START, "reason": "start", "value": None, "threshold": None}
    decisions = [start, *(asdict(switch) for switch in found.switches)]
    rows = [{**row, "bits": bits[row["label"]]} for row in decisions]
    last = int(columns["epoch"][-1])
    return found, Replayed(str(parse_scheme(scheme)), rows, found.exact_until, last)


def has_signals(columns: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a run's per-epoch table holds the controllers' signals (the stall is known from the first epoch on)."""
    names = [name for name in Signals.COLUMNS if not name.endswith("_loss")]
    return any(value is not None for name in names for value in columns.get(name, ()))


def with_scheme(spec: RunSpec, scheme: str) -> RunSpec:
    """The same run with another scheme. Raises InputError where the architecture does not take it."""
    return RunSpec.parse({**spec.model_dump(mode="json"), "scheme": scheme})


def suggest(controller: str, ran: str) -> str:
    """A scheme of this controller for a replay on a run that trained with ``ran``: exact for as long as it can be.

    The run's own where that has this controller; else the controller's first example, its ladder begun at the run's
    format, with what else the run's scheme had.
    """
    entry = CONTROLLERS[controller]
    own = grammar.parse(ran, "scheme")
    if any(part.name == controller for part in own.parts):
        return ran
    example = grammar.parse(entry.examples[0], "scheme").parts[0]
    begun = _first_format(ran)
    rest = own.parts[1:] if is_format(own.parts[0].name) or own.parts[0].name in CONTROLLERS else ()
    for part in (_begin_at(example, begun) if begun else example, example):
        for more in (rest, ()):
            for sites in (own.sites, ()):
                text = str(grammar.Text((part, *more), sites))
                try:
                    return str(parse_scheme(text))
                except InputError:
                    continue
    return entry.examples[0]


def _first_format(ran: str) -> Format | None:
    """The one format that a run begins with; None where it has several, or none."""
    formats = {rule.quantization.format for rule in parse_scheme(ran).rules}
    return formats.pop() if len(formats) == 1 else None


def _begin_at(part: grammar.Part, format: Format) -> grammar.Part:
    """The part with its list moved within ``format``'s family so that its narrowest is ``format``."""
    given = {name: get_format(name) for step in part.steps for name in step}
    low = min(given.values(), key=lambda each: each.bits)
    old, new = [each.name for each in formats_like(low)], [each.name for each in formats_like(format)]
    shift = new.index(format.name) - old.index(low.name)
    moved = {name: new[min(old.index(name) + shift, len(new) - 1)] if name in old else name for name in given}
    if len(set(moved.values())) < len(moved):  # the family ends before the ladder does
        return part
    return replace(part, steps=tuple(tuple(moved[name] for name in step) for step in part.steps))
