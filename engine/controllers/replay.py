"""What would another controller have done on this run? Its decisions on the run's recorded signals.

Every run records every signal, so any controller can be asked afterwards. The answer is exact as long as the run
trained as the controller would have had it (formats, ranges, protection and all): up to and with the first decision
that parts them. From there on the losses are those of other formats, and the answer is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine import grammar
from engine.controllers import CONTROLLERS
from engine.errors import InputError
from engine.schedule import WINDOW, Course, Parameter, Signals
from engine.scheme import FP32, Scheme, parse_scheme
from engine.spec import RunSpec


@dataclass(frozen=True)
class Switch:
    """From ``epoch`` on, the formats of ``label``."""

    epoch: int
    label: str
    signal: str
    reason: str
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Replay:
    """The switches of a controller on a run's signals."""

    start: str
    """The formats of the first epoch."""
    switches: list[Switch]
    exact_until: int
    """The last epoch of which the precision is what a real run would have; 0: not even the first."""
    note: str
    """The same in words."""


def replay(scheme_text: str, run: RunSpec, columns: Mapping[str, Sequence[Any]], epochs: int) -> Replay:
    """The schedule ``scheme_text`` on the per-epoch table of a run.

    ``columns``: lists by name, among them "epoch" and those of ``Signals.COLUMNS``; ``epochs``: what the run was to
    have. Raises InputError where the scheme has no schedule, or its signal was not recorded as it needs it.
    """
    scheme, ran = parse_scheme(scheme_text), run.parsed_scheme
    if scheme.schedule is None:
        raise InputError(f"the scheme {scheme_text!r} has no schedule to replay: give one of {', '.join(CONTROLLERS)}")
    recorded = ran.schedule.controller.window if ran.schedule is not None else WINDOW
    if scheme.schedule.controller.window != recorded:
        raise InputError(
            f"the scheme {scheme_text!r} needs the gradients' diversity in windows of "
            f"{scheme.schedule.controller.window} epochs, and the run recorded windows of {recorded}: set r={recorded}"
        )
    plateau = run.plateau_ratio
    mine = scheme.schedule.begin(epochs, plateau)
    its = None if ran.schedule is None else ran.schedule.begin(epochs, plateau)
    start, switches = mine.label, []
    exact, alike = 0, _way(scheme, mine) == _way(ran, its)
    for signals in read_signals(columns):
        if alike:
            exact = signals.epoch
        decision = mine.after(signals)
        if its is not None:
            its.after(signals)
        if decision is not None:
            switches.append(
                Switch(
                    signals.epoch + 1, mine.label, decision.signal, decision.reason, decision.value, decision.threshold
                )
            )
        # The first decision that parts them is still taken on the right signals.
        alike = alike and _way(scheme, mine) == _way(ran, its)
    return Replay(start, switches, exact, _note(exact, len(columns.get("epoch", ())), run.scheme))


def read_signals(columns: Mapping[str, Sequence[Any]]) -> list[Signals]:
    """A run's signals, epoch by epoch, as far as they were recorded."""
    names = [name for name in Signals.COLUMNS if name in columns]
    rows = zip(columns["epoch"], *(columns[name] for name in names), strict=True)
    return [Signals(int(epoch), **dict(zip(names, values, strict=True))) for epoch, *values in rows]


def _way(scheme: Scheme, course: Course | None) -> tuple[Any, ...]:
    """All that says how a run trains now: what is quantized how, protection, phases."""
    now = scheme if course is None else scheme.at(course.schedule.ladder[course.step])
    rules = {rule.key: rule for rule in now.rules if rule.quantization.format != FP32}
    if not rules:
        return (rules,)
    return rules, now.protection, now.weight_probability, now.splits, now.phases


def _note(exact: int, epochs: int, ran: str) -> str:
    if exact == 0:
        return f"an estimate: the run trained with {ran}, otherwise than this schedule begins"
    if exact >= epochs:
        return "exact: the run trained with the formats that this schedule chooses"
    return (
        f"exact up to the switch after epoch {exact}; from there on an estimate, on the losses of a run that trained "
        f"with {ran}"
    )


def parameters(scheme_text: str) -> tuple[Parameter, ...]:
    """The numbers of a schedule's controller that may be turned; none for a static scheme."""
    for part in grammar.parse(scheme_text, "scheme").parts:
        if part.name in CONTROLLERS and not part.path:
            given = dict(part.options)
            return tuple(
                replace(parameter, default=float(given.get(parameter.name, parameter.default)))
                for parameter in CONTROLLERS[part.name].parameters
            )
    return ()


def with_parameter(scheme_text: str, name: str, value: float) -> str:
    """The scheme's text with a number of its controller changed. Raises InputError where it has no such number."""
    parsed = grammar.parse(scheme_text, "scheme")
    parts = list(parsed.parts)
    for index, part in enumerate(parts):
        known = (
            {parameter.name: parameter for parameter in CONTROLLERS[part.name].parameters}
            if (part.name in CONTROLLERS and not part.path)
            else {}
        )
        if name in known:
            whole = isinstance(known[name].step, int) or float(known[name].step).is_integer()
            options = {**dict(part.options), name: round(value) if whole else float(value)}
            parts[index] = replace(part, options=tuple(options.items()))
            return str(parse_scheme(str(grammar.Text(tuple(parts), parsed.sites))))
    raise InputError(f"the scheme {scheme_text!r} has no number {name!r} to turn")
