"""Compiled epochs beside the plain path's: one step at a time from equal state, and whole runs as distributions."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.compiled import trainer as compiled_trainer
from engine.compiled.gcn import train_epochs
from engine.compiled.trainer import CompiledTrainer
from engine.errors import RunError
from engine.events import EpochFinished, PrecisionChanged, RunStarted
from engine.graph import load_graph
from engine.objectives import OBJECTIVES
from engine.settings import Settings
from engine.signals import GradientDiversity
from engine.spec import RunSpec
from engine.trained import BestModel
from engine.trainer import Trainer
from engine.training import Training, run

CPU = torch.device("cpu")
NEAR = 1e-5
"""How near to a rounding boundary, in codes, a value may come out on the other side."""


def spec(scheme: str, epochs: int = 40, *, model: str = "gcn", **changes: Any) -> RunSpec:
    base = {"dataset": "karate", "model": model, "scheme": scheme, "training": {"epochs": epochs}, "device": "cpu"}
    return RunSpec.parse({**base, **changes})


def plainly(settings: Settings) -> Settings:
    return settings.model_copy(update={"compiled": False})


class Boundaries:
    """Counts the elements of a step that lie so near to a rounding boundary that the order of a sum decides."""

    dense = True

    def __init__(self) -> None:
        self.near = 0

    def record(self, at: Any, x: Any, out: Any, quantizer: Any, format: Any, axis: int, *_: Any, **__: Any) -> None:
        x = x.detach().double()
        if format.blocked:
            from engine.kernels.blocks import box_scales, spread_scales
            from engine.kernels.layout import around

            part = around(x.contiguous(), axis)
            scale = spread_scales(box_scales(part, format.block), format.block, part.shape[1])
            element = format.block.element
            code = part / scale * 2.0 ** (element.mantissa - element.emin)
        else:
            grid = format.grid(x.float(), axis)[0]
            if not math.isfinite(grid.divisor):
                return
            code = x / grid.c - grid.d
        distance = ((code - code.floor()) - 0.5).abs()
        # Boxes of a few bits have products whose sums are exact in any order: their ties are the same ties.
        self.near += int(((distance < NEAR) & (distance > 0)).sum())

    def multiplied(self, x_at: Any, x: Any, weight_at: Any, weight: Any) -> None: ...
    def summed(self, at: Any, message: Any, adjacency: Any) -> None: ...


def one_epoch(trainer: Trainer, epoch: int) -> tuple[EpochFinished, list[torch.Tensor]]:
    (trained,) = trainer.train(epoch, epoch, BestModel(higher_is_better=True), GradientDiversity())
    return trained.row, [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]


def made(kind: type[Trainer], run: RunSpec, settings: Settings) -> Trainer:
    graph = load_graph(run.dataset, settings)
    return kind(run, OBJECTIVES[run.task.name].prepare(run.task, graph, run, CPU), CPU)


CASES = [
    ("fp32", "gcn"),
    ("int8", "gcn"),
    ("int4", "gcn(dropout=0)"),
    ("int8-symmetric", "gcn(layers=3,hidden=20)"),
    # No wider: codes of 16 bits lie closer together than NEAR can tell apart in float32.
    ("int12", "gcn(bias=false)"),
    ("msfp13", "gcn"),
    ("msfp15", "gcn(layers=3,hidden=20,input_dropout=true)"),
    ("mxint8", "gcn(dropout=0)"),
    ("int8(message_gradient=true)", "gcn(input_dropout=true)"),
    ("int8:weight,input", "gcn(layers=1)"),
]


@pytest.mark.parametrize(("scheme", "model"), CASES)
def test_a_step_equals_the_plain_paths_from_equal_state(settings: Settings, scheme: str, model: str):
    """Where no value lies near a rounding boundary all codes are equal, so gradients and losses are too."""
    run = spec(scheme, model=model)
    plain, fast = made(Trainer, run, settings), made(CompiledTrainer, run, settings)
    assert fast.why_plain is None
    compared = 0
    for epoch in range(1, 13):
        fast.restore(copy.deepcopy(plain.state()))
        boundaries = Boundaries()
        plain.live.recorder = boundaries
        row, wanted = one_epoch(plain, epoch)
        found_row, found = one_epoch(fast, epoch)
        if boundaries.near:
            continue
        compared += 1
        for a, b in zip(wanted, found, strict=True):
            assert float((a - b).norm()) <= 1e-5 * float(a.norm())
        for name in ("train_loss", "val_loss", "test_loss"):
            assert getattr(found_row, name) == pytest.approx(getattr(row, name), rel=1e-5)
        assert (found_row.train_metric, found_row.val_metric) == (row.train_metric, row.val_metric)
        for a, b in zip(plain.model.parameters(), fast.model.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-5 * plain.spec.training.lr)
    assert compared >= 3


def test_stochastic_draws_are_the_plain_paths(settings: Settings):
    """The same streams, the same counts: with fine grids a run follows the plain path's for many epochs."""
    run = spec("int16+sr", model="gcn(dropout=0.5)")
    plain, fast = made(Trainer, run, settings), made(CompiledTrainer, run, settings)
    for epoch in range(1, 6):
        fast.restore(copy.deepcopy(plain.state()))
        (_, wanted), (_, found) = one_epoch(plain, epoch), one_epoch(fast, epoch)
        draws = [
            [module.draws for module in each.live.quantizers.values() if hasattr(module, "draws")]
            for each in (plain, fast)
        ]
        assert draws[0] == draws[1]
        assert any(draws[0])
        for a, b in zip(wanted, found, strict=True):
            # A draw that falls the other way moves a gradient by one step of 2^-16 of its range.
            assert float((a - b).abs().max()) <= 2.0**-14 * float(a.abs().max())


