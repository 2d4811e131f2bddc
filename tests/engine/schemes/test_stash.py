"""The part "+stash-int4": activations are kept packed, the forward pass is as it was, and less memory is held."""

from __future__ import annotations

import pytest
import torch

from engine.errors import InputError
from engine.graph import load_graph
from engine.held import held_in_step
from engine.objectives import OBJECTIVES
from engine.scheme import parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec
from engine.trainer import Trainer


def trainer(scheme: str, layers: int = 3) -> Trainer:
    model = {"name": "gcn", "layers": layers, "hidden": 64, "dropout": 0.5}
    spec = RunSpec.parse({"dataset": "karate", "model": model, "scheme": scheme, "device": "cpu"})
    problem = OBJECTIVES[spec.task.name].prepare(
        spec.task, load_graph(spec.dataset, Settings()), spec, torch.device("cpu")
    )
    return Trainer(spec, problem, torch.device("cpu"))


def step(scheme: str) -> tuple[float, list[torch.Tensor]]:
    """The loss, and the gradients of the weights, first layer first."""
    found = trainer(scheme)
    loss, objective = found.forward(next(iter(found.problem.batches(1))))
    objective.backward()
    gradients = [part.grad for name, part in found.model.named_parameters() if name.endswith("weight")]
    return loss.item(), [gradient for gradient in gradients if gradient is not None]


def test_what_is_kept_changes_no_loss_and_only_the_gradients_that_read_it() -> None:
    plain, kept = step("fp32"), step("fp32+stash-int8")
    assert kept[0] == plain[0]
    # The features are no activation: the first layer's gradient reads them as they are.
    assert torch.equal(kept[1][0], plain[1][0])
    for with_stash, without in zip(kept[1][1:], plain[1][1:], strict=True):
        assert not torch.equal(with_stash, without)
        assert (with_stash - without).norm() < 0.02 * without.norm()


def test_four_bits_and_a_bit_for_the_relu_are_held_in_place_of_floats() -> None:
    held = {}
    for scheme in ("fp32", "fp32+stash-int4"):
        live = trainer(scheme)
        held[scheme] = held_in_step(live, next(iter(live.problem.batches(1)))).of_layers
    activations = 2 * 34 * 64
    assert held["fp32"] == pytest.approx(held["fp32+stash-int4"] - activations * 5 / 8 - 2 * 34 * 8 + 8 * activations)


def test_the_stash_is_said_once() -> None:
    with pytest.raises(InputError) as error:
        parse_scheme("int8+stash-int4+stash-int8")
    assert str(error.value) == ("'stash-int8' says how activations are kept, which what stands before it says already")


@pytest.mark.parametrize("name", ["stash-msfp13", "stash-int16"])
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(InputError) as error:
        parse_scheme(f"fp32+{name}")
    assert str(error.value) == (
        f"the scheme part {name!r}: activations are kept in integers of at most 8 bits; write, for example, stash-int4"
    )
