"""A sweep's results: the table of its seed groups, and the differences that its file asks for, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from app.cli.measure import ratio_text, value_text
from app.cli.reading import Reader, mean_and_std, print_table
from app.conclusion import conclude
from app.describe import spec_texts
from app.digits import number
from app.phrases import quantity, titled
from engine.ledger.figures import FIGURES
from engine.measure import QUANTITIES
from engine.spec import RunSpec
from engine.sweep import Sweep

Row = dict[str, Any]


def read_results(reader: Reader, plan: Sweep) -> tuple[list[Row], list[Row]]:
    """The store's ``groups`` and ``paired`` rows of a sweep's cells, in the file's order.

    A group has ``published`` (figures of a paper) where the file gives one; groups without any run are left out.
    """
    order = [cell.group for cell in plan.cells]
    rows = {row["group_id"]: row for row in reader.query("groups", groups=order, limit=len(order)).to_pylist()}
    groups = [rows[group] for group in order if group in rows]
    others = _others(reader, plan, order)
    for cell in plan.cells:
        if cell.group in rows:
            rows[cell.group]["published"] = _published(plan, cell, rows[cell.group], others)
    if not plan.pairs:
        return groups, []
    return groups, reader.query("paired", pairs=[f"{a}:{b}" for a, b in plan.pairs]).to_pylist()


OURS = {"best validation": "test", "last": "last", "best test": "max"}
"""The columns of ``groups`` by selection."""


def _others(reader: Reader, plan: Sweep, groups: Sequence[str]) -> dict[tuple[str, str], float | None]:
    """By group and name: the means of other metrics and of ledger figures, where the file has a paper's beside them."""
    found: dict[tuple[str, str], float | None] = {}
    for query, wanted in (
        ("group_also", any(figure.also for figure in plan.published)),
        ("group_figures", any(figure.figure for figure in plan.published)),
    ):
        for row in reader.query(query, groups=list(groups)).to_pylist() if wanted else ():
            found[row["group_id"], row["name"]] = row["value"]
    return found


def _published(plan: Sweep, cell: RunSpec, row: Row, others: Mapping[tuple[str, str], float | None]) -> list[Row]:
    place = (cell.dataset.name, cell.model.name, cell.scheme)
    found: list[Row] = []
    for figure in plan.published:
        if (figure.dataset, figure.model, figure.scheme) != place or figure.metric is not None:
            continue
        name = figure.also or figure.figure
        found.append(
            {
                "value": figure.value,
                "std": figure.std,
                "source": figure.source,
                "selection": figure.selection,
                "of": figure.also or (FIGURES[figure.figure].title if figure.figure else None),
                "unit": FIGURES[figure.figure].unit if figure.figure else None,
                "ours": others.get((cell.group, name)) if name else row[f"{OURS[figure.selection]}_mean"],
            }
        )
    return found


def read_measured(reader: Reader, plan: Sweep, groups: Sequence[Row]) -> list[Row]:
    """What was measured of a sweep's groups, in the file's order: {quantity: {run, fp32, published}} of each."""
    if not plan.measure or not groups:
        return []
    ids = [row["group_id"] for row in groups]
    values: dict[str, dict[str, Row]] = {group: {} for group in ids}
    for row in reader.query("group_measurements", groups=ids).to_pylist():
        values[row["group_id"]].setdefault(row["quantity"], {})[row["variant"]] = row["value"]
    cells = {cell.group: cell for cell in plan.cells}
    found: list[Row] = []
    for group in ids:
        cell = cells[group]
        for figure in plan.published:
            place = (figure.dataset, figure.model, figure.scheme)
            if figure.metric in values[group] and place == (cell.dataset.name, cell.model.name, cell.scheme):
                values[group][figure.metric]["published"] = {"value": figure.value, "source": figure.source}
        quantities = {name: values[group][name] for name in QUANTITIES if name in values[group]}
        found.append({"group_id": group, "quantities": quantities})
    return found


def read_curves(reader: Reader, plan: Sweep, groups: Sequence[Row]) -> dict[str, list[Row]]:
    """The store's ``group_curves`` rows of a sweep's groups, by quantity, for the quantities that its file asks for."""
    members = [f"{row['group_id']}:{run}" for row in groups for run in row["runs"]]
    if not members:
        return {}
    return {name: reader.query("group_curves", members=members, quantity=name).to_pylist() for name in plan.curves}