def test_whole_runs_are_the_same_as_distributions(settings: Settings):
    """Twenty seeds: the means differ by less than twice the standard error of their difference."""
    for scheme in ("int8", "msfp12"):
        scores = [
            [run(spec(scheme, 30, seed=seed), each).summary.test_last for seed in range(20)]
            for each in (settings, plainly(settings))
        ]
        fast, plain = (np.array(each, float) for each in scores)
        error = math.sqrt((fast.var(ddof=1) + plain.var(ddof=1)) / 20)
        assert abs(fast.mean() - plain.mean()) <= 2 * error


def rows(training: Training) -> list[EpochFinished]:
    return [body.model_copy(update={"seconds": None}) for body in training if isinstance(body, EpochFinished)]


def test_how_many_epochs_a_call_does_changes_no_bit(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    run = spec("muppet[int4,int8,int16](gamma=1)+sr", 60)
    many = rows(Training(run, settings))
    monkeypatch.setattr(compiled_trainer, "CHUNK_SECONDS", 0.0)
    calls: list[int] = []
    original = train_epochs

    def counted(first: int, *given: Any) -> Any:
        calls.append(first)
        return original(first, *given)

    monkeypatch.setattr(compiled_trainer, "train_epochs", counted)
    monkeypatch.setattr(compiled_trainer, "_is_compiled", lambda: True)
    one_by_one = rows(Training(run, settings))
    assert len(calls) == len(set(calls)) >= 50
    assert one_by_one == many


def test_the_best_model_is_of_its_epoch(settings: Settings):
    """In the midst of a call, or at its end: evaluated again it has that epoch's validation metric."""
    training = Training(spec("int8", 60), settings)
    list(training)
    result = training.result()
    model, live = result.model.build()
    problem: Any = training.problem

    def predict(x: Any, topology: Any) -> torch.Tensor:
        live.begin(topology)
        return model(x, topology)

    with torch.no_grad():
        _, scores = problem.evaluate(predict)
    assert scores["val"] == result.summary.val_best


def test_a_checkpoint_goes_on_on_either_path(settings: Settings):
    run = spec("sdq[int4,int8,int16]", 30)
    for first, second in ((settings, plainly(settings)), (plainly(settings), settings)):
        training = Training(run, first)
        for body in training:
            if isinstance(body, EpochFinished) and body.epoch == 12:
                break
        kept = training.checkpoint()
        resumed = Training(run, second, resume=kept)
        found = rows(resumed)
        assert [row.epoch for row in found] == list(range(1, 31))
        assert found[: kept.epoch] == [row.model_copy(update={"seconds": None}) for row in training.rows]


def test_formats_change_where_the_controller_says(settings: Settings):
    """The clock's epochs exactly; a signal's as a replay of the recorded signals has it."""
    from engine.controllers.replay import replay

    for scheme in (
        "sdq[int4,int6,int8]",
        "adq[int4,int8](theta=0.5)",
        "muppet[int4,int8,int16](gamma=1)",
        "pfq[int4,int8]",
    ):
        run = spec(scheme, 60)
        training = Training(run, settings)
        changed = [body.epoch for body in training if isinstance(body, PrecisionChanged)]
        columns = {
            name: [getattr(row, name) for row in training.rows]
            for name in ("epoch", "train_loss", "val_loss", "loss_ratio", "gradient_diversity", "validation_stall")
        }
        found = replay(scheme, run, columns, 60)
        assert changed == [1, *(switch.epoch for switch in found.switches)]
        assert len(changed) > 1


def test_what_is_not_finite_is_said_as_the_plain_path_says_it(settings: Settings):
    run = spec("int8", 30, training={"epochs": 30, "lr": 1e25})
    said = []
    for each in (settings, plainly(settings)):
        with pytest.raises(RunError) as raised:
            list(Training(run, each))
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert "holds NaN or infinity" in said[0]


REASONS = {
    "gat": ({"model": "gat"}, "its layers are others than graph convolutions"),
    "batch norm": ({"model": "gcn(batch_norm=true)"}, "its layers have more between them than ReLU and dropout"),
    "batches": (
        {"training": {"batching": "clusters(parts=2,per_batch=1)"}},
        "it trains on batches",
    ),
    "protection": ({"scheme": "dq-int8"}, "its scheme spares nodes or weights"),
    "learned": ({"scheme": "a2q"}, "its scheme learns"),
    "running": (
        {"scheme": "w4a8"},
        "its quantizer at the site 'weight' is of another kind than min-max grids and boxes of integers",
    ),
    "bf16": (
        {"scheme": "bf16"},
        "its quantizer at the site 'weight' is of another kind than min-max grids and boxes of integers",
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_has_no_compiled_way_runs_plainly_and_says_why(settings: Settings, case: str):
    changes, why = REASONS[case]
    started = next(iter(Training(spec(**{"scheme": "int8", "epochs": 2, **changes}), settings)))
    assert isinstance(started, RunStarted)
    assert started.provenance["epochs"] == f"plain: {why}"


def test_it_can_be_switched_off(settings: Settings):
    said = [next(iter(Training(spec("int8"), each))) for each in (settings, plainly(settings))]
    assert [each.provenance["epochs"] for each in said if isinstance(each, RunStarted)] == [
        "compiled",
        "plain: it is switched off (BITFRONT_COMPILED)",
    ]


def test_one_compilation_serves_every_run():
    """Layers, formats, sparse and dense features are numbers to it, not types."""
    dispatcher: Any = train_epochs
    assert len(dispatcher.signatures) == 1
