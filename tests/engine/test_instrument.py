"""Any PyG model: instrumented, trained, copied, saved, restored; what is not reached is named."""

# Submodules and hooks are found by name, which no checker can follow.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportOptionalMemberAccess=false, reportIncompatibleMethodOverride=false, reportIndexIssue=false
# pyright: reportGeneralTypeIssues=false, reportPossiblyUnboundVariable=false

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from torch_geometric.nn import (
    GAT,
    GCN,
    GIN,
    ChebConv,
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    GraphSAGE,
    MessagePassing,
    PNAConv,
    SAGEConv,
    SGConv,
    TransformerConv,
)

import engine
from engine.errors import InputError
from engine.formats import get_format
from engine.instrument import NotReachedWarning, QuantizedLinear, Reach, hooks_of, report
from engine.layers.gat import GATLayer
from engine.layers.gcn import GCNLayer
from engine.layers.gin import GINLayer
from engine.layers.sage import SAGELayer
from engine.live import LiveScheme, bind
from engine.scheme import parse_scheme
from engine.topology import Topology

NODES, INPUTS, CLASSES = 30, 12, 4
DEGREES = torch.tensor([0, 5, 8, 8, 4, 3, 2])


class Handmade(MessagePassing):
    """A convolution that nobody has seen: gated messages, mean of the neighbours."""

    def __init__(self) -> None:
        super().__init__(aggr="mean")
        self.gate = nn.Linear(2 * INPUTS, 1)
        self.value = nn.Linear(INPUTS, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.value(x) + self.propagate(edge_index, x=x, h=self.value(x))

    def message(self, x_i: Tensor, x_j: Tensor, h_j: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(torch.cat([x_i, x_j], dim=-1))) * h_j


class Wrapped(nn.Module):
    """One convolution between two linear layers, with edge features where it takes them."""

    def __init__(self, conv: nn.Module, width: int = CLASSES, *, edge_features: bool = False) -> None:
        super().__init__()
        self.encoder = nn.Linear(INPUTS, INPUTS)
        self.conv = conv
        self.decoder = nn.Linear(width, CLASSES)
        self.edge_features = edge_features

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = self.encoder(x).relu()
        extra = {"edge_attr": x[edge_index[0]]} if self.edge_features else {}
        return self.decoder(self.conv(x, edge_index, **extra).relu())


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 6), nn.ReLU(), nn.Linear(6, 6))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "GCN": lambda: GCN(INPUTS, 8, 2, CLASSES),
    "GAT": lambda: GAT(INPUTS, 8, 2, CLASSES, heads=2),
    "GATv2": lambda: Wrapped(GATv2Conv(INPUTS, 3, heads=2), 6),
    "GraphSAGE": lambda: GraphSAGE(INPUTS, 8, 2, CLASSES),
    "GIN": lambda: GIN(INPUTS, 8, 2, CLASSES),
    "GINE": lambda: Wrapped(GINEConv(mlp()), 6, edge_features=True),
    "PNA": lambda: Wrapped(PNAConv(INPUTS, 6, ["mean", "max"], ["identity", "amplification"], deg=DEGREES), 6),
    "SGC": lambda: Wrapped(SGConv(INPUTS, 6, K=2), 6),
    "ChebConv": lambda: Wrapped(ChebConv(INPUTS, 6, K=3), 6),
    "TransformerConv": lambda: Wrapped(TransformerConv(INPUTS, 3, heads=2), 6),
    "handmade": Handmade,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotReachedWarning)
        yield


def graph() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, INPUTS, generator=generator)
    edge_index = torch.randint(NODES - 2, (2, 90), generator=generator)  # two nodes stay alone
    return x, edge_index, torch.randint(CLASSES, (NODES,), generator=generator)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name]()


@pytest.mark.parametrize("name", MODELS)
def test_in_fp32_outputs_and_gradients_are_the_same(name: str):
    x, edge_index, _ = graph()
    plain, model = build(name), engine.quantize(build(name), "fp32")
    outputs = []
    for each in (plain.eval(), model.eval()):
        out = each(x, edge_index)
        out.square().sum().backward()
        outputs.append(out.detach())
    torch.testing.assert_close(*outputs)
    theirs = dict(plain.named_parameters())
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[key].grad)


