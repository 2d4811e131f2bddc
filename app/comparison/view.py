"""What a link to Compare says: filters, groups, axes, columns, what is picked; the page's widgets say it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, cast

from app.charts.pareto import DENSITY_TITLES, MEANS, Axes
from app.comparison.filters import Filters
from app.comparison.groups import WHOLE
from app.other_axes import choice_title, density_choice, figure_choices, is_priced, with_choice
from engine.costs import DEFAULT, CostTable, load_table

Params = Mapping[str, Sequence[str]]
"""A link's parameters: each name with its values."""

OTHER_FIGURE = "Another figure"
DENSITIES: Mapping[str, str | None] = {
    **{title.removesuffix(" density"): name for name, title in DENSITY_TITLES.items()},
    OTHER_FIGURE: None,
}
SCOPES = ("training", "inference")
COVERAGES = ("quantized part", "whole step")
MEAN_NAMES: Mapping[str, str] = {name.split()[0]: name for name in MEANS}
METRICS: Mapping[str, Literal["test", "last", "max", "val"]] = {
    "Test at best validation": "test",
    "Test at last epoch": "last",
    "Best test": "max",
    "Best validation": "val",
}
FACETS: Mapping[str, tuple[str, ...]] = {"Dataset": ("dataset",), "Dataset and architecture": ("dataset", "model")}
PARAMETERS: Mapping[str, str] = {
    "dataset": "data",
    "model": "architecture",
    "family": "family",
    "scheme": "scheme",
    "task": "objective",
    "tag": "tag",
    "sweep": "from",
    "state": "status",
}
"""A filter's name and its parameter's."""

MOST_PICKED = 8


@dataclass(frozen=True)
class CompareView:
    """What is shown on Compare."""

    filters: Filters = field(default_factory=Filters)
    by: tuple[str, ...] = WHOLE
    axes: Axes = field(default_factory=Axes)
    metric: str | None = None
    """Another test metric at best validation; None: each run's own."""
    choice: str | None = None
    """What the axis' values are looked up by (``app.other_axes``); None: the stored densities have them."""
    table: CostTable = field(default_factory=load_table)
    facets: str = "Dataset"
    against: str = "fp32"
    picked: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    """Empty: the usual ones."""
    sort: str = ""
    """A column; empty: the newest first."""
    descending: bool = True
    candidates: bool = False
    """Whether runs that a search fine-tuned for a few epochs only are here too."""

    @classmethod
    def read(cls, params: Params, tables: Mapping[str, CostTable]) -> CompareView:
        """The view of a link; what it says of what is not here, or not at all, is as usual.

        ``tables``: the cost tables that can be chosen, by name. A link may also say a table's title: it is what the
        widget, whose options are shown by title, writes into the address.
        """

        def one(name: str, allowed: Mapping[str, Any] | Sequence[str], usual: str) -> str:
            found = next(iter(params.get(name, ())), usual)
            return found if found in allowed else usual

        def is_on(name: str, usual: bool = False) -> bool:
            return next(iter(params.get(name, ())), str(usual)).lower() == "true"

        metric = next(iter(params.get("metric", ())), next(iter(METRICS)))
        density = one("density", DENSITIES, next(iter(DENSITIES)))
        axes = Axes(
            cast(Any, DENSITIES[density] or "memory_density"),
            one("scope", SCOPES, SCOPES[0]),
            one("coverage", COVERAGES, COVERAGES[0]),
            is_on("log"),
            MEAN_NAMES[one("mean", MEAN_NAMES, next(iter(MEAN_NAMES)))],
            selection=METRICS.get(metric, "test"),
        )
        titles = {choice_title(choice): choice for choice in figure_choices()}
        named = titles[one("figure", titles, next(iter(titles)))] if density == OTHER_FIGURE else None
        costs = next(iter(params.get("costs", ())), "")
        table = tables.get(costs) or next((each for each in tables.values() if each.title == costs), load_table())
        axes, choice = resolve_axes(axes, named, table)
        return cls(
            filters=Filters(
                **{name: tuple(params.get(parameter, ())) for name, parameter in PARAMETERS.items()},
                since=_day(params.get("since", ())),
                until=_day(params.get("until", ())),
                text=next(iter(params.get("find", ())), ""),
            ),
            by=tuple(params.get("by", ())) or WHOLE,
            axes=axes,
            metric=None if metric in METRICS else metric,
            choice=choice,
            table=table,
            facets=one("facets", FACETS, next(iter(FACETS))),
            against=next(iter(params.get("against", ())), "fp32"),
            picked=tuple(id for text in params.get("group", ()) for id in text.split(",") if id)[:MOST_PICKED],
            columns=tuple(params.get("columns", ())),
            sort=next(iter(params.get("sort", ())), ""),
            descending=is_on("descending", True),
            candidates=is_on("candidates"),
        )


def resolve_axes(axes: Axes, named: str | None, table: CostTable) -> tuple[Axes, str | None]:
    """The axes with the figure that is named in the density's place, and what its values are looked up by.

    A density under the published cost table is stored with the runs, and nothing is looked up.
    """
    choice = named or density_choice(axes)
    default = table.name == DEFAULT
    if named is None and (default or not is_priced(choice)):
        return axes, None
    return with_choice(axes, choice, table, default=default), choice


def _day(values: Sequence[str]) -> date | None:
    try:
        return date.fromisoformat(next(iter(values), ""))
    except ValueError:
        return None