def print_results(
    plan: Sweep,
    groups: Sequence[Row],
    paired: Sequence[Row],
    measured: Sequence[Row] = (),
    curves: Mapping[str, Sequence[Row]] | None = None,
) -> None:
    """All tables for people; a column of published figures only where the file has any."""
    names = _names(groups)
    print_groups(groups, names)
    missing = len(plan.cells) - sum(row["n"] > 0 for row in groups)
    console = Console()
    if missing:
        console.print(f"{missing} of {len(plan.cells)} groups have no finished run yet.", highlight=False)
    if paired:
        console.print("\nPaired by seed: the first scheme minus the second", style="bold", highlight=False)
        cells = {cell.group: cell for cell in plan.cells}
        print_paired(paired, cells)
    if plan.conclusion is not None:
        said = f"\nThe densest of each family within {plan.conclusion.within:g} of {plan.baseline}"
        console.print(said, style="bold", highlight=False)
        print_conclusions(conclude(plan, groups, paired))
    for column, rows in (curves or {}).items():
        title = column.replace("val_", "validation_").replace("_", " ").capitalize()
        console.print(f"\n{title} by epoch, mean over runs", style="bold", highlight=False)
        print_curves(rows, names, {row["group_id"]: row["scheme"] for row in groups})
    if any(row["quantities"] for row in measured):
        console.print("\nMeasured, each in a fresh process; in brackets: to fp32", style="bold", highlight=False)
        schemes = {row["group_id"]: row["scheme"] for row in groups}
        print_measured(measured, names, schemes)
    for caveat in dict.fromkeys(row["caveat"] for row in groups if row["caveat"]):
        console.print(caveat, style="dim", highlight=False, markup=False)


def print_conclusions(rows: Sequence[Row]) -> None:
    """One row a family and place, and one for all places together."""
    titles = ["family", "place", "scheme", "difference", "95 % interval", "n", "memory", "arithmetic", "thesis mean"]
    with_papers = any(row["published"] for row in rows)
    print_table([*titles, *(["published"] if with_papers else [])], [_conclusion_row(row, with_papers) for row in rows])


def _conclusion_row(row: Row, with_papers: bool) -> list[str]:
    mean, half = row["difference"], row["ci95"]
    interval = "" if mean is None or half is None else f"{mean - half:+z.2f} … {mean + half:+z.2f}"
    thesis = [_times(row[name]) for name in ("memory_density_thesis", "arithmetic_density_thesis")]
    return [
        row["family"],
        row["place"],
        row["scheme"] or "none is near enough",
        "" if mean is None else f"{mean:+z.2f}",
        interval,
        str(row["n"] or ""),
        _times(row["memory_density"]),
        _times(row["arithmetic_density"]),
        " / ".join(text for text in thesis if text),
        *([row["published"] or ""] if with_papers else []),
    ]


CURVE_POINTS = 10
"""Epochs at which a curve is printed: evenly spaced, the last among them."""


def print_curves(rows: Sequence[Row], names: Mapping[str, tuple[str, str]], schemes: Mapping[str, str]) -> None:
    """One row a group, a column an epoch."""
    last = max((row["epoch"] for row in rows), default=0)
    epochs = (
        sorted({max(1, round(last * place / CURVE_POINTS)) for place in range(1, CURVE_POINTS + 1)}) if last else []
    )
    values = {(row["group_id"], row["epoch"]): row["mean"] for row in rows}
    titles = ["dataset", "model", "scheme", *map(str, epochs)]
    lines = [
        [*names[group], schemes[group], *(_loss(values.get((group, epoch))) for epoch in epochs)]
        for group in dict.fromkeys(row["group_id"] for row in rows)
    ]
    print_table(titles, lines)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def print_groups(groups: Sequence[Row], names: Mapping[str, tuple[str, str]] | None = None) -> None:
    """One row a group of seeds: mean ± sample std, 95 % interval of the mean, bits and densities with their scope."""
    names = names or _names(groups)
    metric = _metric(groups)
    titles = [
        *("dataset", "model", "scheme", "n", f"test {metric} at best val", "95 %", f"test {metric} last"),
        *("bits", "memory", "arithmetic", "bits and densities of"),
    ]
    with_papers = any(row.get("published") for row in groups)
    rows = [[*_group_row(row, names), *([_papers(row)] if with_papers else [])] for row in groups]
    print_table([*titles, *(["published"] if with_papers else [])], rows, keys=3)


