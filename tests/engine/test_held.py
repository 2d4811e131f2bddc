"""What a step holds for its backward pass: counted by hand, and in live runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from engine.graph import load_graph
from engine.held import Inspection, held_in_step
from engine.kernels.sparse import SparseOperand
from engine.objectives import OBJECTIVES
from engine.settings import Settings
from engine.spec import RunSpec
from engine.trainer import Trainer

CPU = torch.device("cpu")


def trainer(settings: Settings, **changes) -> Trainer:
    spec = RunSpec.parse({"dataset": "karate", "model": "gcn", "device": "cpu", **changes})
    problem = OBJECTIVES[spec.task.name].prepare(spec.task, load_graph(spec.dataset, settings), spec, CPU)
    return Trainer(spec, problem, CPU)


class Keeping(torch.autograd.Function):
    """x, with something on its ctx for the way back."""

    @staticmethod
    def forward(ctx, x: Tensor, kept: object) -> Tensor:
        ctx.kept = kept
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient, None


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


def test_a_small_network_by_hand():
    x, first, second = torch.ones(5, 3), parameter(3, 4), parameter(4, 2)
    with Inspection() as inspection:
        loss = torch.relu(x @ first).mm(second).sum()
        held = inspection.held(loss, [x, first, second])
    # ReLU's result, 5 × 4 × 4 bytes, is the second product's operand too; constant: x (60) and the second weight (32).
    assert (held.bytes, held.constant_bytes) == (80, 92)
    assert {each.operation for each in held.kept} == {"MmBackward0"}


def test_where_a_sparse_tensors_entries_lie_is_structure():
    operand = SparseOperand.from_dense(torch.eye(8))
    assert operand is not None
    with Inspection() as inspection:
        held = inspection.held(Keeping.apply(parameter(4), operand.with_values(2 * operand.values)).sum())
    # Eight values, and those of the operand whose places they have; nine starts and eight (row, column) pairs apart.
    assert (held.bytes, held.constant_bytes) == (2 * 8 * 4, 9 * 8 + 16 * 8)


def test_what_an_operation_keeps_on_its_ctx_is_held():
    class Part(nn.Module):
        weight = torch.ones(1000)

    inner = torch.ones(7)

    def closure() -> Tensor:
        return inner

    kept = {"a": (torch.ones(2), [torch.ones(3).numpy()]), "function": closure, "module": Part(), "number": 3}
    with Inspection() as inspection:
        held = inspection.held(Keeping.apply(parameter(4), kept).sum())
    assert {each.operation for each in held.kept} == {"KeepingBackward"}
    assert sorted(each.bytes for each in held.kept) == [8, 12, 28]


def test_a_view_holds_all_of_its_storage_and_a_storage_counts_once():
    x, weight = torch.ones(10, 8), parameter(8)
    with Inspection() as inspection:
        held = inspection.held((x[0] * weight + x[1] * weight).sum(), [weight])
    assert [(each.bytes, each.shape) for each in held.kept if not each.constant] == [(320, (8,))]


def test_an_array_over_a_tensors_memory_is_that_tensors_storage():
    x = torch.ones(6)
    with Inspection() as inspection:
        out = Keeping.apply(parameter(6), x.numpy()[2:]) * x
        assert inspection.held(out.sum()).bytes == 24


def test_what_the_backward_pass_does_not_need_is_not_held():
    weight = parameter(3)
    with Inspection() as inspection:
        apart = torch.exp(weight).detach()
        held = inspection.held((weight * 2).sum() + apart.sum(), [weight])
    assert held.bytes == 0


def test_what_lives_on_beside_the_loss_is_held_too():
    weight = parameter(3)
    with Inspection() as inspection:
        alive = torch.exp(weight)
        held = inspection.held((weight * 2).sum(), [weight])
    assert alive.grad_fn is not None
    assert [(each.operation, each.bytes) for each in held.kept] == [("other", 12)]


def test_layers_part_the_graph():
    layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    with Inspection(layers) as inspection:
        x = torch.relu(layers[0](torch.ones(5, 3)))
        held = inspection.held(torch.sigmoid(layers[1](x)).sum(), list(layers.parameters()))
    # The layer's own input; the activation on the way to the second one; the sigmoid's result after it.
    assert [held.of_layer(layer) for layer in (0, 1, None)] == [60, 80, 40]


def test_a_forward_pass_without_gradient_holds_nothing():
    with Inspection() as inspection, torch.no_grad():
        assert inspection.held(torch.relu(parameter(3)).sum()).kept == ()


def test_gcn_by_hand(settings: Settings):
    live = trainer(settings, model="gcn(hidden=16)")
    held = held_in_step(live, next(iter(live.problem.batches(1))))
    # Layer 1: the dropped input and ReLU's result, 34 × 16 floats each; the loss: log-softmax of 4 nodes × 4 classes,
    # and the sum of the weights. The features and the weights are there anyway.
    assert [held.of_layer(layer) for layer in (0, 1, None)] == [0, 2 * 34 * 16 * 4, 4 * 4 * 4 + 4]
    assert held.of_layers == 2 * 34 * 16 * 4


def test_quantized_weights_are_held_beside_the_weights(settings: Settings):
    fp32, int8 = (trainer(settings, model="gcn(hidden=16)", scheme=scheme) for scheme in ("fp32", "int8"))
    plain, quantized = (held_in_step(live, next(iter(live.problem.batches(1)))) for live in (fp32, int8))
    assert quantized.of_layer(1) - plain.of_layer(1) == 16 * 4 * 4
    # The quantized features repeat in every step: they are a constant.
    assert all(each.constant for each in quantized.kept if each.layer == 0 and each.shape[0] == 34)


def test_features_whose_range_moves_are_held_anew_in_each_step(settings: Settings):
    def entries(scheme: str) -> list[bool]:
        live = trainer(settings, scheme=scheme)
        held = held_in_step(live, next(iter(live.problem.batches(1))))
        return [
            each.constant for each in held.kept if each.layer == 0 and each.shape == (34,) and each.dtype == "float32"
        ]

    assert False not in entries("int8")
    assert False in entries("qat-int8")


@pytest.mark.parametrize("model", ["gcn", "gat", "sage", "gin", "agnn"])
def test_every_tensor_is_found_and_no_number_changes(settings: Settings, model: str):
    for scheme in ("fp32", "dq-int8", "msfp13", "a2q"):
        looked, plain = (trainer(settings, model=model, scheme=scheme) for _ in range(2))
        with Inspection(looked.model.layers) as inspection:  # pyright: ignore[reportArgumentType]
            loss, objective = looked.forward(next(iter(looked.problem.batches(1))))
            held = inspection.held(objective)
            objective.backward()
        assert held.bytes > 0
        assert "other" not in {each.operation for each in held.kept}
        expected, whole = plain.forward(next(iter(plain.problem.batches(1))))
        whole.backward()
        assert loss.item() == expected.item()
        for ours, theirs in zip(looked.model.parameters(), plain.model.parameters(), strict=True):
            assert torch.equal(ours.grad, theirs.grad)  # pyright: ignore[reportArgumentType]


def test_a_phase_that_learns_nothing_holds_nothing(settings: Settings):
    live = trainer(settings, scheme="ptq-int8")
    live.enter(replace(live.phase, learns=False))
    assert held_in_step(live, next(iter(live.problem.batches(1)))).bytes == 0
