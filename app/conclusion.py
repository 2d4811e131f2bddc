"""What a sweep concludes: of each family of schemes the densest that stays near the baseline, place by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from app.describe import spec_texts
from engine.spec import RunSpec
from engine.sweep import Sweep
from engine.sweep_report import Family

Row = dict[str, Any]

EVERYWHERE = "everywhere"
DENSITIES = ("memory_density", "arithmetic_density", "memory_density_thesis", "arithmetic_density_thesis")


def conclude(plan: Sweep, groups: Sequence[Mapping[str, Any]], paired: Sequence[Mapping[str, Any]]) -> list[Row]:
    """One row a family and place, and one for all places: the scheme of the highest arithmetic density whose mean
    difference from the baseline is within the conclusion's bound, there or at every place.

    ``groups``, ``paired``: the store's rows. ``scheme`` is None where no scheme is near enough; ``difference`` is the
    paired one, and of all places the worst. The densities everywhere are the means over the places.
    """
    conclusion = plan.conclusion
    assert conclusion is not None
    cells = {cell.group: cell for cell in plan.cells}
    names = _places(plan)
    rows = {row["group_id"]: row for row in groups}
    found: dict[str, dict[str, Row]] = {}  # by place, by scheme
    for pair in paired:
        cell = cells[pair["a"]]
        if cells[pair["b"]].scheme != plan.baseline or pair["difference"] is None or pair["a"] not in rows:
            continue
        worse = -pair["difference"] if pair["higher_is_better"] else pair["difference"]
        about = {"difference": pair["difference"], "ci95": pair["ci95"], "n": pair["n"], "worse": worse}
        found.setdefault(names[pair["a"]], {})[cell.scheme] = {
            **about,
            "scheme": cell.scheme,
            **{name: rows[pair["a"]][name] for name in DENSITIES},
        }
    places = list(dict.fromkeys(names.values()))
    concluded: list[Row] = []
    for family in conclusion.families:
        for place in places:
            concluded.append(_row(family, place, _densest(family, found.get(place, {}), conclusion.within)))
        if len(places) > 1:
            everywhere = _everywhere([found.get(place, {}) for place in places])
            concluded.append(_row(family, EVERYWHERE, _densest(family, everywhere, conclusion.within)))
    return concluded


def place_of(cell: RunSpec) -> str:
    """Dataset, architecture and task in a few words: "cora · gcn · link-prediction"."""
    return f"{cell.dataset.name} · {cell.model.name} · {cell.task.name}"


def _places(plan: Sweep) -> dict[str, str]:
    """The name of each group's place, with settings where a scheme stands there more than once. A baseline's own
    settings are no place: others are compared with the nearest of them."""
    counts = Counter((place_of(cell), cell.scheme) for cell in plan.cells if cell.scheme != plan.baseline)
    several = {place for (place, _), n in counts.items() if n > 1}
    turns: Counter[tuple[str, str]] = Counter()
    names: dict[str, str] = {}
    for cell in plan.cells:
        place = place_of(cell)
        if place in several and cell.scheme == plan.baseline:
            continue
        if place in several:
            place = " · ".join(text for text in spec_texts(cell.to_json()) if text)
            turns[place, cell.scheme] += 1
            if (turn := turns[place, cell.scheme]) > 1:  # settings that no text tells apart
                place += f" ({turn})"
        names[cell.group] = place
    return names


def _densest(family: Family, schemes: Mapping[str, Row], within: float) -> Row | None:
    near = [row for name, row in schemes.items() if family.holds(name) and row["worse"] <= within]
    return max(near, key=lambda row: row["arithmetic_density"] or 0.0, default=None)


def _everywhere(places: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    """The schemes that every place has: the difference where it is worst, the mean densities."""
    shared = set.intersection(*(set(schemes) for schemes in places))
    found: dict[str, Row] = {}
    for name in sorted(shared):
        rows = [schemes[name] for schemes in places]
        worst = max(rows, key=lambda row: row["worse"])
        means = {
            density: fmean(row[density] for row in rows) if all(row[density] is not None for row in rows) else None
            for density in DENSITIES
        }
        found[name] = {**worst, **means}
    return found


def _row(family: Family, place: str, best: Row | None) -> Row:
    published = None
    if family.memory is not None and family.arithmetic is not None and place == EVERYWHERE:
        published = f"{family.memory:g}× memory, {family.arithmetic:g}× arithmetic, {family.source}"
    empty = dict.fromkeys(("scheme", "difference", "ci95", "n", *DENSITIES))
    kept = {name: (best or empty)[name] for name in empty}
    return {"family": family.name, "place": place, **kept, "published": published}
