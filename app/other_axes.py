"""Compare's horizontal axes beside the stored densities: the ledger's other figures, measured quantities, cost tables.

A figure is the mean over a group's counted runs. The published cost table's values are stored with each run; another
table's are computed from the stored ledgers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, get_args

from app.charts.pareto import Axes, Other
from app.connection import ask_rows
from app.measured import AXES
from app.phrases import count
from engine.costs import CostTable
from engine.events import LedgerRow
from engine.ledger.certainty import Certainty, certainty, lacking
from engine.ledger.figures import FIGURES, Figure, Ledger
from engine.measure import QUANTITIES

MEASURED = "measured."
"""Before the name of a measured quantity in the list of choices."""

DENSITIES = ("memory_density", "arithmetic_density")


def figure_choices() -> list[str]:
    """What can be chosen, densities aside: figures by the part of their name before the scope, then measurements."""
    names = dict.fromkeys(name.split(".")[0] for name in FIGURES)
    figures = [name for name in names if not name.startswith(DENSITIES) or name.endswith("_peak")]
    return [*figures, *(MEASURED + name for name in QUANTITIES)]


def choice_title(choice: str) -> str:
    """The choice in words."""
    if choice.startswith(MEASURED):
        return f"{QUANTITIES[choice.removeprefix(MEASURED)].title} (measured)"
    return next(figure.title for name, figure in FIGURES.items() if name.split(".")[0] == choice)


def is_priced(choice: str) -> bool:
    """Whether a cost table decides the value."""
    return any(figure.priced for name, figure in FIGURES.items() if name.split(".")[0] == choice)


def find_figure(choice: str, scope: str, coverage: str) -> Figure:
    """The figure of a choice in this scope and coverage, or the one that it has."""
    family = [figure for name, figure in FIGURES.items() if name.split(".")[0] == choice]
    in_scope = [figure for figure in family if figure.scope == scope] or family
    return next((figure for figure in in_scope if figure.coverage in (coverage, None)), in_scope[0])


def with_choice(axes: Axes, choice: str, table: CostTable, *, default: bool) -> Axes:
    """The axes with this choice in the place of the density; ``default``: the table is the published one."""
    if choice.startswith(MEASURED):
        quantity = QUANTITIES[choice.removeprefix(MEASURED)]
        return _with(axes, f"{quantity.title} ({AXES[quantity.unit][0]}, measured)", quantity.definition, lower=True)
    figure = find_figure(choice, axes.scope, axes.coverage)
    title = figure.axis if default or not figure.priced else f"{figure.axis}<br>{table.title}"
    return _with(axes, title, f"{figure.definition}. Source: {figure.source}", lower=figure.lower_is_better)


def _with(axes: Axes, title: str, definition: str, *, lower: bool) -> Axes:
    return replace(axes, other=Other(title, definition, lower))


def density_choice(axes: Axes) -> str:
    """The figure that a density and a mean over the run are."""
    return axes.density if axes.mean == "harmonic mean" else f"{axes.density}_thesis"


@dataclass(frozen=True)
class Value:
    """A group's value, or why it has none."""

    value: float | None = None
    certainty: str | None = None
    """How the least certain of a cost table's values in it is known (engine.ledger.certainty)."""
    reason: str = ""


NOT_MEASURED = "not measured yet: bitfront measure RUN, or the button on a run's page"
OLDER = "finished before this figure was recorded: train it again"
NOTHING = "there is nothing in it that this figure counts"


def values_of(choice: str, axes: Axes, groups: Sequence[str], table: CostTable, *, default: bool) -> dict[str, Value]:
    """Each group's value. Raises StoreUnavailable."""
    if not groups:
        return {}
    if choice.startswith(MEASURED):
        name = choice.removeprefix(MEASURED)
        _, factor = AXES[QUANTITIES[name].unit]
        found = {
            row["group_id"]: Value(row["value"] * factor)
            for row in ask_rows("group_measurements", groups=groups)
            if row["quantity"] == name and row["variant"] == "run" and row["value"] is not None
        }
        return {group: found.get(group, Value(reason=NOT_MEASURED)) for group in groups}
    figure = find_figure(choice, axes.scope, axes.coverage)
    if figure.priced:
        # Its certainty, and why there is none, are in the ledgers alone.
        found = priced_values(figure, table, ask_rows("group_work", groups=groups))
        if not default:
            return {group: found.get(group, Value(reason=OLDER)) for group in groups}
    else:
        found = {}
    rows = ask_rows("group_figures", groups=groups)
    stored = {row["group_id"]: row["value"] for row in rows if row["name"] == figure.name}
    return {group: _stored(group, stored, found.get(group, Value())) for group in groups}


def _stored(group: str, stored: Mapping[str, float | None], priced: Value) -> Value:
    value = stored.get(group)
    if value is not None:
        return Value(value, priced.certainty)
    return Value(reason=priced.reason or (NOTHING if group in stored else OLDER))


def priced_values(figure: Figure, table: CostTable, work: Iterable[Mapping[str, Any]]) -> dict[str, Value]:
    """A figure under a cost table, the mean over each group's runs (rows of the store's ``group_work``)."""
    runs: defaultdict[tuple[str, str, int], list[LedgerRow]] = defaultdict(list)
    for row in work:
        values = {name: row[name] for name in LedgerRow.model_fields if name in row}
        runs[row["group_id"], row["run"], row["best_epoch"]].append(
            LedgerRow.model_construct(layer=0, site="", held_bytes=0, **values)
        )
    found: defaultdict[str, list[Value]] = defaultdict(list)
    for (group, _, best), rows in runs.items():
        ledger = Ledger(rows, table, best)
        value = figure.compute(ledger)
        known = certainty(figure, ledger)
        found[group].append(Value(value, known) if value is not None else Value(reason=_why_none(figure, ledger)))
    return {group: _mean(values) for group, values in found.items()}


def _why_none(figure: Figure, ledger: Ledger) -> str:
    table, title = ledger.table, ledger.table.title
    if figure.coverage is None and (table.kind != "energy" or table.byte is None):
        return f"the cost table {title!r} gives no energies: choose one that does"
    if absent := lacking(ledger.in_scope(figure.scope or "training"), table):
        return f"the cost table {title!r} has no value for {', '.join(absent)}"
    return ledger.lacks or NOTHING


def _mean(values: Sequence[Value]) -> Value:
    known = [each.value for each in values if each.value is not None]
    if len(known) < len(values):
        return next(each for each in values if each.value is None)
    order = [*get_args(Certainty), None]
    return Value(fmean(known), max((each.certainty for each in values), key=order.index))


def gaps_text(groups: Mapping[str, Value]) -> str:
    """Which groups have no value, and why; empty where all have one."""
    reasons = Counter(each.reason for each in groups.values() if each.value is None)
    if not reasons:
        return ""
    said = "; ".join(f"{number}: {reason}" for reason, number in reasons.most_common())
    return f"No value for {reasons.total()} of {count(len(groups), 'seed group')}. {said}."
