"""What a run says while it lives: typed events, numbered by (run, attempt, seq).

The engine yields bodies and knows no numbers; whoever publishes them wraps each in an ``Envelope``.
Metrics are in the task's unit (accuracy in percent), times in seconds, memory in bytes.
``None`` in a number stands for a value that was not finite or not measured.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from engine.errors import InputError

VERSION = 5
"""Version of the events' form; the store refuses a newer one."""
OLDEST = 2
"""Before it a change of precision had another form: such events are refused. What later versions added has defaults."""


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunQueued(_Body):
    """A person launched a run. Attempt 0, seq 0; the store takes it once a run id."""

    type: Literal["run_queued"] = "run_queued"
    spec: dict[str, Any]
    """``RunSpec`` as JSON."""
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    """0 is served first, 9 last."""
    sweep: str | None = None
    """Name of the sweep that the run belongs to."""
    origin: Literal["queue", "local"] = "queue"
    """"local": trained in the process that launched it; no dispatcher sends it to a worker."""
    parent: Annotated[str, Field(max_length=64)] | None = None
    """The run that it was cloned from."""


class CancelRequested(_Body):
    """A person asked to cancel. Attempt 0; a finished run is left as it is."""

    type: Literal["cancel_requested"] = "cancel_requested"


class ResumeRequested(_Body):
    """A person asked that a cancelled or failed run go on. Attempt 0; any other run is left as it is."""

    type: Literal["resume_requested"] = "resume_requested"


class SweepCell(_Body):
    """One run of a sweep's grid: what it is, and the run that stands for it."""

    group: str
    """``RunSpec.group``."""
    dataset: str
    model: str
    scheme: str
    seed: int
    fold: int | None = None
    hash: str
    """``RunSpec.hash``: the same spec, the same cell."""
    run: str | None = None
    """None: none was launched, since the budget did not allow it."""
    own: bool = False
    """Whether this sweep launched the run, or had it go on; otherwise it was there, and only counts."""


class SweepLaunched(_Body):
    """A person launched a sweep, for the first time or again: the whole grid, in the order of service. Attempt 0.

    The newest launch replaces the older.
    """

    type: Literal["sweep_launched"] = "sweep_launched"
    sweep: str
    """``Sweep.id``."""
    name: str
    table: dict[str, Any]
    """What ``engine.sweep.expand`` makes the sweep of."""
    cells: list[SweepCell]
    most_runs: Annotated[int, Field(ge=1)] | None = None
    most_hours: Annotated[float, Field(gt=0)] | None = None
    """The budget."""


class RunStarted(_Body):
    """An attempt began: always the first event of an attempt (seq 1)."""

    type: Literal["run_started"] = "run_started"
    worker: str
    host: str
    pid: int
    device: str
    """"cpu", or the CUDA device's name."""
    total_epochs: int
    provenance: dict[str, Any] = {}
    """Code version, package versions, dataset fingerprint and statistics, caveats."""


class EpochFinished(_Body):
    """One epoch: losses and metrics of the three splits, evaluated after the epoch's step."""

    type: Literal["epoch_finished"] = "epoch_finished"
    epoch: int
    """Counted from 1."""
    train_loss: Number = None
    """Loss of the training step (with dropout, before the step's update)."""
    val_loss: Number = None
    test_loss: Number = None
    train_metric: Number = None
    val_metric: Number = None
    test_metric: Number = None
    seconds: Number = None
    """Wall time of the epoch, evaluation included."""
    also: dict[str, Number] = {}
    """Other metrics of the test split, by name and unit ("accuracy at ½ (%)"), kept in the summary."""
    counts: bool = True
    """Whether the epoch may be selected: false while a phase only prepares (fp32 training before calibration)."""
    loss_ratio: Number = None
    """Signal of ADQ: the mean of the last five training losses over the mean of the five before."""
    gradient_diversity: Number = None
    """Signal of MuPPET: Δ of the window of epochs that ends here (METHODS §8)."""
    validation_stall: Number = None
    """Signal of DSQ: epochs since the best validation loss."""
    average_bits: Number = None
    """Bits an element of this epoch's quantized part (engine.ledger), in the headline's scope."""


