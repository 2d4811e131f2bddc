"""What a live step holds for its backward pass, inspected, against the ledger's stash."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.graph import Graph, load_graph
from engine.held import held_in_step
from engine.ledger import run_ledger
from engine.settings import Settings
from tests.engine.ledger.runs import small_graph, trained

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


def both(scheme: str, graph: Graph, model: dict[str, Any]) -> tuple[int, int]:
    """Bytes held in the live step, without the loss's own, and the sum of the ledger's held bytes."""
    spec, problem, trainer = trained(scheme, graph, **model)
    live = held_in_step(trainer, next(iter(problem.batches(2))))
    rows = run_ledger(spec, problem.size)
    # Of the last phase, as the trainer is.
    rows = [row for row in rows if row.last_epoch == rows[-1].last_epoch]
    return live.bytes - live.of_layer(None), sum(row.held_bytes for row in rows if row.product == "stash")


@pytest.mark.parametrize("scheme", ["fp32", "int8", "msfp13", "dq-int8"])
@pytest.mark.parametrize("model", VARIANTS, ids=lambda model: "-".join(map(str, model.values())))
def test_the_ledgers_stash_is_what_the_live_step_holds(scheme: str, model: dict[str, Any], graph: Graph):
    live, modelled = both(scheme, graph, model)
    assert modelled == pytest.approx(live, rel=0.02)


@pytest.mark.parametrize("scheme", ["nqat-int8", "w4a8", "sgquant", "a2q", "int8(message_gradient=true)"])
@pytest.mark.parametrize("model", ["gcn", "sage", "gin", "gat", "agnn"])
def test_other_estimators_and_ranges_too(scheme: str, model: str, graph: Graph):
    live, modelled = both(scheme, graph, {"name": model})
    assert modelled == pytest.approx(live, rel=0.02)


@pytest.mark.parametrize("model", ["gcn", "gat", "agnn"])
def test_sparse_features_are_held_by_their_entries(model: str, settings: Settings, mirror: object):
    spec, _, _ = trained("int8", small_graph(), name=model)
    torch.set_num_threads(1)
    live, modelled = both("dq-int8", load_graph(spec.dataset, settings), {"name": model, "input_dropout": True})
    assert modelled == pytest.approx(live, rel=0.02)
