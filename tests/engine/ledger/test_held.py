"""What a live step holds for its backward pass, inspected, against the ledger's stash."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.counted_size import counted_size
from engine.graph import Graph, load_graph
from engine.held import held_in_step
from engine.ledger import run_ledger
from engine.problem import Problem
from engine.ranges import RANGES, make_range
from engine.scheme import SEES_ZEROS
from engine.settings import Settings
from engine.spec import RunSpec
from engine.trainer import Trainer
from tests.engine.ledger.runs import prepared, small_graph, trained
from tests.engine.ledger.test_against_runs import CASES

DSQ = "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]"

VARIANTS: list[dict[str, Any]] = [
    {"name": "gcn"},
    {"name": "sage"},
    {"name": "gin"},
    {"name": "gat"},
    {"name": "agnn"},
    {"name": "gcn", "batch_norm": True, "residual": True, "layers": 3, "message": "edge"},
    {"name": "sage", "aggregate": "max", "layers": 3, "batch_norm": True, "dropout": 0.0},
    {"name": "gin", "layers": 3, "mlp_layers": 2, "batch_norm": True, "train_eps": True},
    {"name": "gat", "residual": True, "layers": 3, "batch_norm": True, "output_heads": 2},
    {"name": "agnn", "train_beta": False, "layers": 3, "dropout": 0.0},
]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small_graph()


def both(spec: RunSpec, problem: Problem, trainer: Trainer) -> tuple[float, float]:
    """Bytes held by the layers in the mean step of the first epoch, live and by the ledger's stash."""
    live = [held_in_step(trainer, batch).of_layers for batch in problem.batches(1)]
    rows = run_ledger(spec, counted_size(spec, problem))
    # Of the first epoch that is quantized, as the trainer is.
    phases = trainer.live.phases(spec.training.epochs)
    epoch = 1 + sum(phase.epochs or 0 for phase in phases if not phase.quantized)
    modelled = sum(
        row.held_bytes for row in rows if row.product == "stash" and row.first_epoch <= epoch <= row.last_epoch
    )
    return sum(live) / len(live), modelled


@pytest.mark.parametrize("scheme", ["fp32", "int8", "msfp13", "dq-int8"])
@pytest.mark.parametrize("model", VARIANTS, ids=lambda model: "-".join(map(str, model.values())))
def test_the_ledgers_stash_is_what_the_live_step_holds(scheme: str, model: dict[str, Any], graph: Graph):
    live, modelled = both(*trained(scheme, graph, **model))
    assert modelled == pytest.approx(live, rel=0.001)


@pytest.mark.parametrize(("scheme", "model"), CASES)
def test_of_every_recipe(scheme: str, model: str, graph: Graph):
    live, modelled = both(*trained(scheme, graph, name=model))
    assert modelled == pytest.approx(live, rel=0.001)


CLUSTERS, NEIGHBOURS = "clusters(parts=10,per_batch=2)", "neighbours(batch_size=64)"
REAL: list[tuple[str, str | dict[str, Any], str, dict[str, Any]]] = [
    # Sparse features, as they are by default: plain, blocked along two axes, ranges that move, by bucket, stashed.
    *(("cora", model, scheme, {}) for model in ("gcn", "gin", "sage") for scheme in ("int8", "msfp13", DSQ)),
    ("cora", {"name": "gcn", "input_dropout": True}, "dq-int8", {}),
    ("cora", "gat", "dq-int8", {}),
    ("cora", "agnn", "msfp13", {}),
    ("cora", "gin", "taq[8,6,4,2]", {}),
    ("cora", "gin", "a2q", {}),
    ("citeseer", "sage", "mxfp6_e3m2", {}),
    # The sum over neighbours is no longer sparse.
    ("pubmed", "gin", "int8", {}),
    # Batches: of one graph, and of graphs; the last but one has all parts in its only batch.
    *(("cora", model, "int8", {"batching": CLUSTERS}) for model in ("gcn", "sage", "gin", "gat")),
    ("cora", "agnn", "fp32", {"batching": NEIGHBOURS}),
    ("cora", "gin", "msfp13", {"batching": NEIGHBOURS}),
    ("cora", {"name": "sage", "dropout": 0.0}, "msfp13", {"batching": CLUSTERS}),
    ("cora", "gin", "msfp13", {"batching": "clusters(parts=5,per_batch=5)"}),
    *(("mutag", model, "msfp13", {}) for model in ("gcn", "sage", "gin", "gat", "agnn")),
]


@pytest.mark.parametrize(("dataset", "model", "scheme", "training"), REAL)
def test_on_real_graphs_and_in_batches_too(
    dataset: str, model: str, scheme: str, training: dict[str, Any], settings: Settings, mirror: object
):
    torch.set_num_threads(1)
    spec = RunSpec.parse({"dataset": dataset, "model": model, "scheme": scheme, "training": training})
    live, modelled = both(spec, *prepared(spec, loaded(spec, settings)))
    assert modelled == pytest.approx(live, rel=0.001)


GRAPHS: dict[str, Graph] = {}


def loaded(spec: RunSpec, settings: Settings) -> Graph:
    """Each graph once."""
    if spec.dataset.name not in GRAPHS:
        GRAPHS[spec.dataset.name] = load_graph(spec.dataset, settings)
    return GRAPHS[spec.dataset.name]


@pytest.mark.parametrize("name", RANGES)
def test_which_ranges_see_zeros_one_by_one_is_as_the_ranges_say(name: str):
    assert make_range(name).counts_zeros == (name not in SEES_ZEROS)