EPOCH_COLUMNS = tuple(name for name in EpochFinished.model_fields if name not in ("type", "also"))
"""The per-epoch table's columns: one number each."""


class DiagnosticRow(_Body):
    """What quantization does to one tensor, over all its rows or over those of one degree bucket."""

    layer: int
    part: str
    """The module of the layer that the tensor belongs to ("" is the layer itself)."""
    site: str
    product: str
    format: str
    bucket: int | None = None
    """None: the whole tensor. Else the bucket of in-degree (of the source, for an edge's tensor), counted from 0."""
    least_degree: int | None = None
    most_degree: int | None = None
    elements: int
    sqnr: Number = None
    """Signal to quantization noise, dB: 10·log10(Σx² / Σ(x−x̂)²); None where there is no noise or no signal."""
    saturated: Number = None
    """Share of the elements that the largest or the smallest code cut short."""
    zeroed: Number = None
    """Share of zeroed gradients: for the site "gradient" of its non-zeros that become 0, elsewhere of the
    elements whose gradient the estimator stops."""
    accumulator_bits: Number = None
    """Signed bits that the largest partial sum of the products of this operand's codes needs, of a product of more than
    2^27 multiply-accumulates by some of its rows, evenly spaced; None: not integers."""


class DiagnosticsRecorded(_Body):
    """Where accuracy is lost: by site, layer and degree bucket, in one training step of an epoch."""

    type: Literal["diagnostics_recorded"] = "diagnostics_recorded"
    epoch: int
    rows: list[DiagnosticRow]


class FormatChange(_Body):
    """A site of a layer in a product ("all": in each) has this format; layers are counted from 0."""

    site: str
    product: str
    layer: int
    format: str


class PrecisionChanged(_Body):
    """From this epoch on, these formats hold. Every run says one for its first epoch, fp32 one without changes."""

    type: Literal["precision_changed"] = "precision_changed"
    epoch: int
    """The first with these formats."""
    label: str
    """The ladder's step as text, e.g. "int5"."""
    changes: list[FormatChange]
    """What differs from the epoch before; at the start: all."""
    signal: Literal["start", "epoch clock", "loss plateau", "gradient diversity", "validation plateau"]
    """What moved the controller."""
    value: Number = None
    """The signal's value at the decision; None where it has none."""
    threshold: Number = None
    """What the value was compared with."""
    reason: str
    """The decision in words."""


class LedgerRow(_Body):
    """One operand of one product of one layer over a range of epochs (see engine.ledger)."""

    first_epoch: int
    last_epoch: int
    layer: int
    product: str
    site: str
    format: str
    macs: int
    """Multiply-accumulates an epoch that run in this format (the product's wider operand carries them)."""
    elements: int
    """Elements an epoch that are read in this format."""
    metadata_bits: int = 0
    """Bits an epoch of ranges, one or one a row, beside the elements' own bits."""
    covered: bool | None = None
    """Whether a rule of the scheme covers the operand, at whatever format (a ladder's fp32 is covered); None, in the
    ledgers of before: what is not fp32."""
    partner: str | None = None
    """Format of the product's other operand, with which the row's multiply-accumulates run; None: the same format."""
    written: int = 0
    """Elements an epoch that are written in this format."""
    protected: float = 0.0
    """Share of the row's elements and multiply-accumulates that a training step leaves in fp32 (its expectation)."""
    held_bytes: int = 0
    """Rows of the product "stash" only: bytes a step that this implementation really holds for the backward pass."""


class LedgerRecorded(_Body):
    """The run's cost ledger, whole."""

    type: Literal["ledger_recorded"] = "ledger_recorded"
    rows: list[LedgerRow]


