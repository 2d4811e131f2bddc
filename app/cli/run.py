"""`bitfront run`: train in this process, with a progress bar or as one JSON object."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from app.cli.models import copy_model, keep_model, model_files
from app.cli.reading import mean_and_std
from app.cli.recording import Recorder, find_store, outbox_file
from app.cli.resuming import Kept
from app.cli.settings_option import parse_settings
from app.cli.time_left import TimeLeft, TimeLeftColumn
from app.digits import number
from engine.datasets import DATASETS
from engine.datasets.archives import label, notes
from engine.datasets.progress import Report, reporting
from engine.errors import BitfrontError, InputError
from engine.events import Body, EpochFinished, History, RunCancelled, RunFailed, RunFinished, RunStarted, Summary
from engine.settings import Settings
from engine.spec import RunSpec
from engine.sweep import in_folds, with_settings


def run(
    *,
    dataset: str = "cora",
    task: str | None = None,
    model: str = "gcn",
    scheme: str = "fp32",
    seeds: str = "1",
    folds: int | None = None,
    epochs: int | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    save: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train here, now: no server is needed.

    Parameters
    ----------
    dataset
        A dataset's name, with options if need be: sbm(nodes=500).
    task
        What is learned of the dataset, with options if need be: link-prediction(test=0.2). Left out: its first task.
    model
        An architecture, with options if need be: gcn(layers=3,hidden=32).
    scheme
        A quantization scheme: fp32, int8, msfp13, int8:weight,input.
    seeds
        A number of seeds (3 means 0, 1, 2), a list of them (0,4,7), or one of them (7,).
    folds
        Train on every fold of a cross-validation of so many, each with every seed; all are one group.
    epochs
        The same as --set training.epochs=N.
    set_
        Any other setting, as often as need be: --set training.lr=0.02 --set model.layers=3.
    resume
        Keep a checkpoint while training. The same command later skips the runs that have ended and goes on with
        the rest where they were left.
    save
        Where the best epoch's model goes, quantized and packed: a file, model.safetensors, or with several runs a
        folder. A readable manifest is written beside each.
    json_
        Print one JSON object on standard output and nothing else.
    """
    settings = Settings()
    data: dict[str, Any] = {"dataset": dataset, "model": model, "scheme": scheme}
    if task is not None:
        data["task"] = task
    overrides = parse_settings(set_ or [])
    if "seed" in overrides:
        raise InputError("--set seed is not allowed: name the seeds by --seeds")
    if epochs is not None:
        overrides["training.epochs"] = epochs
    data = with_settings(data, overrides)
    cells = [data] if folds is None else in_folds(data, folds)
    specs = [RunSpec.parse({**cell, "seed": seed}) for seed in parse_seeds(seeds) for cell in cells]
    targets = None if save is None else model_files(save, specs)

    console = Console(stderr=True)
    client = find_store(settings, lambda why: console.print(f"The store takes nothing: {why}.", markup=False))
    results = []
    with _progress(console, quiet=json_) as progress:
        for spec in specs:
            kept = Kept(spec, settings) if resume else None
            results.append((kept and kept.result()) or _train(spec, settings, client, progress, kept))
    name = specs[0].dataset.name
    report = describe(specs, results) | {"dataset_label": label(name, settings), "caveat": notes(name, settings)}
    if json_:
        print(json.dumps(report))
    else:
        Console().print(_table(report))
        if report["caveat"]:
            Console().print(report["caveat"], style="dim", highlight=False, markup=False)
        kept = sum(outbox_file(settings, name).exists() for name, _ in results)
        for count, place in (
            (len(results) - kept, "sent to the store"),
            (kept, f"kept in {settings.outbox} for the store's next start"),
        ):
            if count:
                console.print(f"{count} run{'s' if count > 1 else ''} {place}.", style="dim", highlight=False)
    # After the report: a place that cannot be written costs the copies alone.
    if targets is not None:
        for (name, _), target in zip(results, targets, strict=True):
            copy_model(settings.artifacts / name, target)


