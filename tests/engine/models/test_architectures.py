"""Each architecture: its modules' sites, its parameters as PyG's or the paper's, and its work in the ledger."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.nn import GAT, GCN, AGNNConv, GraphSAGE

from engine.datasets import GraphSize
from engine.layers.operand import Constant
from engine.ledger import densities, ledger_rows
from engine.live import Sites, bind
from engine.models import MODELS, Model, ModelSpec
from engine.models.gat import GATSpec
from engine.models.gin import GINSpec
from engine.scheme import parse_scheme
from engine.topology import Topology

CORA = GraphSize(2708, 10556, 1433, 7)
SMALL = GraphSize(30, 80, 12, 3)

VARIANTS: dict[str, dict[str, Any]] = {
    "gcn": {},
    "gcn by edge": {"message": "edge", "layers": 3, "batch_norm": True, "residual": True},
    "sage": {},
    "sage max": {"aggregate": "max", "layers": 3, "batch_norm": True, "residual": True},
    "gin": {},
    "gin for graphs": {
        "layers": 3, "mlp_layers": 2, "batch_norm": True, "train_eps": True, "readout": "mean", "dropout": 0.0,
    },
    "gcn for graphs": {"layers": 3, "readout": "sum", "batch_norm": True, "residual": True},
    "sage for graphs": {"layers": 3, "readout": "max", "readout_layers": 1},
    "gat for graphs": {"readout": "mean", "batch_norm": True, "residual": True},
    "agnn for graphs": {"readout": "mean", "readout_layers": 3},
    "gat": {},
    "gat residual": {"residual": True, "layers": 3, "batch_norm": True, "output_heads": 2},
    "agnn": {},
    "agnn fixed": {"train_beta": False, "layers": 3},
}  # fmt: skip
"""Every architecture with its defaults and with its other options."""


def build(variant: str, size: GraphSize) -> tuple[Model, ModelSpec, Any]:
    model = MODELS[variant.split()[0]]
    spec = model.spec.model_validate(VARIANTS[variant])
    built: Any = model.build(spec, size)
    built.reset_parameters(0)
    return model, spec, built


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small_graph() -> tuple[Constant, Topology]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SMALL.nodes, SMALL.features, generator=generator)
    edge_index = torch.randint(SMALL.nodes, (2, SMALL.edges), generator=generator)
    return Constant.of(x), Topology(edge_index, SMALL.nodes)


def test_every_architecture_is_among_the_variants():
    assert {variant.split()[0] for variant in VARIANTS} == set(MODELS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_modules_declare_the_models_sites(variant: str):
    model, _, built = build(variant, SMALL)
    found = (getattr(module, "sites", None) for module in built.modules())
    assert {name for sites in found if isinstance(sites, Sites) for name in sites.names} == set(model.sites)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_scheme_may_address_each_layer(variant: str):
    model, spec, built = build(variant, SMALL)
    assert model.layers(spec) == len(built.layers)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scheme", ["fp32", "int8(message_gradient=true)", "qat-int4", "dq-int8", "msfp13"])
def test_a_step_gives_every_parameter_a_finite_gradient(variant: str, scheme: str):
    _, _, built = build(variant, SMALL)
    live = bind(parse_scheme(scheme), built, nodes=SMALL.nodes)
    x, topology = small_graph()
    live.begin(topology, seed=0, step=1)
    out = built(x, topology, seed=0, step=1)
    assert out.shape == ((1 if "graphs" in variant else SMALL.nodes), SMALL.classes)
    out.square().sum().backward()
    for name, parameter in built.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(
    ("variant", "reference", "expected"),
    [
        ("gcn", lambda: GCN(1433, 16, 2, 7), 23_063),
        ("sage", lambda: GraphSAGE(1433, 16, 2, 7), 46_103),
        ("gat", lambda: GAT(1433, 8 * 8, 1, heads=8, concat=True), 91_904),
    ],
)
def test_parameter_counts_on_cora_are_pygs(variant: str, reference, expected: int):
    _, _, built = build(variant, CORA)
    theirs = reference()
    assert count(theirs) == expected
    whole = count(built)
    # PyG's GAT class shares its heads with the last layer, ours ends with one: compare the first layer.
    ours = count(built.layers[0]) if variant == "gat" else whole
    assert ours == expected


def test_gat_on_cora_has_the_papers_parameters():
    assert count(build("gat", CORA)[2]) == 92_373


def test_gin_on_cora_is_two_single_linears():
    assert count(build("gin", CORA)[2]) == (1433 * 16 + 16) + (16 * 7 + 7)


def test_an_mlps_inner_widths_are_the_hidden_width():
    model = MODELS["gin"]
    spec = GINSpec(mlp_layers=2)
    expected = nn.ModuleList([nn.Linear(1433, 16), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 7)])
    assert count(model.build(spec, CORA)) == count(expected)


def test_agnn_on_cora_is_two_linears_and_a_temperature_a_propagation():
    reference = nn.ModuleList([nn.Linear(1433, 16), AGNNConv(), AGNNConv(), nn.Linear(16, 7)])
    assert count(build("agnn", CORA)[2]) == count(reference)


def test_degree_quants_reddit_binary_gin_has_42503_parameters():
    model = MODELS["gin"]
    spec = GINSpec(layers=5, hidden=64, mlp_layers=2, batch_norm=True, train_eps=True, readout="mean", dropout=0.0)
    built = model.build(spec, GraphSize(55_000, 128_000, 1, 2, graphs=128))
    assert count(built) == 42_503


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_ledger_charges_each_quantized_site(variant: str):
    """dq quantizes all forward sites: each appears, none twice as wide; fp32 charges everything at one."""
    model, spec, _ = build(variant, CORA)
    products = model.products(spec, CORA)
    rows = ledger_rows(products, parse_scheme("dq-int8"), 1)
    charged = {row.site for row in rows if row.format == "int8"}
    # The feature of layers that aggregate first, and every update, enter no product.
    operands = {site for product in products for operand in product.operands for site in operand.sites}
    assert charged <= set(model.sites)
    assert {"input", "weight", "message", "aggregate"} <= charged
    assert ("score" in charged) == ("score" in model.sites)
    assert {"gradient", "score gradient"} & charged == set()
    assert operands <= {*model.sites, "score gradient"}
    plain = ledger_rows(products, parse_scheme("fp32"), 1)
    assert densities(plain, "training", "whole step").memory == 1.0
    assert sum(row.macs for row in rows) == sum(product.macs for product in products)


def test_an_edges_message_is_charged_an_edge_and_otherwise_the_nodes_feature():
    model = MODELS["gat"]
    products = model.products(GATSpec(), CORA)
    edges = CORA.edges + CORA.nodes

    def elements(scheme: str) -> dict[str, int]:
        rows = ledger_rows(products, parse_scheme(scheme), 1)
        return {row.site: row.elements for row in rows if row.layer == 0 and row.product == "aggregate"}

    assert elements("dq-int8")["message"] == edges * 64
    assert "message" not in elements("int8")
    assert elements("int8")["feature"] == CORA.nodes * 64
    assert elements("int8")["score"] == edges * 8
