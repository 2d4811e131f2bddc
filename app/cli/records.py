"""`bitfront export`, `rebuild`, `backup`, `restore`: the histories as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from app.cli.reading import open_reader
from engine.artifacts import MANIFEST, MODEL, SUFFIX, left_by
from engine.errors import InputError
from engine.settings import Settings


def export(
    run: str | None = None,
    /,
    *,
    format: Literal["csv", "parquet", "json"] = "csv",
    table: Literal["runs", "groups", "epochs", "precision", "diagnostics", "figures", "measurements"] = "runs",
    output: Path | None = None,
    vectors: Path | None = None,
    recipes: bool = False,
) -> None:
    """Write every run (or what else `--table` names) to a file or to standard output.

    memory_density and arithmetic_density are work-weighted harmonic means, memory_density_thesis and
    arithmetic_density_thesis the thesis' time-weighted arithmetic ones.

    With --vectors: one run's golden vectors instead, to test hardware against: each layer's input codes, weight codes,
    accumulators and output codes as integer .npy files, and a manifest.json.

    Parameters
    ----------
    run
        The id of a run that was trained here, or the file of a saved model; with --vectors only.
    format
        csv, parquet or json.
    table
        What to export: one row a run, a group of seeds, an epoch, a format that a site of a layer had from an epoch
        on, a tensor that was diagnosed in an epoch, a figure of a run's cost ledger with its definition, or a quantity
        that was measured of a run or its fp32 twin.
    output
        The file to write; standard output without it.
    vectors
        The new folder to write a run's vectors to.
    recipes
        Run the recipe file that the run's scheme comes from: with --vectors, if you trust it.
    """
    if vectors is not None or run is not None:
        write_run_vectors(run, vectors, recipes=recipes)
        return
    from store.export import export as write

    reader = open_reader(Settings())
    if table in ("epochs", "precision", "diagnostics", "figures", "measurements"):
        runs = reader.query("runs", limit=1_000_000)["run"].to_pylist()
        whole = {"epochs": "all"} if table == "diagnostics" else {}
        found = reader.query(table, runs=",".join(runs), **whole)
        if table == "figures":
            found = with_definitions(found)
    else:
        found = reader.query(table, limit=1_000_000)
    if output is None:
        if format == "parquet" and sys.stdout.isatty():
            raise InputError("parquet is binary: name a file with --output")
        write(found, format, sys.stdout.buffer)
        return
    try:
        with output.open("wb") as stream:
            write(found, format, stream)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from None
    Console(stderr=True).print(f"{found.num_rows} rows written to {output}", highlight=False)


def with_definitions(figures: Any) -> Any:
    """The store's ``figures`` [run, name, value] with what each name means; one that is unknown here stays without."""
    import pyarrow as pa

    from engine.ledger.figures import FIGURES

    known = [FIGURES.get(name) for name in figures["name"].to_pylist()]
    for column in ("title", "unit", "scope", "coverage", "definition", "source"):
        values = [None if figure is None else getattr(figure, column) for figure in known]
        figures = figures.append_column(column, pa.array(values, pa.string()))
    return figures


def write_run_vectors(run: str | None, folder: Path | None, *, recipes: bool = False) -> None:
    """The golden vectors of a run's model. Raises InputError where either is not named, or the run has no model.

    ``recipes``: as in ``engine.load``.
    """
    if run is None:
        raise InputError("--vectors takes a run: bitfront export RUN --vectors DIR")
    if folder is None:
        raise InputError(f"what of {run} is to be exported? Its golden vectors: bitfront export {run} --vectors DIR")
    from engine.artifacts.loading import load
    from engine.artifacts.vectors import write_vectors

    settings, folder = Settings(), folder.expanduser()
    path = Path(run)
    if path.suffix != SUFFIX:
        path = left_by(settings.artifacts / run)
        if not path.exists() and not fetch_model(run, settings):
            raise InputError(
                f"there is no model of the run {run!r} in {settings.artifacts}: only runs that have finished leave one"
            )
        path = left_by(settings.artifacts / run)
    try:
        exported = load(path, recipes=recipes, settings=settings)
    except InputError as error:
        # What the engine calls recipes=True has another name here.
        raise InputError(str(error).replace("load with recipes=True", "add --recipes")) from None
    written = write_vectors(exported, folder)
    files = sum(1 for _ in folder.iterdir()) - 1
    Console(stderr=True).print(f"{files} arrays written, described by {written}", highlight=False)


def fetch_model(run: str, settings: Settings) -> bool:
    """Copy a run's model from a store on another machine; whether there is one."""
    from store.client import StoreUnavailable, connect

    try:
        store = connect(settings)
    except StoreUnavailable:
        return False
    with store:
        left = {file["name"]: file["attempt"] for file in reversed(store.artifacts(run))}
        if not {MODEL, MANIFEST} <= left.keys():
            return False
        folder = settings.artifacts / run / str(left[MODEL])
        folder.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, MODEL):
            store.get_artifact(run, left[MODEL], name, folder / name)
    return True


def rebuild() -> None:
    """Make the database anew from the record files of the runs that are over (with no store running)."""
    from store.rebuild import rebuild as make

    count = make(Settings())
    Console().print(f"{count} runs rebuilt from their records", highlight=False)


def backup(target: Path, /) -> None:
    """Copy the database, consistent also while everything runs.

    Parameters
    ----------
    target
        The file to write.
    """
    from store.backup import backup as write

    written = write(Settings(), target)
    Console().print(f"backed up to {written}", highlight=False)


def restore(source: Path, /) -> None:
    """Put a backup back (with no store running); what was there is kept beside it.

    Parameters
    ----------
    source
        A file that `bitfront backup` wrote.
    """
    from store.backup import restore as read

    read(Settings(), source)
    Console().print(f"restored from {source}", highlight=False)
