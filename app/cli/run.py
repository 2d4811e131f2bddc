"""`bitfront run`: train in this process, with a progress bar or as one JSON object."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.reading import mean_and_std
from app.cli.recording import Recorder, find_store
from app.cli.settings_option import parse_settings
from engine.errors import BitfrontError, InputError
from engine.events import EpochFinished, History, RunCancelled, RunFailed, RunFinished, Summary
from engine.settings import Settings
from engine.spec import RunSpec
from engine.sweep import with_settings


def run(
    *,
    dataset: str = "cora",
    model: str = "gcn",
    scheme: str = "fp32",
    seeds: str = "1",
    epochs: int | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train here, now: no server is needed.

    Parameters
    ----------
    dataset
        A dataset's name, with options if need be: sbm(nodes=500).
    model
        An architecture, with options if need be: gcn(layers=3,hidden=32).
    scheme
        A quantization scheme: fp32, int8, msfp13, int8:weight,input.
    seeds
        A number of seeds (3 means 0, 1, 2), a list of them (0,4,7), or one of them (7,).
    epochs
        The same as --set training.epochs=N.
    set_
        Any other setting, as often as need be: --set training.lr=0.02 --set model.layers=3.
    json_
        Print one JSON object on standard output and nothing else.
    """
    settings = Settings()
    data: dict[str, Any] = {"dataset": dataset, "model": model, "scheme": scheme}
    overrides = parse_settings(set_ or [])
    if "seed" in overrides:
        raise InputError("--set seed is not allowed: name the seeds by --seeds")
    if epochs is not None:
        overrides["training.epochs"] = epochs
    data = with_settings(data, overrides)
    specs = [RunSpec.parse({**data, "seed": seed}) for seed in parse_seeds(seeds)]

    console = Console(stderr=True)
    client = find_store(settings)
    results = []
    with _progress(console, quiet=json_) as progress:
        for spec in specs:
            results.append(_train(spec, Recorder(spec, settings, client), settings, progress))
    report = describe(specs, results)
    if json_:
        print(json.dumps(report))
    else:
        Console().print(_table(report))
        place = "sent to the store" if client else f"kept in {settings.outbox} for the store's next start"
        console.print(f"{len(results)} run{'s' if len(results) > 1 else ''} {place}.", style="dim", highlight=False)


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
        TextColumn("{task.completed}/{task.total} epochs"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        yield progress


def _train(spec: RunSpec, recorder: Recorder, settings: Settings, progress: Progress) -> tuple[str, Summary]:
    import engine

    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.home / "cache" / "numba"))
    task = progress.add_task(f"{spec.scheme} seed {spec.seed}", total=spec.training.epochs, note="")
    rows: list[EpochFinished] = []
    try:
        for event in engine.train(spec, settings):
            recorder.record(event)
            if isinstance(event, EpochFinished):
                rows.append(event)
                progress.update(task, advance=1, note=f"val {event.val_metric:.1f}" if event.val_metric else "")
            elif isinstance(event, RunFinished):
                return recorder.run, event.summary
    except BitfrontError as error:
        recorder.record(RunFailed(reason=str(error), history=History.of(rows)))
        raise
    except KeyboardInterrupt:
        recorder.record(RunCancelled(history=History.of(rows)))
        raise
    except Exception as error:
        reason = f"internal error: {type(error).__name__}: {error}"
        recorder.record(RunFailed(reason=reason, history=History.of(rows)))
        raise
    finally:
        recorder.close()
    raise AssertionError("the training loop ends with RunFinished or raises")


def describe(specs: Sequence[RunSpec], results: Sequence[tuple[str, Summary]]) -> dict[str, Any]:
    """The JSON object of `--json`: metrics in the task's unit, mean ± sample std over the seeds."""
    summaries = [summary for _, summary in results]
    first, headline = specs[0], summaries[0].densities[0]
    return {
        "dataset": first.dataset.name,
        "model": first.model.name,
        "scheme": first.scheme,
        "seeds": [spec.seed for spec in specs],
        "metric": summaries[0].metric,
        "unit": summaries[0].unit,
        "test": spread([summary.test_at_best_val for summary in summaries]),
        "test_last": spread([summary.test_last for summary in summaries]),
        "test_max": spread([summary.test_max for summary in summaries]),
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
            {"run": name, "seed": spec.seed, "group": spec.group, **summary.model_dump(mode="json")}
            for spec, (name, summary) in zip(specs, results, strict=True)
        ],
    }


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation (None for a single value)."""
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}


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
    rows = {
        "run": f"{report['dataset']} × {report['model']} × {report['scheme']}, "
        f"seeds {', '.join(map(str, report['seeds']))}",
        f"test {report['metric']} at best validation": f"{mean_and_std(**report['test'])} {unit}",
        f"test {report['metric']} at the last epoch": f"{mean_and_std(**report['test_last'])} {unit}",
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
        table.add_row(title, value)
    return table