class Densities(_Body):
    """Densities relative to fp32, with the scope and coverage that they hold for (METHODS §9)."""

    scope: Literal["inference", "training"]
    coverage: Literal["quantized part", "whole step"]
    memory: float
    arithmetic: float
    arithmetic_label: Literal["published", "interpolated", "extrapolated"]
    average_bits: float
    """Mean over the sites' elements of the bits an element, metadata included."""
    memory_thesis: float | None = None
    arithmetic_thesis: float | None = None
    """[T]'s mean of a density over time: arithmetic, each epoch counting alike ("thesis mean")."""
    peak_memory_density: float | None = None
    """Memory density of the epochs with the widest formats, which set the peak."""


class Summary(_Body):
    """One row a finished run: three selections, densities, time and memory."""

    metric: str
    """Name of the metric, e.g. "accuracy"."""
    unit: str
    """Unit of the metric, e.g. "%"."""
    higher_is_better: bool = True
    epochs: int
    best_epoch: int
    """The epoch of best validation metric (the first of equals)."""
    val_best: Number
    """Validation metric there; None where no split validates, and the last epoch is selected."""
    test_at_best_val: Number
    """Headline: test metric there."""
    test_last: Number
    test_max: Number
    """Best test metric over the epochs: stored, never the headline."""
    also: dict[str, Number] = {}
    """Other test metrics at the best epoch, by name and unit."""
    densities: list[Densities]
    """Each scope × coverage; the first is the headline."""
    figures: dict[str, Number] = {}
    """What else follows from the ledger, by the name of its definition (engine.ledger.figures)."""
    seconds: float
    """Wall time of the training loop."""
    peak_memory: int | None = None
    """Peak resident memory of the process over the training loop, bytes."""
    parameters: int
    """Trainable parameters."""


class History(_Body):
    """A run's whole per-epoch table, by column; carried by the terminal event to heal any gap."""

    columns: dict[str, list[Number]] = {}

    @classmethod
    def of(cls, epochs: Iterable[EpochFinished]) -> History:
        rows = list(epochs)
        return cls(columns={name: [getattr(row, name) for row in rows] for name in EPOCH_COLUMNS})

    def rows(self) -> list[EpochFinished]:
        names = list(self.columns)
        return [
            EpochFinished.model_validate(dict(zip(names, values, strict=True)))
            for values in zip(*self.columns.values(), strict=True)
        ]


class RunFinished(_Body):
    type: Literal["run_finished"] = "run_finished"
    summary: Summary
    history: History


class RunFailed(_Body):
    """Terminal: the reason in words that a person understands."""

    type: Literal["run_failed"] = "run_failed"
    reason: str
    history: History = History()


class RunCancelled(_Body):
    type: Literal["run_cancelled"] = "run_cancelled"
    history: History = History()


class ArtifactSaved(_Body):
    """A file of the run lies in the artifacts' folder, ``<run>/<attempt>/<name>``; said before the run's end."""

    type: Literal["artifact_saved"] = "artifact_saved"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """A plain file name, e.g. "model.safetensors"."""
    kind: Literal["model", "manifest"]
    bytes: int
    sha256: str
    content: str | None = None
    """Of a model: the SHA-256 of its packed parameters, by which other runs start from it (``training.start_from``)."""


MeasuredQuantity = Literal[
    "peak_torch", "peak_process", "held_for_backward", "epoch_seconds", "latency_median", "latency_p95", "file_size"
]


class Measurement(_Body):
    """One measured quantity of a run's spec, or of its fp32 twin."""

    quantity: MeasuredQuantity
    """peak_torch: torch's allocated peak of training plus the features (the thesis' protocol); peak_process: peak
    resident memory of training; bytes, or seconds."""
    variant: Literal["run", "fp32"]
    value: Number


class RunMeasured(_Body):
    """A separate pass in fresh processes has measured a run. Attempt 0; a newer one replaces the older."""

    type: Literal["run_measured"] = "run_measured"
    rows: list[Measurement]
    host: str
    cpu: str
    device: str
    threads: int
    allocator: str
    epochs: int
    """How many each process trained for."""
    software: dict[str, str] = {}


