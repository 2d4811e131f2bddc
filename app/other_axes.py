"""Compare's horizontal axes beside the stored densities: the ledger's other figures, measured quantities, cost tables.

A figure is the mean over a group's counted runs. The published cost table's values are stored with each run; another
table's are computed from the stored ledgers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from app.charts.pareto import Axes, Other
from app.connection import ask_rows
from app.measured import AXES
from engine.costs import CostTable
from engine.events import LedgerRow
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
    return Axes(axes.density, axes.scope, axes.coverage, axes.log_x, axes.mean, Other(title, definition, lower))


def density_choice(axes: Axes) -> str:
    """The figure that a density and a mean over the run are."""
    return axes.density if axes.mean == "harmonic mean" else f"{axes.density}_thesis"


def values_of(
    choice: str, axes: Axes, groups: Sequence[str], table: CostTable, *, default: bool
) -> dict[str, float | None]:
    """Each group's value; a group that has none is absent or None. Raises StoreUnavailable."""
    if not groups:
        return {}
    if choice.startswith(MEASURED):
        name = choice.removeprefix(MEASURED)
        _, factor = AXES[QUANTITIES[name].unit]
        return {
            row["group_id"]: row["value"] * factor
            for row in ask_rows("group_measurements", groups=groups)
            if row["quantity"] == name and row["variant"] == "run" and row["value"] is not None
        }
    figure = find_figure(choice, axes.scope, axes.coverage)
    if default or not figure.priced:
        rows = ask_rows("group_figures", groups=groups)
        return {row["group_id"]: row["value"] for row in rows if row["name"] == figure.name}
    return priced_values(figure, table, ask_rows("group_work", groups=groups))


def priced_values(figure: Figure, table: CostTable, work: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """A figure under another cost table, the mean over each group's runs (rows of the store's ``group_work``)."""
    runs: defaultdict[tuple[str, str, int], list[LedgerRow]] = defaultdict(list)
    for row in work:
        values = {name: row[name] for name in LedgerRow.model_fields if name in row}
        runs[row["group_id"], row["run"], row["best_epoch"]].append(
            LedgerRow.model_construct(layer=0, site="", held_bytes=0, **values)
        )
    found: defaultdict[str, list[float | None]] = defaultdict(list)
    for (group, _, best), rows in runs.items():
        found[group].append(figure.compute(Ledger(rows, table, best)))
    return {
        group: None if None in values else fmean(value for value in values if value is not None)
        for group, values in found.items()
    }
