"""A schedule in one's own loop, over any PyG model."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GAT, GCN

import engine
import engine.instrument
from engine.errors import InputError

NODES = 40


def make_data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, 8, generator=generator)
    edges = torch.randint(0, NODES, (2, 160), generator=generator)
    return x, edges, torch.randint(0, 3, (NODES,), generator=generator)


@pytest.mark.parametrize("kind", [GCN, GAT])
def test_precision_rises_without_touching_parameters_or_optimizer(kind):
    torch.manual_seed(0)
    x, edges, y = make_data()
    model = engine.quantize(kind(8, 16, num_layers=2, out_channels=3), "sdq[int3,int8,fp32]")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = engine.follow(model, epochs=9)
    identities = [id(parameter) for parameter in model.parameters()]
    found, losses = [], []
    for _ in range(9):
        loss = torch.nn.functional.cross_entropy(model(x, edges), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        found.append((schedule.label, schedule.after_epoch(loss.item())))
    assert [label for label, _ in found] == ["int3"] * 3 + ["int8"] * 3 + ["fp32"] * 3
    assert [decision is not None for _, decision in found] == [False, False, True] * 2 + [False] * 3
    assert [id(parameter) for parameter in model.parameters()] == identities
    assert {state["step"].item() for state in optimizer.state.values()} == {9.0}
    # At fp32 the instrumented model is the plain one.
    model.eval()
    with torch.no_grad():
        quantized = model(x, edges)
        plain = engine.unquantize(model)(x, edges)
    assert torch.equal(quantized, plain)


def test_each_format_of_the_ladder_gives_other_outputs():
    x, edges, _ = make_data()
    torch.manual_seed(0)
    model = engine.quantize(GCN(8, 16, num_layers=2, out_channels=3), "sdq[int2,int4,int8]").eval()
    schedule, outputs = engine.follow(model, epochs=3), []
    for _ in range(3):
        with torch.no_grad():
            outputs.append(model(x, edges))
        schedule.after_epoch(1.0)
    assert not torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])


def test_adq_hears_the_losses():
    x, edges, _ = make_data()
    model = engine.quantize(GCN(8, 16, num_layers=2, out_channels=3), "adq[int4,int8]")
    model(x, edges)
    schedule = engine.follow(model, epochs=30)
    *_, decision = [schedule.after_epoch(1.0) for _ in range(11)]
    assert decision is not None
    assert (schedule.label, decision.signal, decision.value) == ("int5", "loss plateau", 1.0)


def test_a_kept_model_and_schedule_go_on():
    x, edges, _ = make_data()

    def fresh():
        torch.manual_seed(0)
        model = engine.quantize(GCN(8, 16, num_layers=2, out_channels=3), "sdq[int2,int8](range=mse)")
        return model, engine.follow(model, epochs=4)

    model, schedule = fresh()
    for _ in range(3):
        model(x, edges)
        schedule.after_epoch(1.0)
    kept = model.state_dict(), schedule.state()
    again, other = fresh()
    again.load_state_dict(kept[0])
    other.restore(kept[1])
    assert other.label == schedule.label == "int8"
    with torch.no_grad():
        assert torch.equal(again.eval()(x, edges), model.eval()(x, edges))


def test_evaluating_right_after_a_switch_uses_the_range_of_before():
    x, edges, _ = make_data()
    model = engine.quantize(GCN(8, 16, num_layers=2, out_channels=3), "sdq[int4,int8](range=mse)")
    schedule = engine.follow(model, epochs=2)
    model(x, edges)
    schedule.after_epoch(1.0)
    assert schedule.label == "int8"
    assert torch.isfinite(model.eval()(x, edges)).all()


def test_what_no_hook_reaches_is_told():
    with pytest.warns(engine.instrument.NotReachedWarning, match="gradient between layers"):
        engine.quantize(GCN(8, 16, num_layers=2, out_channels=3), "dsq[int8,int4,int8,int8]")


@pytest.mark.parametrize(
    ("scheme", "epochs", "message"),
    [
        (None, 3, "this GCN was not quantized by engine.quantize"),
        (
            "int8",
            3,
            "the scheme 'int8' has no schedule to follow: quantize the model with one, such as adq[int4,int8]",
        ),
        ("adq[int4,int8]", 0, "epochs = 0 is not allowed: a schedule needs at least one epoch"),
    ],
)
def test_what_cannot_be_followed_is_refused(scheme: str | None, epochs: int, message: str):
    model = GCN(8, 16, num_layers=2, out_channels=3)
    if scheme is not None:
        engine.quantize(model, scheme)
    with pytest.raises(InputError) as error:
        engine.follow(model, epochs=epochs)
    assert str(error.value) == message