class WorkerHeartbeat(_Body):
    """A worker is alive (every few seconds); ``run`` is empty in its envelope."""

    type: Literal["worker_heartbeat"] = "worker_heartbeat"
    worker: str
    """Its name, unique among the workers. Empty: it is none, but the process that launched ``current_run`` and
    trains it."""
    host: str
    pid: int
    device_class: Literal["cpu", "cuda"]
    device: str
    current_run: str | None = None
    current_attempt: int | None = None
    load: Number = None
    """One-minute load average of the host."""
    memory: int | None = None
    """Resident memory of the worker and its child, bytes."""
    state: Literal["idle", "busy", "stopping"] = "idle"


class SearchQueued(_Body):
    """A person launched a search; its envelope's ``run`` is the search's id, as in the next three. Attempt 0."""

    type: Literal["search_queued"] = "search_queued"
    name: str
    dataset: str
    model: str
    file: dict[str, Any]
    """``engine.search.file.SearchFile`` as JSON."""


class AskedTrial(_Body):
    """A run that a search wants."""

    number: int
    """From 0, in the order in which the search asked."""
    run: str
    stage: str
    """One of engine.search.course.STAGES."""
    batch: int
    scheme: str
    seed: int
    point: list[int] | None = None
    """The places of its choices in the space; None: fp32."""
    cost: Number = None
    predicted: Number = None
    """What the cost model expected of its validation metric."""


class TrialsAsked(_Body):
    """A search asked for these runs, which are launched in the same moment; one that is known is left as it is."""

    type: Literal["trials_asked"] = "trials_asked"
    rows: list[AskedTrial]


class SearchCancelRequested(_Body):
    """A person asked to end a search: it asks for no more runs. One that has ended is left as it is."""

    type: Literal["search_cancel_requested"] = "search_cancel_requested"


class SearchEnded(_Body):
    """A search has its winner, or none for a reason; the first such word counts."""

    type: Literal["search_ended"] = "search_ended"
    reason: str | None = None
    """Why there is no winner."""
    result: dict[str, Any] = {}
    """``engine.search.course.Result`` as JSON, with the winner's test metrics beside fp32's."""


OfSearch = SearchQueued | TrialsAsked | SearchCancelRequested | SearchEnded
"""The events of a search."""

Body = Annotated[
    RunQueued
    | OfSearch
    | CancelRequested
    | ResumeRequested
    | SweepLaunched
    | RunStarted
    | EpochFinished
    | PrecisionChanged
    | DiagnosticsRecorded
    | LedgerRecorded
    | ArtifactSaved
    | RunMeasured
    | RunFinished
    | RunFailed
    | RunCancelled
    | WorkerHeartbeat,
    Field(discriminator="type"),
]

TERMINAL = (RunFinished, RunFailed, RunCancelled)
"""The events that end an attempt and its run."""


class Envelope(BaseModel):
    """A numbered event as it goes over the stream: ``seq`` counts from 1 within an attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    attempt: Annotated[int, Field(ge=0)] = 0
    """0: said by a person (queued, cancel); a worker's attempts count from 1. ``run`` is empty where none is meant."""
    seq: Annotated[int, Field(ge=0)] = 0
    version: int = VERSION
    at: float
    """Unix time at the sender."""
    body: Body

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Envelope:
        """Raises InputError for a version that is not known here, ValidationError for all else that does not fit."""
        try:
            version = json.loads(text).get("version")
        except RecursionError:
            raise InputError("the event is nested too deep to be read") from None
        if isinstance(version, int) and version > VERSION:
            raise InputError(f"event version {version} is newer than {VERSION}: update the store")
        if isinstance(version, int) and version < OLDEST:
            raise InputError(f"event version {version} is older than {OLDEST}: update the worker that said it")
        return cls.model_validate_json(text)


BODY: TypeAdapter[Body] = TypeAdapter(Body)


def new_run_id() -> str:
    """A fresh run id, 14 characters: base-36 milliseconds (so ids sort by time) and five random ones."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    millis, head = time.time_ns() // 1_000_000, ""
    while millis:
        millis, digit = divmod(millis, 36)
        head = digits[digit] + head
    return head.rjust(9, "0") + "".join(secrets.choice(digits) for _ in range(5))
