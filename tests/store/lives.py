"""Runs' lives as events, for the store's tests: short, and with numbers that are easy to check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from engine.events import (
    ArtifactSaved,
    Body,
    Densities,
    DiagnosticRow,
    DiagnosticsRecorded,
    Envelope,
    EpochFinished,
    FormatChange,
    History,
    LedgerRecorded,
    LedgerRow,
    Measurement,
    PrecisionChanged,
    RunFailed,
    RunFinished,
    RunMeasured,
    RunQueued,
    RunStarted,
    Summary,
    SweepCell,
    SweepLaunched,
    WorkerHeartbeat,
)
from engine.settings import Settings
from engine.spec import RunSpec
from store.database import open_for_writing
from store.ingest import Received, apply_batch

BEGAN = 1_780_000_000.0
"""Unix time of the tests' first event."""


def spec(**changes: Any) -> dict[str, Any]:
    """A whole RunSpec as JSON."""
    return RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": "int8"} | changes).model_dump(mode="json")


def event(run: str, attempt: int, seq: int, body: Body, at: float | None = None) -> Envelope:
    """An event whose time follows from its numbers."""
    return Envelope(run=run, attempt=attempt, seq=seq, at=BEGAN + 100 * attempt + seq if at is None else at, body=body)


def queued(run: str, at: float = BEGAN, sweep: str | None = None, priority: int = 5, **changes: Any) -> Envelope:
    return event(run, 0, 0, RunQueued(spec=spec(**changes), sweep=sweep, priority=priority), at)


def launched(
    sweep: str,
    runs: Sequence[tuple[str | None, bool]],
    at: float = BEGAN,
    hours: float | None = None,
    **changes: Any,
) -> Envelope:
    """A sweep of so many seeds: the run of each, and whether the sweep launched it."""
    cells = []
    for seed, (run, own) in enumerate(runs):
        found = RunSpec.parse(spec(seed=seed, **changes))
        cells.append(
            SweepCell(
                group=found.group,
                dataset=found.dataset.name,
                model=found.model.name,
                scheme=found.scheme,
                seed=seed,
                hash=found.hash,
                run=run,
                own=own,
            )
        )
    body = SweepLaunched(sweep=sweep, name=sweep, table={"spec": {}}, cells=cells, most_hours=hours)
    return event("", 0, 0, body, at)


def started(run: str, attempt: int = 1, total_epochs: int = 3, **provenance: Any) -> Envelope:
    body = RunStarted(worker="w1", host="here", pid=7, device="cpu", total_epochs=total_epochs, provenance=provenance)
    return event(run, attempt, 1, body)


def row(epoch: int, attempt: int = 1) -> EpochFinished:
    """An epoch's values: recognisable by epoch and attempt."""
    return EpochFinished(
        epoch=epoch,
        train_loss=1.0 / epoch,
        val_loss=2.0 / epoch,
        test_loss=3.0 / epoch,
        train_metric=10.0 * epoch + attempt,
        val_metric=20.0 * epoch + attempt,
        test_metric=30.0 * epoch + attempt,
        seconds=0.5,
    )


def summary(test: float = 80.0, epochs: int = 3, memory: float = 4.0) -> Summary:
    def density(
        scope: Literal["inference", "training"], coverage: Literal["quantized part", "whole step"], memory: float
    ) -> Densities:
        return Densities(
            scope=scope,
            coverage=coverage,
            memory=memory,
            arithmetic=7.7,
            arithmetic_label="published",
            average_bits=8.0,
            arithmetic_thesis=8.7,
            memory_thesis=memory * 1.5,
            peak_memory_density=memory - 1,
        )

    return Summary(
        metric="accuracy",
        unit="%",
        epochs=epochs,
        best_epoch=epochs,
        val_best=test + 1,
        test_at_best_val=test,
        test_last=test - 1,
        test_max=test + 2,
        densities=[
            density("training", "quantized part", memory),
            density("training", "whole step", memory / 2),
            density("inference", "quantized part", memory + 1),
        ],
        figures={"bit_operations.inference": 1e6 * memory, "energy.inference": None},
        seconds=1.5,
        peak_memory=1_000_000,
        parameters=99,
    )


def precision(epoch: int = 1) -> PrecisionChanged:
    """The formats of the start, or what a loss plateau made of them later."""
    format = "int8" if epoch == 1 else "int16"
    changes = [
        FormatChange(site=site, product=product, layer=0, format=format)
        for site, product in (("weight", "forward"), ("aggregate", "aggregate"))
    ]
    if epoch == 1:
        return PrecisionChanged(epoch=1, label=format, changes=changes, signal="start", reason="start")
    return PrecisionChanged(
        epoch=epoch,
        label=format,
        changes=changes,
        signal="loss plateau",
        value=0.95,
        threshold=0.9,
        reason="mean loss 0.95 of the five epochs before",
    )


CLIMB = {1: ("int4", 4.0), 12: ("int5", 5.0), 17: ("int6", 6.0)}
"""What ADQ from int4 up to int8 does on losses that never fall, in twenty epochs."""


