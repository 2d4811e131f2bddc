"""`bitfront versus`: what guided search found beside random search, with the same budgets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from app.cli.reading import open_reader, print_json, print_table
from app.digits import number
from app.search_pairs import Pair, advantage, pairs
from app.search_rows import told
from engine.errors import InputError
from engine.settings import Settings

Name = Literal["guided", "random", "nsga2"]


def versus(
    one: Name = "guided",
    other: Name = "random",
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Set searches beside each other that differ in the algorithm only: same row, space, goal, budget and seed.

    Shown is the best that each found within its goal, by validation: the metric where a cost is given, the saving
    where a drop is; then the mean of the differences over all pairs, of all rows and seeds, with its 95 % interval.

    Parameters
    ----------
    one
        The algorithm that is looked at.
    other
        What it is compared with.
    json_
        Print JSON instead of a table.
    """
    if one == other:
        raise InputError(f"{one} and {other} are the same algorithm: name two of guided, random, nsga2")
    reader = open_reader(Settings())
    searches = []
    for row in reader.query("searches").to_pylist():
        first = reader.query("run", run=f"{row['search']}-0").to_pylist()
        trials = reader.query("trials", search=row["search"]).to_pylist()
        searches.append((row, told(row, trials, first[0]["provenance"] if first else None)))
    found = pairs(searches, one, other)
    if not found:
        raise InputError(
            f"there are no two searches that differ in {one} and {other} only: launch the same file twice, with "
            f"`bitfront search FILE --algorithm {one}` and with `--algorithm {other}`"
        )
    whole = advantage(found)
    if json_:
        rows = [{**asdict(pair), "difference": pair.difference} for pair in found]
        print_json({"pairs": rows, "advantage": None if whole is None else asdict(whole)})
        return
    print_table(
        ["row", "seed", "measured", "same start", f"{one}, best", f"{other}, best", "difference"],
        [_cells(pair) for pair in found],
    )
    if whole is None:
        return
    unit = found[0].unit
    spread = f" ± {number(whole.ci95, unit)} (95 %)" if whole.ci95 is not None else ""
    over = f"mean over n = {whole.n} pairs of {len({pair.row for pair in found})} rows"
    text = f"{one} − {other}: {number(whole.mean, unit, '+')}{spread} {unit}, {over}"
    left = len(found) - whole.n
    more = f"; in {left} more, one of the two found nothing within the goal" if left else ""
    Console().print(text + more, highlight=False, soft_wrap=True)


def _cells(pair: Pair) -> list[str]:
    values = [
        "none" if value is None else number(value, pair.unit, sign)
        for value, sign in ((pair.one, ""), (pair.other, ""), (pair.difference, "+"))
    ]
    return [pair.row, str(pair.seed), str(pair.measured), "yes" if pair.same_start else "no", *values]
