"""Batch-norm folding: the same labels, fewer modules, and clear refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import MLP, BatchNorm

from engine.errors import RunError
from engine.folding import fold_batch_norm, fold_bn
from engine.layers.gat import GATLayer
from engine.layers.gcn import GCNLayer
from engine.layers.gin import GINLayer
from engine.layers.sage import SAGELayer
from engine.layers.stack import Stack
from engine.topology import Topology


def trained(*modules: nn.Module, rows: int = 200) -> tuple[nn.Sequential, Tensor]:
    """A sequence whose batch norms have seen data."""
    torch.manual_seed(0)
    model = nn.Sequential(*modules)
    x = torch.randn(rows, 8) * 3 + 1
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d) and part.affine:
            nn.init.uniform_(part.weight, -2, 2)
            nn.init.normal_(part.bias)
    for _ in range(20):
        model(x)
    return model, x


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_linear_layer_takes_its_batch_norm_in(bias: bool, affine: bool):
    model, x = trained(
        nn.Linear(8, 16, bias=bias), nn.BatchNorm1d(16, affine=affine), nn.ReLU(), nn.Linear(16, 4), nn.BatchNorm1d(4)
    )
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = fold_batch_norm(model, lambda model: model(x))
    assert (found.folded, found.left, found.rows, found.differing) == (("1", "4"), (), 200, 0)
    assert not [part for part in found.model.modules() if isinstance(part, nn.BatchNorm1d)]
    assert torch.allclose(found.model(x), model.eval()(x), rtol=1e-4, atol=1e-5)
    # The original is as it was, in training mode or not.
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_the_original_keeps_its_mode_and_the_copy_evaluates():
    model, x = trained(nn.Linear(8, 3), nn.BatchNorm1d(3))
    model.train()
    assert not fold_bn(model, lambda model: model(x)).model.training
    assert model.training


def test_pygs_batch_norm_is_folded_too():
    model, x = trained(nn.Linear(8, 16), BatchNorm(16), nn.ReLU(), nn.Linear(16, 3))
    assert fold_batch_norm(model, lambda model: model(x)).folded == ("1",)


def test_a_module_may_name_its_own_pairs():
    class TwoLinears(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

        def batch_norms(self) -> list[tuple[tuple[str, ...], str]]:
            return [(("first",), "norm")]

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.norm(self.first(x))))

    model, x = trained(TwoLinears())
    found = fold_batch_norm(model, lambda model: model(x))
    assert found.folded == ("0.norm",)
    assert isinstance(found.model.get_submodule("0.norm"), nn.Identity)


def test_a_batch_norm_after_something_else_stays_and_is_named():
    model, x = trained(nn.BatchNorm1d(8), nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.BatchNorm1d(16))
    found = fold_batch_norm(model, lambda model: model(x))
    assert (found.folded, found.left) == (("2",), ("0", "4"))


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ((nn.Linear(8, 3),), "Sequential cannot be folded: it has no batch norm"),
        (
            (nn.BatchNorm1d(8), nn.Linear(8, 3)),
            "Sequential cannot be folded: the batch norms 0 follow no linear layer directly",
        ),
        (
            (nn.Linear(8, 3), nn.BatchNorm1d(3, track_running_stats=False)),
            "the batch norm 1 keeps no running statistics, so it cannot be folded: track_running_stats",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused(modules: tuple[nn.Module, ...], message: str):
    model, x = trained(*modules)
    with pytest.raises(RunError) as caught:
        fold_batch_norm(model, lambda model: model(x))
    assert str(caught.value) == message


def test_a_label_that_changes_clearly_is_refused():
    class Coarse(nn.Linear):
        """Weights rounded to whole numbers: folding changes what is rounded."""

        def forward(self, input: Tensor) -> Tensor:
            return nn.functional.linear(input, self.weight.round(), self.bias)

    model, x = trained(Coarse(8, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(4)
        model(x)
    allowed = fold_batch_norm(model, lambda model: model(x), changed=1.0)
    assert 0 < allowed.differing < 200
    with pytest.raises(
        RunError, match=r"^folding 1 changed \d+ of 200 labels that are clear in the unfolded model: keep"
    ):
        fold_batch_norm(model, lambda model: model(x))


EDGES = torch.tensor([[0, 1, 2, 3, 4, 4, 5, 0], [1, 2, 0, 4, 5, 3, 0, 5]])


def native(layer: nn.Module) -> tuple[Stack, Topology, Tensor]:
    """A layer of its own and one after it, whose batch norms have seen data."""
    model = Stack([layer, GCNLayer(6, 3)], dropout=0.0, input_dropout=False)
    model.reset_parameters(0)
    topology, x = Topology(EDGES, 6), torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
    for _ in range(20):
        model.train()(x, topology)
    return model, topology, x


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (GCNLayer(5, 6, batch_norm=True), "layers.0.norm"),
        (SAGELayer(5, 6, batch_norm=True), "layers.0.norm"),
        (SAGELayer(5, 6, bias=False, aggregate="max", batch_norm=True), "layers.0.norm"),
        (GINLayer(5, 6, mlp_layers=2, batch_norm=True), "layers.0.mlp.norm"),
    ],
)
def test_a_native_layer_takes_its_batch_norm_in(layer: nn.Module, name: str):
    model, topology, x = native(layer)
    found = fold_batch_norm(model, lambda model: model(x, topology))
    assert (found.folded, found.left, found.differing) == ((name,), (), 0)
    assert torch.allclose(found.model(x, topology), model.eval()(x, topology), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layer", [GINLayer(5, 6, mlp_layers=2, activate=True, batch_norm=True), GATLayer(5, 3, heads=2, batch_norm=True)]
)
def test_what_lies_between_is_not_folded_over(layer: nn.Module):
    """A ReLU; attention, whose weights depend on the scale."""
    model, topology, x = native(layer)
    with pytest.raises(
        RunError, match=r"^Stack cannot be folded: the batch norms layers\.0\.(mlp\.)?norm follow no linear"
    ):
        fold_batch_norm(model, lambda model: model(x, topology))


def test_a_pyg_mlp_keeps_its_labels():
    """Its norms stand in a list of their own, so they are left, and named."""
    torch.manual_seed(0)
    mlp = MLP([8, 16, 3], norm="batch_norm")
    model, x = trained(nn.Linear(8, 8), nn.BatchNorm1d(8), mlp)
    found = fold_batch_norm(model, lambda model: model(x))
    assert found.folded == ("1",)
    assert found.left == ("2.norms.0.module",)
