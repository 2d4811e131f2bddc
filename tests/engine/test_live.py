"""The live scheme: what its places share, what it protects, what it remembers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from engine.datasets import GraphSize
from engine.layers.operand import Constant
from engine.live import LiveScheme, Sites, bind
from engine.models import MODELS
from engine.models.gcn import GCNSpec
from engine.scheme import Quantization, Rule, Scheme, get_format, parse_scheme
from engine.topology import Topology

NODES = 40


def graph() -> Topology:
    generator = torch.Generator().manual_seed(0)
    return Topology(torch.randint(NODES, (2, 160), generator=generator), NODES)


def features(scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(NODES, 8, generator=torch.Generator().manual_seed(1))


def view(scheme: Scheme | str, *names: str) -> Sites:
    sites = Sites(*names)
    value = parse_scheme(scheme) if isinstance(scheme, str) else scheme
    sites.attach(LiveScheme(value, nodes=NODES), 0, "")
    return sites


def started(sites: Sites, *, training: bool = True, step: int = 1) -> Sites:
    assert sites.live is not None
    sites.live.train(training)
    sites.live.begin(graph(), seed=5, step=step)
    return sites


def test_without_a_rule_a_tensor_is_handed_on_as_it_is():
    x = features()
    assert Sites("input")(x, "input") is x
    assert started(view("int8:weight", "input", "weight"))(x, "input") is x


def test_products_of_one_rule_share_a_quantizer_and_others_have_their_own():
    assert list(view("int8", "input", "weight", "gradient").live.quantizers) == ["0/input", "0/weight", "0/gradient"]  # pyright: ignore[reportOptionalMemberAccess]
    forward = Rule("weight", Quantization(get_format("int8")), ("forward",))
    backward = Rule("weight", Quantization(get_format("int4")), ("grad_input",))
    sites = view(Scheme((forward, backward)), "weight")
    assert list(sites.live.quantizers) == ["0/weight", "0/weight/grad_input"]  # pyright: ignore[reportOptionalMemberAccess]
    assert (sites.format("weight").name, sites.format("weight", "grad_input").name) == ("int8", "int4")
    assert sites.requantizes("weight", "grad_input")


def test_switched_off_it_quantizes_nothing():
    sites = started(view("int2", "input"))
    x = features()
    assert not torch.equal(sites(x, "input"), x)
    sites.live.enabled = False  # pyright: ignore[reportOptionalMemberAccess]
    assert sites(x, "input") is x


def test_protected_nodes_stay_as_they_are_and_leave_the_range_alone():
    sites = started(view("dq-int2(p_min=0.3,p_max=0.9,range=running)", "feature", "weight"))
    x = features()
    protected = sites.live.protected(0)  # pyright: ignore[reportOptionalMemberAccess]
    assert protected is not None
    assert 0 < int(protected.sum()) < NODES
    x[protected] *= 100
    out = sites(x, "feature", "aggregate", rows="nodes")
    assert torch.equal(out[protected], x[protected])
    kept = x[~protected]
    expected = get_format("int2").fake_quantize(kept, range=(kept.min(), kept.max()))
    assert torch.equal(out[~protected], expected)


def test_a_weight_is_quantized_whoever_is_protected():
    sites = started(view("dq-int2(p_min=1.0,p_max=1.0)", "feature", "weight"))
    x = features()
    assert torch.equal(sites(x, "feature", rows="nodes"), x)
    assert not torch.equal(sites(x, "weight"), x)


def test_an_edges_tensor_is_protected_by_its_source():
    sites = started(view("dq-int2(p_min=0.5,p_max=0.5)", "message"))
    sources = torch.arange(NODES).repeat(2)
    x = torch.cat([features(), features()])
    out = sites(x, "message", rows=sources)
    protected = sites.live.protected(0)  # pyright: ignore[reportOptionalMemberAccess]
    assert protected is not None
    assert torch.equal(out[protected[sources]], x[protected[sources]])
    assert not torch.equal(out[~protected[sources]], x[~protected[sources]])


def test_the_mask_follows_the_probability_of_each_degree():
    """p_i = p_min + (p_max − p_min)·F(i): over 4000 draws within five standard errors, node by node."""
    sites = view("dq-int8(p_min=0.1,p_max=0.8)", "feature")
    live, topology, draws = sites.live, graph(), 4000
    assert live is not None
    live.train()
    counts = torch.zeros(NODES)
    for step in range(draws):
        live.begin(topology, seed=0, step=step)
        protected = live.protected(0)
        assert protected is not None
        counts += protected
    p = 0.1 + 0.7 * topology.degree_rank
    assert (((counts / draws - p).abs()) < 5 * (p * (1 - p) / draws).sqrt()).all()


def test_one_mask_a_layer_or_one_a_forward():
    for mask, same in (("layer", False), ("forward", True)):
        live = LiveScheme(parse_scheme(f"dq-int8(p_min=0.5,p_max=0.5,mask={mask})")).train()
        live.begin(graph(), seed=0, step=1)
        first, second = live.protected(0), live.protected(1)
        assert first is not None
        assert second is not None
        assert torch.equal(first, second) == same
        live.begin(graph(), seed=0, step=2)
        assert not torch.equal(first, live.protected(0))  # pyright: ignore[reportArgumentType]


def test_in_evaluation_nobody_is_protected_and_every_weight_is_quantized():
    sites = started(view("dq-int4(p_min=1.0,p_max=1.0,range=min-max)", "feature"), training=False)
    assert sites.live.protected(0) is None  # pyright: ignore[reportOptionalMemberAccess]
    x = features()
    assert torch.equal(sites(x, "feature", rows="nodes"), get_format("int4").fake_quantize(x))
    noisy = started(view("nqat-int4(probability=0.0,range=min-max)", "weight"), training=False)
    assert torch.equal(noisy(x, "weight"), get_format("int4").fake_quantize(x))


def test_nqat_quantizes_each_weight_element_with_its_probability():
    sites = started(view("nqat-int2(probability=0.25,range=min-max)", "weight"))
    weight = torch.randn(200, 100, generator=torch.Generator().manual_seed(2))
    out, whole = sites(weight, "weight"), get_format("int2").fake_quantize(weight)
    quantized = out != weight
    assert torch.equal(out[quantized], whole[quantized])
    assert abs(float(quantized.float().mean()) - 0.25) < 5 * (0.25 * 0.75 / weight.numel()) ** 0.5


@pytest.mark.parametrize(
    "scheme",
    ["qat-int4", "qat-int4+dq(p_min=0.2,p_max=0.9)", "dq-int4(p_min=0.3,p_max=0.6)", "qat-int4(range=ema)+dq", "int4"],
)
def test_a_sparse_constant_is_quantized_as_the_dense_one(scheme: str):
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(NODES, 30, generator=generator) * (torch.rand(NODES, 30, generator=generator) < 0.1)
    sparse, dense = started(view(scheme, "input")), started(view(scheme, "input"))
    for step in range(1, 4):
        ours = started(sparse, step=step)(Constant.of(x), "input", rows="nodes")
        theirs = started(dense, step=step)(x, "input", rows="nodes")
        assert type(ours.operand).__name__ == "SparseOperand"
        assert torch.equal(ours.dense(), theirs)


def test_degree_buckets_have_their_own_formats():
    wide, narrow = Quantization(get_format("int8")), Quantization(get_format("int2"))
    rules = (Rule("feature", wide, bucket=0), Rule("feature", narrow, bucket=1))
    topology = graph()
    median = int(topology.in_degree.median())
    sites = started(view(Scheme(rules, splits=(median,)), "feature"))
    x = features().requires_grad_()
    out = sites(x, "feature", rows="nodes")
    high = topology.in_degree >= median
    assert torch.equal(out[high], get_format("int2").fake_quantize(x[high]))
    assert torch.equal(out[~high], get_format("int8").fake_quantize(x[~high]))
    out.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))  # pyright: ignore[reportArgumentType]


def test_the_gradient_of_the_messages_is_quantized_where_it_is_asked_for():
    generator = torch.Generator().manual_seed(3)
    gradient = torch.randn(NODES, 8, generator=generator)
    for scheme, expected in (
        ("int4(message_gradient=true)", get_format("int4").fake_quantize(gradient)),
        ("int4", gradient),
    ):
        x = features().requires_grad_()
        started(view(scheme, "gradient")).gradient(x).backward(gradient)
        assert torch.equal(x.grad, expected)  # pyright: ignore[reportArgumentType]


def model_and_live(scheme: str):
    size = GraphSize(nodes=NODES, edges=160, features=8, classes=3)
    model = MODELS["gcn"].build(GCNSpec(hidden=4), size)
    model.reset_parameters(0)  # pyright: ignore[reportCallIssue]
    return model, bind(parse_scheme(scheme), model, nodes=NODES)


def test_the_state_holds_the_ranges_and_a_loaded_scheme_evaluates_alike():
    model, live = model_and_live("dq-int4")
    live.begin(graph(), seed=0, step=1)
    model(features(), graph())
    other, fresh = model_and_live("dq-int4")
    fresh.load_state_dict(live.state_dict())
    for part in (model, live, other, fresh):
        part.eval()
    for scheme in (live, fresh):
        scheme.begin(graph())
    assert torch.equal(model(features(), graph()), other(features(), graph()))
    assert any("range.low" in name for name in live.state_dict())


def test_a_bound_model_is_copied_and_pickled_with_its_scheme():
    pair = model_and_live("qat-int8")
    pair[1].begin(graph(), seed=0, step=1)
    pair[0](features(), graph())
    for model, live in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
        for part in (*pair, model, live):
            part.eval()
        live.begin(graph())
        assert {part.sites.live for part in model.modules() if hasattr(part, "sites")} == {live}  # pyright: ignore
        assert torch.equal(model(features(), graph()), pair[0](features(), graph()))


def test_gradients_pass_straight_or_are_clipped():
    for estimator, zeros in (("ste", False), ("clipped", True)):
        sites = started(view(f"qat-int4(range=percentile,p=0.1,estimator={estimator})", "feature"))
        x = features().requires_grad_()
        sites(x, "feature", "aggregate", rows="nodes").sum().backward()
        assert bool((x.grad == 0).any()) == zeros  # pyright: ignore[reportOptionalMemberAccess]