def climbing(
    run: str, scheme: str = "adq[int4,int8]", epochs: int = 20, climb: dict[int, tuple[str, float]] = CLIMB
) -> list[Envelope]:
    """A run that goes on: its loss stands still, every signal is logged, its precision changes as ``climb`` says."""
    bodies: list[Body] = []
    for epoch in range(1, epochs + 1):
        if epoch in climb:
            format = climb[epoch][0]
            changes = [
                FormatChange(site=site, product="forward", layer=layer, format=format)
                for site in ("input", "weight")
                for layer in (0, 1)
            ]
            why = {"signal": "start", "reason": f"the run starts with {format}"}
            if epoch > 1:
                why = {"signal": "loss plateau", "value": 1.0, "threshold": 0.9, "reason": "the loss stands still"}
            bodies.append(PrecisionChanged.model_validate({"epoch": epoch, "label": format, "changes": changes} | why))
        bodies.append(
            EpochFinished(
                epoch=epoch,
                train_loss=1.0,
                val_loss=1.0,
                test_loss=1.0,
                train_metric=50.0,
                val_metric=50.0,
                test_metric=50.0,
                seconds=0.5,
                loss_ratio=1.0 if epoch >= 10 else None,
                gradient_diversity=0.5 if epoch % 3 == 0 else None,
                validation_stall=epoch - 1.0,
                average_bits=next(bits for first, (_, bits) in reversed(climb.items()) if first <= epoch),
            )
        )
    first = [queued(run, scheme=scheme, training={"epochs": epochs}), started(run, total_epochs=epochs)]
    return [*first, *(event(run, 1, seq, body) for seq, body in enumerate(bodies, start=2))]


def ledger() -> LedgerRecorded:
    row = LedgerRow(
        first_epoch=1,
        last_epoch=3,
        layer=0,
        product="forward",
        site="weight",
        format="int8",
        macs=5,
        elements=6,
        metadata_bits=64,
        partner="int4",
        written=7,
        protected=0.25,
        held_bytes=24,
    )
    return LedgerRecorded(rows=[row])


def diagnostics(epoch: int = 1, attempt: int = 1) -> DiagnosticsRecorded:
    """A weight, and a message as a whole and by two buckets; the high-degree nodes have the more noise."""

    def row(site: str, sqnr: float | None, bucket: int | None = None, degrees: tuple = (None, None)) -> DiagnosticRow:
        product = "forward" if site == "weight" else "aggregate"
        least, most = degrees
        return DiagnosticRow(
            layer=0,
            part="",
            site=site,
            product=product,
            format="int8",
            bucket=bucket,
            least_degree=least,
            most_degree=most,
            elements=60,
            sqnr=sqnr,
            saturated=0.01 * attempt,
            zeroed=0.02,
            accumulator_bits=17.0 if site == "weight" else None,
        )

    rows = [
        row("weight", 40.0 + epoch),
        row("message", 20.0 + epoch),
        row("message", 30.0, 0, (0, 3)),
        row("message", 10.0, 1, (4, 168)),
    ]
    return DiagnosticsRecorded(epoch=epoch, rows=rows)


def artifact(name: str = "model.safetensors", attempt: int = 1) -> ArtifactSaved:
    return ArtifactSaved(name=name, kind="model", bytes=1000 + attempt, sha256="ab" * 32)


def measured(run: str, at: float = BEGAN + 5000, peak: float = 17.56e6) -> Envelope:
    """What a separate pass says of a run and its twin."""
    rows = [
        Measurement(quantity="peak_torch", variant="run", value=peak),
        Measurement(quantity="peak_torch", variant="fp32", value=2 * peak),
    ]
    body = RunMeasured(
        rows=rows,
        host="here",
        cpu="a processor",
        device="cpu",
        threads=1,
        allocator="glibc",
        epochs=5,
        software={"torch": "2"},
    )
    return event(run, 0, 0, body, at)


def attempt_of(run: str, attempt: int = 1, epochs: int = 3, test: float = 80.0, memory: float = 4.0) -> list[Envelope]:
    """A whole attempt that finishes: start, ledger, precision, diagnostics, epochs, end."""
    rows = [row(epoch, attempt) for epoch in range(1, epochs + 1)]
    bodies: list[Body] = [ledger(), precision(), diagnostics(1, attempt), artifact(attempt=attempt), *rows]
    bodies.append(RunFinished(summary=summary(test, epochs, memory), history=History.of(rows)))
    first = started(run, attempt, epochs, fingerprint="abc")
    return [first, *(event(run, attempt, seq, body) for seq, body in enumerate(bodies, start=2))]


def finished(run: str, test: float = 80.0, memory: float = 4.0, **changes: Any) -> list[Envelope]:
    """A whole life that finishes at the first attempt."""
    return [queued(run, **changes), *attempt_of(run, test=test, memory=memory)]


def failed(run: str, reason: str = "the loss is no longer a finite number") -> list[Envelope]:
    rows = [row(1)]
    end = RunFailed(reason=reason, history=History.of(rows))
    return [queued(run), started(run), event(run, 1, 2, rows[0]), event(run, 1, 3, end)]


def heartbeat(worker: str, at: float, run: str | None = None, attempt: int | None = None) -> Envelope:
    body = WorkerHeartbeat(
        worker=worker,
        host="here",
        pid=7,
        device_class="cpu",
        device="cpu",
        current_run=run,
        current_attempt=attempt,
        memory=250_000_000,
    )
    return event("", 0, 0, body, at)


def remember(settings: Settings, events: Sequence[Envelope]) -> None:
    """A home whose database has these events, as a store that has ended would have left it."""
    settings.home.mkdir(parents=True, exist_ok=True)
    connection = open_for_writing(settings.database)
    apply_batch(connection, [Received(item.to_json(), "http") for item in events])
    connection.close()


def received(events: Sequence[Envelope], first: int = 1) -> list[Received]:
    """As they come over the stream, with ascending entry ids."""
    return [Received(item.to_json(), "stream", f"{first + place}-0") for place, item in enumerate(events)]