@pytest.mark.parametrize("scheme", ["int8", "msfp13", "dq-int8(p_min=0.2,p_max=0.8)"])
@pytest.mark.parametrize("name", MODELS)
def test_it_learns(name: str, scheme: str):
    x, edge_index, y = graph()
    model = engine.quantize(build(name), scheme, seed=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = cross_entropy(model(x, edge_index), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_messages_aggregates_and_updates_lie_on_the_formats_grid(name: str):
    x, edge_index, _ = graph()
    model = engine.quantize(build(name), "qat-int3").train()
    seen: dict[str, list[Tensor]] = {}

    def look(site: str):
        def hook(module: nn.Module, inputs: object, out: Tensor) -> None:
            seen.setdefault(site, []).append(out.detach())

        return hook

    for module in model.modules():
        if isinstance(module, MessagePassing):  # hooks run in the order of registration: after the quantizer's
            module.register_message_forward_hook(look("message"))
            module.register_aggregate_forward_hook(look("aggregate"))
            module.register_forward_hook(look("update"))
    model(x, edge_index)
    assert set(seen) == {"message", "aggregate", "update"}
    for found in seen.values():
        assert all(len(tensor.unique()) <= 8 for tensor in found)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_copied_pickled_and_loaded_with_its_ranges(name: str):
    x, edge_index, _ = graph()
    model = engine.quantize(build(name), "qat-int4").train()
    model(x, edge_index)
    expected = model.eval()(x, edge_index)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    fresh = engine.quantize(build(name), "qat-int4").eval()
    fresh.load_state_dict(model.state_dict())
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False), fresh]
    for other in others:
        assert torch.equal(other(x, edge_index), expected)
        assert not set(map(id, other.parameters())) & set(map(id, model.parameters()))
        engine.unquantize(other)
    assert torch.equal(model(x, edge_index), expected)


@pytest.mark.parametrize("name", MODELS)
def test_undone_it_is_the_same_model_as_before(name: str):
    x, edge_index, _ = graph()
    model = build(name).eval()
    kinds = [(key, type(module)) for key, module in model.named_modules()]
    parameters, expected = {key: id(p) for key, p in model.named_parameters()}, model(x, edge_index)
    state = model.state_dict()
    assert engine.quantize(model, "dq-int4") is model
    assert {key: id(p) for key, p in model.named_parameters()} == parameters
    model.load_state_dict(state)  # a plain state dict loads
    assert not torch.equal(model.train()(x, edge_index), expected)
    assert engine.unquantize(model.eval()) is model
    assert [(key, type(module)) for key, module in model.named_modules()] == kinds
    assert {key: id(p) for key, p in model.named_parameters()} == parameters
    assert torch.equal(model(x, edge_index), expected)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert set(model.state_dict()) == set(state)


def test_protection_is_by_the_graph_it_is_called_with_and_drawn_anew_each_pass():
    x, edge_index, _ = graph()
    model = engine.quantize(build("GCN"), "dq-int4(p_min=0.3,p_max=0.7)", seed=1).train()
    live = model.quantization
    model(x, edge_index)
    first = live.protected(0)
    assert torch.equal(live.topology.in_degree, torch.bincount(edge_index[1], minlength=NODES))
    model(x, edge_index)
    assert not torch.equal(first, live.protected(0))
    model.eval()(x, edge_index)
    assert live.protected(0) is None
    assert live.passes == 2


