"""Recipes in training: A²Q's bits fall, post-training quantization leaves the weights, rates and rows hold."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

import engine
from engine.events import LedgerRecorded
from engine.formats import get_format
from engine.graph import load_graph
from engine.layers.operand import Constant
from engine.ledger import run_ledger
from engine.live import LiveScheme, bind
from engine.models import MODELS
from engine.schemes.a2q import LearnedStepQuantization, NodeBitsQuantization
from engine.settings import Settings
from engine.spec import RunSpec


def spec(scheme: str, dataset: str = "karate", **training: object) -> RunSpec:
    return RunSpec.parse({"dataset": dataset, "model": "gcn", "scheme": scheme, "training": training})


def bound(scheme: str, settings: Settings) -> tuple[torch.nn.Module, LiveScheme, RunSpec]:
    plan = spec(scheme)
    graph = load_graph(plan.dataset, settings)
    model = MODELS["gcn"].build(plan.model, graph.size)
    model.reset_parameters(0)  # pyright: ignore[reportCallIssue]
    live = bind(plan.parsed_scheme, model, nodes=graph.size.nodes, seed=0)
    live.train()
    live.begin(graph.topology, seed=0, step=1)
    model.train()
    model(Constant.of(graph.x), graph.topology, seed=0, step=1).sum().backward()
    return model, live, plan


def test_every_learned_parameter_has_its_own_rate(settings: Settings):
    text = "a2q(lr_bits=0.5,lr_step=0.25,lr_weight_step=0.125,lr_feature_step=0.0625)"
    _, live, _ = bound(text, settings)
    groups = live.parameter_groups()
    assert sorted((group["lr"], len(group["params"][0])) for group in groups) == sorted(
        [(0.5, 34), (0.25, 34), (0.125, 16), (0.0625, 1), (0.5, 34), (0.25, 34), (0.125, 4), (0.0625, 1)]
    )
    assert {group["weight_decay"] for group in groups} == {0.0}
    learned = {id(parameter) for group in groups for parameter in group["params"]}
    assert learned == {id(parameter) for parameter in live.parameters()}


def test_only_the_first_layers_input_is_left_out_of_the_memory(settings: Settings):
    kilobytes = 34 * 4 * 16 / 8192
    for text, expected in (
        ("a2q(penalty=2.0,target=0.0)", 2 * kilobytes**2),
        ("a2q(penalty=2.0,target=0.0,first=true)", 2 * (34 * 4 * (16 + 34) / 8192) ** 2),
        ("a2q(penalty=2.0,target=9.0,one_sided=true)", 0.0),
    ):
        _, live, _ = bound(text, settings)
        penalty = live.penalty()
        assert penalty is not None
        assert penalty.item() == pytest.approx(expected, rel=1e-6)


def test_the_features_of_the_dataset_learn_too(settings: Settings):
    _, live, _ = bound("a2q(bits=2)", settings)
    penalty = live.penalty()
    assert penalty is not None
    penalty.backward()
    first = live.quantizers["0/input"]
    assert isinstance(first.factor.grad, torch.Tensor)
    assert bool((first.factor.grad != 0).any())


def test_planned_densities_are_those_of_the_first_bits(settings: Settings):
    plan = spec("a2q(bits=6,weight_bits=3,feature_bits=5)")
    rows = run_ledger(plan, load_graph(plan.dataset, settings).size)
    formats = {row.site: row.format for row in rows if row.product in ("forward", "aggregate")}
    assert formats == {
        "input": "int6-symmetric", "weight": "int3-symmetric", "feature": "int5-symmetric", "aggregate": "fp32",
    }  # fmt: skip
    charged = {(row.site, row.layer): row.metadata_bits for row in rows if row.product == "forward"}
    # 32 bits of step and 4 of width a node; 32 an output channel.
    assert charged[("input", 1)] == 34 * 36
    assert charged[("weight", 0)] == 16 * 32
    assert NodeBitsQuantization(get_format("int4-symmetric")).spread() == [(get_format("int4-symmetric"), Fraction(1))]
    assert LearnedStepQuantization(get_format("int4-symmetric"), axis=0).metadata_bits(34, 16) == 16 * 32


def test_on_cora_the_bits_fall_and_the_labels_stay(mirror: object, settings: Settings):
    """A slice: 100 epochs, with a target that leaves about three bits a node."""
    events = list(engine.train(spec("a2q(target=15.0)", "cora", epochs=100), settings))
    ledgers = [event.rows for event in events if isinstance(event, LedgerRecorded)]
    assert len(ledgers) == 2  # as planned, and as learned

    def average(rows: list) -> float:
        # Of the last epoch: those up to the best one have the bits of its model.
        last = [row for row in rows if row.last_epoch == 100]
        hidden = [row for row in last if (row.site, row.layer, row.product) == ("input", 1, "forward")]
        assert sum(row.elements for row in hidden) == pytest.approx(2708 * 16, abs=len(hidden))
        return sum(get_format(row.format).bits * row.elements for row in hidden) / sum(row.elements for row in hidden)

    assert average(ledgers[0]) == 4
    assert average(ledgers[1]) < 3.5
    summary = events[-1].summary  # pyright: ignore[reportAttributeAccessIssue]
    assert summary.test_at_best_val is not None
    assert summary.test_at_best_val > 70
    assert summary.densities[0].scope == "inference"


def test_groups_serve_graphs_of_any_size(settings: Settings):
    summary = engine.run(spec("a2q(groups=8)", epochs=20), settings).summary
    assert summary.epochs == 20


def test_post_training_quantization_evaluates_the_fp32_model(settings: Settings):
    ptq = engine.run(spec("ptq-int8", epochs=30), settings)
    fp32 = engine.run(spec("fp32", epochs=30), settings)
    assert ptq.history.columns["train_loss"][:30] == fp32.history.columns["train_loss"]
    assert ptq.history.columns["counts"] == [False] * 30 + [True]
    assert ptq.summary.best_epoch == 31
    assert ptq.summary.test_last is not None
    assert fp32.summary.test_last is not None
    assert abs(ptq.summary.test_last - fp32.summary.test_last) <= 10
    assert ptq.summary.densities[0].memory == 4.0
