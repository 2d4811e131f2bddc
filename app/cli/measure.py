"""`bitfront measure`: what a run really takes on this machine, beside its fp32 twin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from app.cli.reading import one_run, open_reader, print_json, print_table
from app.cli.recording import deliver
from app.digits import bytes_text, seconds_text
from engine.events import Measurement, RunMeasured
from engine.measure import EPOCHS, QUANTITIES, Allocator, measure_run
from engine.settings import Settings
from engine.spec import RunSpec


def measure(
    run: str,
    /,
    *,
    epochs: int = EPOCHS,
    allocator: Allocator = "inherited",
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train a run's spec again for a few epochs, and its fp32 twin, each part in a fresh process; keep what was found.

    Parameters
    ----------
    run
        The id of a run.
    epochs
        Epochs to train for.
    allocator
        Of the measuring processes: as here, glibc's tuned to keep what was freed, or jemalloc.
    json_
        Print JSON instead of a table.
    """
    settings = Settings()
    spec = RunSpec.from_json(one_run(open_reader(settings), run)["spec"])
    console = Console(stderr=True)
    with console.status("measuring") as status:
        measured = measure_run(
            spec, epochs=epochs, settings=settings, allocator=allocator, heard=lambda what: status.update(what)
        )
    deliver(run, measured, settings)
    if json_:
        print_json({"run": run, "scheme": spec.scheme, **measured.model_dump(exclude={"type"})})
        return
    print_measured(spec.scheme, measured)


def print_measured(scheme: str, measured: RunMeasured) -> None:
    """A row a quantity, and under what conditions it was measured."""
    rows = [
        [QUANTITIES[name].title, *(value_text(name, value) for value in (ours, fp32)), ratio_text(ours, fp32)]
        for name, (ours, fp32) in by_quantity(measured.rows).items()
    ]
    print_table(["measured", scheme, "fp32", "to fp32"], rows)
    Console().print(
        f"{measured.epochs} epochs a process; {measured.host}, {measured.cpu}, {measured.device}, "
        f"{measured.threads} thread{'s' * (measured.threads != 1)}, {measured.allocator}",
        style="dim",
        highlight=False,
        markup=False,
    )


def by_quantity(rows: Iterable[Measurement]) -> dict[str, tuple[float | None, float | None]]:
    """Quantity → (the run's value, its fp32 twin's), in the order of ``QUANTITIES``."""
    values = {(row.quantity, row.variant): row.value for row in rows}
    return {
        name: (values.get((name, "run")), values.get((name, "fp32")))  # pyright: ignore[reportArgumentType]
        for name in QUANTITIES
        if (name, "run") in values
    }


def value_text(quantity: str, value: float | None) -> str:
    """With the unit that reads best."""
    if value is None:
        return ""
    return bytes_text(value) if QUANTITIES[quantity].unit == "bytes" else seconds_text(value)


def ratio_text(value: float | None, fp32: float | None) -> str:
    return f"{value / fp32:.2f}×" if value is not None and fp32 else ""