def _group_row(row: Row, names: Mapping[str, tuple[str, str]]) -> list[str]:
    dataset, model = names[row["group_id"]]
    return [
        dataset + (" (synthetic)" if row["synthetic"] else ""),
        model,
        row["scheme"],
        str(row["n"]) + (f" ({row['failed']} failed)" if row["failed"] else ""),
        mean_and_std(row["test_mean"], row["test_std"], row["unit"]),
        "" if row["test_ci95"] is None else f"± {number(row['test_ci95'], row['unit'])}",
        mean_and_std(row["last_mean"], row["last_std"], row["unit"]),
        "" if row["average_bits"] is None else f"{row['average_bits']:.2f}",
        _times(row["memory_density"]),
        _times(row["arithmetic_density"]),
        f"{row['density_scope']}, {row['density_coverage']}" if row["density_scope"] else "",
    ]


def print_measured(measured: Sequence[Row], names: Mapping[str, tuple[str, str]], schemes: Mapping[str, str]) -> None:
    """One row a group, a column a quantity; published figures stand after ours."""
    shown = [name for name in QUANTITIES if any(name in row["quantities"] for row in measured)]
    papers = [name for name in shown if any("published" in row["quantities"].get(name, {}) for row in measured)]
    titles = ["dataset", "model", "scheme", *(QUANTITIES[name].title for name in shown)]
    rows: list[list[str]] = []
    for row in measured:
        found = row["quantities"]
        cells = [_measured(name, found[name]) if name in found else "" for name in shown]
        published = [_published_measure(name, found.get(name, {})) for name in papers]
        rows.append([*names[row["group_id"]], schemes[row["group_id"]], *cells, *published])
    print_table([*titles, *(f"published: {QUANTITIES[name].title.lower()}" for name in papers)], rows)


def _measured(quantity: str, values: Row) -> str:
    value, fp32 = values.get("run"), values.get("fp32")
    ratio = ratio_text(value, fp32)
    return value_text(quantity, value) + (f" ({ratio})" if ratio else "")


def _published_measure(quantity: str, values: Row) -> str:
    figure = values.get("published")
    return "" if figure is None else f"{value_text(quantity, figure['value'])}, {figure['source']}"


def print_paired(paired: Sequence[Row], cells: Mapping[str, RunSpec]) -> None:
    """One row a pair: mean difference over the common seeds and folds, its sample std and 95 % interval."""
    titles = ["dataset", "model", "schemes", "n", f"difference of {_metric(paired)}", "95 % interval"]
    print_table(titles, [_paired_row(row, cells) for row in paired])


def _paired_row(row: Row, cells: Mapping[str, RunSpec]) -> list[str]:
    a, b = cells[row["a"]], cells[row["b"]]
    mean, half = row["difference"], row["ci95"]

    def signed(value: float) -> str:
        return number(value, row["unit"], "+")

    return [
        a.dataset.name,
        a.model.name,
        f"{a.scheme} − {b.scheme}",
        str(row["n"]),
        "" if mean is None else signed(mean) + ("" if row["std"] is None else f" ± {number(row['std'], row['unit'])}"),
        "" if half is None else f"{signed(mean - half)} … {signed(mean + half)}",
    ]


def _metric(rows: Sequence[Row]) -> str:
    """The metric of all rows with its unit; "metric" where they have several."""
    found = list(dict.fromkeys(titled(row["metric"], row["unit"]) for row in rows if row["metric"]))
    return found[0] if len(found) == 1 else "metric"


def _names(groups: Sequence[Row]) -> dict[str, tuple[str, str]]:
    """Dataset and model of each group: their names alone, or with options and settings where names do not tell."""
    found: dict[str, tuple[str, str]] = {}
    for row in groups:
        same = [other for other in groups if all(other[key] == row[key] for key in ("dataset", "model", "scheme"))]
        dataset, model = row["dataset"], row["model"]
        if len(same) > 1:
            dataset, model, settings = spec_texts(row["spec"])
            model += f", {settings}" if settings else ""
        found[row["group_id"]] = dataset, model
    return found


def _papers(row: Row) -> str:
    return "; ".join(
        f"{_paper_value(figure, figure['value'], figure['std'])}, {figure['source']}"
        f" ({figure['of'] or figure['selection']}: ours {_paper_value(figure, figure['ours'], None)})"
        for figure in row["published"]
    )


def _paper_value(figure: Row, value: float | None, std: float | None) -> str:
    if value is None:
        return "–"
    return quantity(value, figure["unit"]) if figure["unit"] else mean_and_std(value, std)


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}×"
