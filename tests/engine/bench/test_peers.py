"""The peers of the benches do the same work as Bitfront's own models: in fp32, with equal parameters, equal outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.bench.peers import PlainGCN, PyGStack, edges_as
from engine.bench.plain import PLAIN
from engine.bench.steps import Variant, prepare
from engine.datasets import GraphSize
from engine.layers.operand import Constant, DenseOperand
from engine.models import MODELS
from engine.topology import Topology

NODES, FEATURES = 30, 40


@pytest.fixture(scope="module")
def graph() -> tuple[Tensor, Tensor]:
    """(x, edge_index), without a pair twice: PyG's CSR form would add its weights."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randperm(NODES * NODES, generator=generator)[:150]
    edge_index = torch.stack([pairs // NODES, pairs % NODES])
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    return torch.randn(NODES, FEATURES, generator=generator), edge_index


def ours(model: str) -> tuple[Any, Any, GraphSize]:
    """(spec, the model in evaluation mode, the size)."""
    spec = Variant("karate", model, "bitfront").spec.model
    size = GraphSize(nodes=NODES, edges=0, features=FEATURES, classes=4)
    built: Any = MODELS[model].build(spec, size)
    built.reset_parameters(0)
    return spec, built.eval(), size


def give(peer: PyGStack, own: nn.Module) -> None:
    """The peer takes the parameters of our model."""
    names = {
        "gcn": lambda n: n.replace("lin.weight", "weight"),
        "sage": lambda n: n.replace("lin_l", "neighbours").replace("lin_r", "root"),
        "gin": lambda n: n.replace("nn.", "mlp.linears.0."),
        "gat": lambda n: n.replace("lin.weight", "weight"),
        "agnn": lambda n: n,
    }[peer.spec.name]
    parameters = dict(own.named_parameters())
    given: set[str] = set()
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            place = names(name.replace("convolutions", "layers"))
            if ".att_" in place:
                layer, _, which = place.rpartition(".")
                given.add(f"{layer}.attention.weight")
                parameter.copy_(parameters[f"{layer}.attention.weight"][["att_src", "att_dst"].index(which)][None])
            else:
                given.add(place)
                parameter.copy_(parameters[place])
    assert given == set(parameters)


@pytest.mark.parametrize("model", ["gcn", "gat", "gin", "sage", "agnn"])
def test_pygs_layers_give_what_ours_give(model: str, graph: tuple[Tensor, Tensor]):
    x, edge_index = graph
    spec, own, size = ours(model)
    expected = own(Constant(DenseOperand(x)), Topology(edge_index, NODES))
    for form in ("edge_index", "torch.sparse"):
        # Anew: a cached normalization is of one form.
        peer = PyGStack(spec, size).eval()
        give(peer, own)
        assert torch.allclose(peer(x, edges_as(form, edge_index, NODES)), expected, rtol=1e-4, atol=1e-5)


def test_the_plain_formula_is_gcn_where_nothing_is_rounded(graph: tuple[Tensor, Tensor]):
    x, edge_index = graph
    spec, own, size = ours("gcn")
    plain = PlainGCN(spec, size, lambda y: y, blocks=True)
    with torch.no_grad():
        for index, layer in enumerate(own.layers):
            plain.weights[index].copy_(layer.weight)
            plain.biases[index].copy_(layer.bias)
    out = plain.eval()(x, plain.prepare(edge_index, NODES))
    expected = own(Constant(DenseOperand(x)), Topology(edge_index, NODES))
    assert torch.allclose(out, expected, rtol=1e-4, atol=1e-5)
    out.square().sum().backward()
    expected.square().sum().backward()
    for index, layer in enumerate(own.layers):
        assert torch.allclose(plain.weights[index].grad, layer.weight.grad, rtol=1e-3, atol=1e-4)
        assert torch.allclose(plain.biases[index].grad, layer.bias.grad, rtol=1e-3, atol=1e-4)


def test_the_plain_formula_rounds_every_site(graph: tuple[Tensor, Tensor]):
    x, edge_index = graph
    spec, _, size = ours("gcn")
    # Two layers: input, weight, feature and aggregate of each, then the gradient into each; boxes along the other axes
    # are made of the gradient and the input of both layers, and of the second one's weight.
    for format, blocks, times in (("int8", False, 10), ("msfp13", True, 15)):
        calls: list[tuple[int, ...]] = []

        def counted(y: Tensor, format: str = format, calls: list[tuple[int, ...]] = calls) -> Tensor:
            calls.append(tuple(y.shape))
            return PLAIN[format](y)

        plain = PlainGCN(spec, size, counted, blocks=blocks)
        plain.eval()(x, plain.prepare(edge_index, NODES)).sum().backward()
        assert len(calls) == times


def test_every_variant_takes_steps_on_features_of_known_size():
    for variant in (
        Variant("karate", "gcn", "pyg"),
        Variant("karate", "gcn", "pyg torch.sparse"),
        Variant("karate", "gcn", "plain", "msfp13"),
        Variant("karate", "gcn", "bitfront", "dq-int8"),
        Variant("karate", "gcn", "bitfront", "msfp13", sparse=True),
        Variant("karate", "gcn", "bitfront", "int8", input_dropout=True),
    ):
        prepared = prepare(variant)
        # 34 one-hot features: dense, or 34 entries with their columns and 35 starts.
        assert prepared.features == (34 * 12 + 35 * 8 if variant.sparse else 4 * 34 * 34)
        step = prepared.start()
        step()
        step()