def parse_seeds(text: str) -> list[int]:
    """``3`` → [0, 1, 2]; ``0,4,7`` → [0, 4, 7]; ``7,`` → [7]. Raises InputError."""
    try:
        numbers = [int(part) for part in text.removesuffix(",").split(",")]
    except ValueError:
        raise InputError(
            f"--seeds {text!r} is not allowed: give a number of seeds (3), a list (0,4,7) or one seed (7,)"
        ) from None
    if "," not in text:
        if not 1 <= numbers[0] <= 10_000:
            raise InputError(f"--seeds {text} is not allowed: a number of seeds goes from 1 to 10000")
        return list(range(numbers[0]))
    if len(set(numbers)) != len(numbers):
        raise InputError(f"--seeds {text} names a seed twice")
    return numbers


@contextmanager
def _progress(console: Console, *, quiet: bool) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DoneColumn(),
        TimeLeftColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        yield progress


def _train(
    spec: RunSpec, settings: Settings, client: Any, progress: Progress, kept: Kept | None
) -> tuple[str, Summary]:
    from engine.training import Training

    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.home / "cache" / "numba"))
    fold = "" if spec.fold is None else f" fold {spec.fold}"
    left = TimeLeft(spec.training.epochs)
    title = f"{spec.scheme} seed {spec.seed}{fold}"
    task = progress.add_task(escape(title), total=spec.training.epochs, note="", left=left)
    rows: list[EpochFinished] = []
    fetching = Fetching(progress, left)
    training = Training(spec, settings, resume=kept and kept.checkpoint(), stepped=left.step)
    unit = ""
    recorder = Recorder(spec, settings, client)  # from here on it is a run, which ends in a word on how
    try:
        for event in _reporting(training, fetching.show):
            if isinstance(event, RunFinished):
                for saved in keep_model(training, settings.artifacts / recorder.run / "1", progress.console):
                    recorder.record(saved)
            recorder.record(event)
            if isinstance(event, EpochFinished):
                rows.append(event)
                left.epoch(event.seconds or 0.0)
                value = event.val_metric
                progress.update(task, advance=1, note="" if value is None else f"val {number(value, unit)}")
                if kept:
                    kept.save(training)
            elif isinstance(event, RunStarted):
                unit = event.provenance["unit"]
                left.epochs = event.total_epochs
                left.begin()
                fetching.end()
                progress.update(task, total=event.total_epochs)
            elif isinstance(event, RunFinished):
                if kept:
                    kept.finish(recorder.run, event.summary)
                return recorder.run, event.summary
    except BitfrontError as error:
        recorder.record(RunFailed(reason=str(error), history=History.of(rows)))
        raise
    except KeyboardInterrupt:
        if kept:
            kept.save(training, now=True)
        recorder.record(RunCancelled(history=History.of(rows)))
        raise
    except Exception as error:
        reason = f"internal error: {type(error).__name__}: {error}"
        recorder.record(RunFailed(reason=reason, history=History.of(rows)))
        raise
    finally:
        recorder.close()
    raise AssertionError("the training loop ends with RunFinished or raises")


def _reporting(training: Iterable[Body], fetching: Report) -> Iterator[Body]:
    """The events, with ``fetching`` told of downloads."""
    with reporting(fetching):
        yield from training


class Fetching:
    """The line of a dataset that is being fetched, above the run's."""

    def __init__(self, progress: Progress, left: TimeLeft) -> None:
        self.progress, self.left = progress, left
        self.what, self.task = "", None

    def show(self, what: str, done: int, total: int | None) -> None:
        """A report of engine.datasets.progress."""
        if what != self.what:
            self.end()
            self.what = what
            self.task = self.progress.add_task(what, total=total, note="", left=self.left, fetching=True)
        if self.task is not None:
            self.progress.update(self.task, completed=done)

    def end(self) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.what, self.task = "", None


class DoneColumn(ProgressColumn):
    """Epochs done, or megabytes while the dataset is being fetched."""

    def render(self, task: Task) -> Text:
        if not task.fields.get("fetching"):
            return Text(f"{task.completed:.0f}/{task.total:.0f} epochs" if task.total else "")
        total = f" of about {task.total / 1e6:,.4g}" if task.total else ""
        return Text(f"{task.completed / 1e6:,.4g}{total} MB")