def test_a_data_object_will_do():
    class OnData(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.Linear(INPUTS, 6)
            self.conv = GCNConv(6, CLASSES)

        def forward(self, data: Data) -> Tensor:
            return self.conv(self.before(data.x), data.edge_index)

    x, edge_index, _ = graph()
    model = engine.quantize(OnData(), "dq-int4").train()
    model(Data(x=x, edge_index=edge_index))
    assert model.quantization.topology.nodes == NODES


def test_what_is_not_reached_is_told_by_name():
    x = build("GAT")
    with pytest.warns(NotReachedWarning, match=r"dq-int8 leaves in full precision: convs.0 \(GATConv\): score"):
        engine.quantize(x, "dq-int8")
    missed = [reach for reach in report(x) if not reach.reached]
    no_hook = "no public hook reaches what enters the softmax"
    no_linear = "a parameter that no linear layer holds"
    assert missed == [
        Reach("convs.0 (GATConv)", "score", False, no_hook),
        Reach("convs.1 (GATConv)", "score", False, no_hook),
        *(
            Reach(f"convs.{k} (GATConv)", name, False, no_linear)
            for k in (0, 1) for name in ("att_src", "att_dst")
        ),
    ]  # fmt: skip
    assert {reach.what for reach in report(x) if reach.reached} >= {"message", "aggregate", "update", "weight"}


@pytest.mark.parametrize(
    ("make", "scheme", "message"),
    [
        (
            lambda: GAT(INPUTS, 8, 2, CLASSES),
            "qat-int8:score",
            "the scheme 'qat-int8:score' quantizes the site 'score', which is reached nowhere in this GAT; "
            "reached are: none",
        ),
        (
            lambda: GCN(INPUTS, 8, 2, CLASSES),
            "lwq[8,4,4]",
            "the scheme 'lwq[8,4,4]' gives bits for 3 layers, but this GCN has 2 convolutions: give 2",
        ),
        (nn.ReLU, "int8", "ReLU has neither message passing nor linear layers: there is nothing to quantize"),
        (lambda: nn.Linear(2, 2), "int8", "a single Linear cannot be replaced in itself: put it into a module"),
        (
            lambda: nn.Sequential(nn.Linear(2, 2)),
            "int8",
            "a Sequential calls each of its children, so that it cannot hold the scheme: put it into a module",
        ),
        (
            lambda: engine.quantize(GCN(INPUTS, 8, 2, CLASSES), "int8"),
            "int8",
            "this GCN is quantized already: call engine.unquantize(model) first",
        ),
        (
            lambda: Wrapped(GCNConv(-1, CLASSES)),
            "int8",
            "conv.lin has no size yet: run the model once, or give its number of inputs, then quantize it",
        ),
        (
            lambda: Wrapped(GCNConv(INPUTS, CLASSES, decomposed_layers=2)),
            "int8",
            "conv (GCNConv) decomposes its layers, so that no hook sees whole messages: set decomposed_layers = 1",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_instrumented_is_refused(make: Callable[[], nn.Module], scheme: str, message: str):
    with pytest.raises(InputError) as caught:
        engine.quantize(make(), scheme)
    assert str(caught.value) == message


def test_a_sparse_adjacency_is_refused_where_its_product_is_fused():
    x, edge_index, _ = graph()
    model = engine.quantize(build("GraphSAGE"), "int8")
    adjacency = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(edge_index.shape[1]), (NODES, NODES)).coalesce()
    with pytest.raises(InputError) as caught:
        model(x, adjacency.to_sparse_csr())
    assert str(caught.value) == (
        "convs.0 (SAGEConv) is given a sparse adjacency, whose fused product has no message to quantize: "
        "give edge_index as a [2, E] tensor, or set the layer's fuse = False"
    )


def test_undoing_what_was_not_done_is_refused():
    with pytest.raises(InputError) as caught:
        engine.unquantize(build("GCN"))
    assert str(caught.value) == "this GCN was not quantized by engine.quantize"


# Native and instrumented layers, one step from equal state (DESIGN.md, "How two paths are compared").


class One(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList([layer])

    def forward(self, x: Tensor, topology: Topology) -> Tensor:
        return self.layers[0](x, topology)


def native_and_instrumented(kind: str) -> tuple[nn.Module, nn.Module]:
    """The same parameters in our layer and in PyG's."""
    generator = torch.Generator().manual_seed(1)
    if kind == "gcn":
        ours, theirs = GCNLayer(INPUTS, CLASSES, message="edge"), GCNConv(INPUTS, CLASSES)
        pairs = [(ours.weight, theirs.lin.weight), (ours.bias, theirs.bias)]
    elif kind == "sage":
        ours, theirs = SAGELayer(INPUTS, CLASSES), SAGEConv(INPUTS, CLASSES)
        pairs = [
            (ours.neighbours.weight, theirs.lin_l.weight),
            (ours.neighbours.bias, theirs.lin_l.bias),
            (ours.root.weight, theirs.lin_r.weight),
        ]
    elif kind == "gin":
        linear = nn.Linear(INPUTS, CLASSES)
        ours, theirs = GINLayer(INPUTS, CLASSES), GINConv(linear)
        [dense] = ours.mlp.linears
        pairs = [(dense.weight, linear.weight), (dense.bias, linear.bias)]
    else:
        ours, theirs = GATLayer(INPUTS, CLASSES, heads=1), GATConv(INPUTS, CLASSES)
        vectors = next(module for module in ours.modules() if type(module).__name__ == "AttentionVectors")
        pairs = [(ours.weight, theirs.lin.weight), (ours.bias, theirs.bias)]
        with torch.no_grad():
            vectors.weight.copy_(torch.stack([theirs.att_src[0], theirs.att_dst[0]]))
    ours.reset_parameters(generator)
    with torch.no_grad():
        for mine, other in pairs:
            other.copy_(mine)
        if kind == "gat":
            theirs.att_src.copy_(vectors.weight[0:1])
            theirs.att_dst.copy_(vectors.weight[1:2])
    return ours, theirs


COMPARED = {
    # Sites that both have; what only one of them reaches stays out.
    "gcn": ("input", "weight", "feature", "message", "aggregate", "update"),
    "sage": ("input", "weight", "aggregate", "update"),
    "gin": ("input", "weight", "aggregate", "update"),
    "gat": ("input", "feature", "attention", "message", "aggregate", "update"),
}


@pytest.mark.parametrize("format", ["int8", "int4"])
@pytest.mark.parametrize(("kind", "site"), [(kind, site) for kind, sites in COMPARED.items() for site in sites])
def test_native_and_instrumented_layers_agree_on_each_site(kind: str, site: str, format: str):
    """One site at a time: codes equal except within 1e-5 of a boundary (under 1e-4 of them), gradients to 1e-5."""
    if site == "attention":
        scheme = parse_scheme(f"cwq(att={format[3:]})")
    else:
        scheme = parse_scheme(f"qat-{format}(range=min-max):{site}")
    generator = torch.Generator().manual_seed(2)
    nodes = 200
    x = torch.randn(nodes, INPUTS, generator=generator)
    edge_index = torch.randint(nodes, (2, 900), generator=generator)
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    ours, theirs = native_and_instrumented(kind)
    native = One(ours)
    live = bind(scheme, native, nodes=nodes)
    outer = Wrapped(theirs)
    outer.encoder, outer.decoder = nn.Identity(), nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    instrumented = engine.quantize(outer, scheme)
    live.train()
    topology = Topology(edge_index, nodes)
    live.begin(topology, seed=0, step=1)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = native(mine, topology)
    reference = instrumented.conv(other, edge_index)
    weights = torch.randn(out.shape, generator=generator)
    (out * weights).sum().backward()
    (reference * weights).sum().backward()
    differ = ~torch.isclose(out, reference, rtol=1e-5, atol=1e-6)
    assert int(differ.sum()) == 0
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(out, bare(kind, x, edge_index)), "the site is quantized at all"


def bare(kind: str, x: Tensor, edge_index: Tensor) -> Tensor:
    ours, _ = native_and_instrumented(kind)
    model = One(ours)
    live = bind(parse_scheme("fp32"), model)
    topology = Topology(edge_index, x.shape[0])
    live.begin(topology)
    return model(x, topology)


def test_the_parts_are_what_they_are_said_to_be():
    model = engine.quantize(build("GCN"), "int8")
    linears = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    assert [linear.extra_repr() for linear in linears] == ["12, 8, bias=False", "8, 4, bias=False"]
    assert [hooks_of(conv).layer for conv in model.convs] == [0, 1]
    assert isinstance(model.quantization, LiveScheme)
    assert linears[0].sites.format("weight") == get_format("int8")


def test_it_moves_whole_to_another_device_and_back_to_its_own_layers():
    x, edge_index, _ = graph()
    model = engine.quantize(build("GIN"), "dq-int8").train()
    model(x, edge_index)
    model.to("meta")
    tensors = [*model.parameters(), *model.buffers()]
    assert any("range.low" in name for name, _ in model.named_buffers())
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    engine.unquantize(model)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
