"""The Sweeps page in a report: how far the sweep is, its grid, the runs of the cell that is picked, what failed."""

from __future__ import annotations

from collections.abc import Mapping

from app.comparison.frames import Frame
from app.report import GENERATED, Listed, Part, Parts, Said
from app.sweep_rows import failures, grid_table
from app.swept import newest_sweep, read_swept, workers_alive

LEFT_OUT = ["Scheme", "Dataset", "Architecture", "Launched by it", "Reason", "Code", "synthetic"]
"""Of the runs of one cell: what is the same for all of them, or said elsewhere."""


def build(params: Mapping[str, list[str]]) -> Parts:
    """The sweep of the link, else the newest one."""
    sweep = next(iter(params.get("sweep", [])), "") or newest_sweep()
    found = read_swept(sweep) if sweep else None
    if found is None:
        return [], ["The sweep of this view is not there any more." if sweep else "There is no sweep yet."]
    said = f"{found.row['sweep']}: {found.progress_text(workers_alive())}"
    parts: list[Part] = [Said(said), *([Said(found.budget_text)] if found.budget_text else [])]
    parts.append(Listed("Finished runs of each cell", grid_table(found.grid)))
    results: Frame = found.results()
    scheme, _, place = next(iter(params.get("cell", [])), "").rpartition("|")
    cell = found.grid.cells.get((scheme, place))
    if cell is not None:
        of_cell: Frame = results[results["Run"].isin(cell.runs)].drop(columns=LEFT_OUT)
        parts.append(Listed(f"{scheme} on {place}: {cell.text}", of_cell))
    parts += [Said(f"{how_many}: {reason}") for reason, how_many in failures(found.cells).items()]
    return parts, [GENERATED] if results["synthetic"].any() else []
