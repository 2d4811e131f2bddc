"""What a run really takes on this machine: a separate pass, each part of it in a fresh process, beside the fp32 twin.

    measured = measure_run(spec, epochs=50)              # engine.events.RunMeasured

Training itself is neither slowed nor distorted. The parts of a pass, for the run's scheme and for fp32:

    allocated   peak_torch, held_for_backward; first, as it also compiles what the other only loads
    train       peak_process, epoch_seconds: nothing watches it; then file_size, latency_median and latency_p95

No torch is needed here: the processes are ``python -m engine.measure.child``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engine import recipe_files
from engine.errors import InputError, RunError
from engine.events import Measurement, RunMeasured
from engine.measure.process import peak_memory, reset_peak_memory
from engine.settings import Settings
from engine.spec import RunSpec
from engine.sweep import with_settings

__all__ = [
    "QUANTITIES",
    "Allocator",
    "Quantity",
    "allocator_environment",
    "measure_run",
    "peak_memory",
    "reset_peak_memory",
]

EPOCHS = 50
"""How many epochs each process trains for unless asked otherwise."""
PULSE_SECONDS = 1.0

Allocator = Literal["inherited", "tuned", "jemalloc"]


@dataclass(frozen=True)
class Quantity:
    """What is measured, in words."""

    name: str
    title: str
    unit: Literal["bytes", "s"]
    definition: str


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "peak_torch",
            "Peak memory, torch-allocated plus features",
            "bytes",
            "the thesis' protocol: the most that torch has allocated at a time since the model was made, plus the "
            "dataset's features as dense fp32; the interpreter, its libraries and the graph's edges do not count",
        ),
        Quantity(
            "peak_process",
            "Peak memory of the process",
            "bytes",
            "the most resident memory of the training process since training began (VmHWM), interpreter and libraries "
            "included",
        ),
        Quantity(
            "held_for_backward",
            "Held for the backward pass",
            "bytes",
            "bytes that the layers keep from a training step's forward to its backward pass, each storage once; "
            "without parameters, the dataset's constants, the structure of the graph and of sparse features, and the "
            "loss's own",
        ),
        Quantity("epoch_seconds", "Epoch", "s", "median over the epochs, evaluation included"),
        Quantity(
            "latency_median",
            "Inference, median",
            "s",
            "the exported model over its run's whole dataset, once, on the CPU; what it is given lies ready",
        ),
        Quantity("latency_p95", "Inference, 95th percentile", "s", "as the median"),
        Quantity("file_size", "Exported file", "bytes", "the packed model's file, without its manifest"),
    )
}


def measure_run(
    spec: RunSpec,
    *,
    epochs: int = EPOCHS,
    settings: Settings | None = None,
    allocator: Allocator = "inherited",
    heard: Callable[[str], None] | None = None,
    pulse: Callable[[], None] | None = None,
) -> RunMeasured:
    """Train the spec again for some epochs, and its fp32 twin, and measure both; an fp32 run is its own twin.

    ``allocator``: "inherited" as this process has it; "tuned", glibc's that keeps what was freed; "jemalloc" by
    LD_PRELOAD. ``heard`` hears what is measured now; ``pulse`` is called every second, and ends the pass by raising.
    Raises InputError for epochs below 1 or an allocator that is not there, RunError where a process fails.
    """
    if isinstance(epochs, bool) or epochs < 1:
        raise InputError(f"epochs = {epochs} is not allowed: measuring needs at least one")
    settings = settings or Settings()
    environment = {
        **os.environ,
        **_places(settings),
        **{f"{name}_NUM_THREADS": str(settings.threads) for name in ("OMP", "MKL", "NUMBA")},
        **allocator_environment(allocator),
    }
    data = with_settings(spec.model_dump(mode="json"), {"training.epochs": epochs})
    values: dict[str, dict[str, float]] = {}
    about: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bitfront-measure-") as folder:
        for variant, scheme in (("run", spec.scheme), ("fp32", "fp32")):
            if variant == "fp32" and spec.scheme == "fp32":
                values["fp32"] = values["run"]
                continue
            again = RunSpec.parse({**data, "scheme": scheme})
            found: dict[str, float] = {}
            for part in ("allocated", "train"):
                if heard is not None:
                    heard(f"{scheme}: {part}")
                answer = _process(part, again, Path(folder) / variant, environment, pulse or (lambda: None))
                found |= answer["values"]
                about = answer["about"]
            values[variant] = found
    rows = [
        Measurement(quantity=quantity, variant=variant, value=found[quantity])  # pyright: ignore[reportArgumentType]
        for variant, found in values.items()
        for quantity in QUANTITIES
        if quantity in found
    ]
    return RunMeasured(rows=rows, epochs=epochs, **about)


def _places(settings: Settings) -> dict[str, str]:
    """Where the children find what these settings name."""
    named = {"BITFRONT_HOME": settings.home, "BITFRONT_DATA": settings.data, "BITFRONT_MIRROR": settings.mirror}
    return {name: str(place) for name, place in named.items() if place} | {"BITFRONT_THREADS": str(settings.threads)}


def _process(
    part: str, spec: RunSpec, folder: Path, environment: Mapping[str, str], pulse: Callable[[], None]
) -> dict[str, Any]:
    """What one part of the pass says; ``folder`` is what the parts of one variant share."""
    folder.mkdir(exist_ok=True)
    asked = {"part": part, "spec": spec.to_json(), "folder": str(folder), "files": recipe_files.allowed}
    child = subprocess.Popen(
        [sys.executable, "-m", "engine.measure.child", json.dumps(asked)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
    )
    with child:
        try:
            while True:
                try:
                    _, errors = child.communicate(timeout=PULSE_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    pulse()
        except BaseException:
            child.kill()
            raise
    answer = folder / f"{part}.json"
    if child.returncode or not answer.exists():
        last = errors.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
        raise RunError(f"measuring {spec.scheme} failed: {last[0]}")
    return json.loads(answer.read_text())


def allocator_environment(name: str) -> dict[str, str]:
    """What a child's environment says of its allocator: one of ``Allocator``. Raises InputError."""
    if name == "inherited":
        return {}
    if name == "tuned":
        # Large blocks come from the heap, and the heap is never given back: no page is faulted in twice.
        most = str(1 << 30)
        return {"MALLOC_MMAP_THRESHOLD_": most, "MALLOC_TRIM_THRESHOLD_": most, "MALLOC_TOP_PAD_": str(1 << 26)}
    if name == "jemalloc":
        from ctypes.util import find_library

        library = find_library("jemalloc")
        if library is None:
            raise InputError("there is no jemalloc on this machine: install it (libjemalloc2), or leave it out")
        return {"LD_PRELOAD": library}
    raise InputError(f"unknown allocator {name!r}: allowed are {', '.join(get_args(Allocator))}")