def describe(specs: Sequence[RunSpec], results: Sequence[tuple[str, Summary]]) -> dict[str, Any]:
    """The JSON object of `--json`: metrics in the task's unit, mean ± sample std over the seeds."""
    summaries = [summary for _, summary in results]
    first, headline = specs[0], summaries[0].densities[0]
    return {
        "dataset": first.dataset.name,
        "synthetic": DATASETS[first.dataset.name].synthetic,
        "task": first.task.name,
        "model": first.model.name,
        "scheme": first.scheme,
        "seeds": list(dict.fromkeys(spec.seed for spec in specs)),
        "folds": list(dict.fromkeys(spec.fold for spec in specs if spec.fold is not None)),
        "metric": summaries[0].metric,
        "unit": summaries[0].unit,
        "higher_is_better": summaries[0].higher_is_better,
        "test": spread([summary.test_at_best_val for summary in summaries]),
        "test_last": spread([summary.test_last for summary in summaries]),
        "test_max": spread([summary.test_max for summary in summaries]),
        "also": {name: spread([summary.also.get(name) for summary in summaries]) for name in summaries[0].also},
        "average_bits": headline.average_bits,
        "memory_density": headline.memory,
        "arithmetic_density": headline.arithmetic,
        "memory_density_thesis": headline.memory_thesis,
        "arithmetic_density_thesis": headline.arithmetic_thesis,
        "peak_memory_density": headline.peak_memory_density,
        "arithmetic_density_is": headline.arithmetic_label,
        "density_scope": headline.scope,
        "density_coverage": headline.coverage,
        "seconds": sum(summary.seconds for summary in summaries),
        "runs": [
            {"run": name, "seed": spec.seed, "fold": spec.fold, "group": spec.group, **summary.model_dump(mode="json")}
            for spec, (name, summary) in zip(specs, results, strict=True)
        ],
    }


def spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and sample standard deviation of what is known (None for nothing, no deviation for a single value)."""
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.stdev(known) if len(known) > 1 else None,
    }


def _thesis_means(report: dict[str, Any], scope: str) -> dict[str, str]:
    """The thesis' means, where the formats changed in training."""
    names = {"memory": "memory_density", "arithmetic": "arithmetic_density"}
    means = {title: (report[name], report[f"{name}_thesis"]) for title, name in names.items()}
    if all(thesis is None or math.isclose(thesis, mean, rel_tol=1e-6) for mean, thesis in means.values()):
        return {}
    return {f"{title} density, thesis mean ({scope})": f"{thesis:.2f}×" for title, (_, thesis) in means.items()}


def _table(report: dict[str, Any]) -> Table:
    scope = f"{report['density_scope']}, {report['density_coverage']}"
    unit = report["unit"]
    folds = f", folds {', '.join(map(str, report['folds']))}" if report["folds"] else ""
    rows = {
        "run": f"{report['dataset_label']} × {report['model']} × {report['scheme']}, {report['task']}, "
        f"seeds {', '.join(map(str, report['seeds']))}{folds}",
        f"test {report['metric']} at best validation": f"{mean_and_std(**report['test'], unit=unit)} {unit}",
        f"test {report['metric']} at the last epoch": f"{mean_and_std(**report['test_last'], unit=unit)} {unit}",
        **{f"test {name} at best validation": mean_and_std(**value) for name, value in report["also"].items()},
        f"memory density, harmonic mean ({scope})": f"{report['memory_density']:.2f}×",
        f"arithmetic density, harmonic mean ({scope})": f"{report['arithmetic_density']:.2f}×, "
        f"{report['arithmetic_density_is']}",
        **_thesis_means(report, scope),
        "average bits": f"{report['average_bits']:.2f}",
        "training time": f"{report['seconds']:.1f} s",
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for title, value in rows.items():
        table.add_row(title, escape(value))
    return table
