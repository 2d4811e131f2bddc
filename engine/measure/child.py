"""One part of a measuring pass, in this process: started by ``engine.measure``, which says how it is asked.

    python -m engine.measure.child '{"part": "train", "spec": "{…}", "folder": "…", "files": true}'

The answer is the file ``<part>.json`` in the folder: {"values": {quantity: value}, "about": {…}}.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from engine import recipe_files
from engine.artifacts.exported import Exported
from engine.artifacts.loading import load
from engine.artifacts.saving import save
from engine.errors import BitfrontError
from engine.events import EpochFinished, RunStarted
from engine.held import held_in_step
from engine.measure.allocated import Allocations
from engine.measure.conditions import allocator, processor
from engine.measure.latency import latency_of
from engine.roofline_machine import machine_table
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training, choose_device, software

Values = dict[str, float]

MODEL = "model.safetensors"


def measure_allocated(spec: RunSpec, folder: Path) -> Values:
    """Trained under the profiler, which follows torch's allocations only; then one more step is looked into."""
    training = Training(spec, Settings().model_copy(update={"compiled": False}))
    events = iter(training)
    started = next(events)
    assert isinstance(started, RunStarted)
    trainer = training.trainer
    modules = (trainer.model, trainer.live)
    made = sum(_bytes(part) for module in modules for part in (*module.parameters(), *module.buffers()))
    features = 4 * started.provenance["nodes"] * started.provenance["features"]
    if choose_device(spec.device).type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for _ in events:
            pass
        peak = torch.cuda.max_memory_allocated() - before
    else:
        allocations = Allocations()
        going = True
        while going:
            # An epoch at a time: the profiler keeps every event until it stops.
            with allocations.followed():
                going = _until_an_epoch_ends(events)
        peak = allocations.most
    learning = [phase for phase in spec.phases if phase.learns]
    if learning and not trainer.phase.learns:
        trainer.enter(learning[-1])
    held = held_in_step(trainer, next(iter(trainer.problem.batches(1))))
    return {"peak_torch": peak + made + features, "held_for_backward": held.of_layers}


def _until_an_epoch_ends(events) -> bool:
    """Whether there may be another."""
    return any(isinstance(event, EpochFinished) for event in events)


def _bytes(tensor: torch.Tensor) -> int:
    # A learned step has no size before the first tensor.
    return 0 if torch.nn.parameter.is_lazy(tensor) else tensor.numel() * tensor.element_size()


def measure_training(spec: RunSpec, folder: Path) -> Values:
    """Trained as ever; then exported, and the file asked again and again."""
    training = Training(spec)
    for _ in training:
        pass
    result = training.result()
    assert result.summary.peak_memory is not None
    seconds = [row.seconds for row in result.history.rows() if row.seconds is not None]
    saved = save(result, folder / "model.safetensors")
    latency = latency_of(inference(load(saved.model, recipes=recipe_files.allowed)))
    return {
        "peak_process": result.summary.peak_memory,
        "epoch_seconds": statistics.median(seconds),
        "latency_median": latency.median,
        "latency_p95": latency.p95,
        "file_size": saved.model.stat().st_size,
    }


def inference(exported: Exported) -> Callable[[], float]:
    """The exported model over its run's dataset, part by part; gives the seconds that the model itself took."""

    def infer() -> float:
        spent = 0.0
        for view in exported.views():
            start = time.perf_counter()
            exported.outputs(view)
            spent += time.perf_counter() - start
        return spent

    return infer


PARTS: dict[str, Callable[[RunSpec, Path], Values]] = {
    "allocated": measure_allocated,
    "train": measure_training,
}


def main() -> int:
    asked = json.loads(sys.argv[1])
    if not asked["files"]:
        recipe_files.forbid()
    spec, folder = RunSpec.from_json(asked["spec"]), Path(asked["folder"])
    try:
        values = PARTS[asked["part"]](spec, folder)
    except BitfrontError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if asked["part"] == "train":
        # The roofline of cost cards, once a machine; nothing is being measured any more.
        with contextlib.suppress(BitfrontError):  # a person's file that does not fit is the cost card's to name
            machine_table(Settings())
    device = choose_device(spec.device)
    versions = software()
    about = {
        "host": socket.gethostname(),
        "cpu": processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "allocator": allocator(),
        "software": versions["packages"] | {"python": versions["python"], "platform": versions["platform"]},
    }
    (folder / f"{asked['part']}.json").write_text(json.dumps({"values": values, "about": about}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
