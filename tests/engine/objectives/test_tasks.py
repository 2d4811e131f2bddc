"""Each task on generated data: it learns, its loss and metric are its own, its options do what they say."""

from __future__ import annotations

import math

import pytest
import torch

from engine.catalogue import Catalogue
from engine.events import EpochFinished
from engine.graph import Graph
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.problem import SPLITS, Problem
from engine.spec import RunSpec
from engine.topology import Topology
from engine.trainer import Trainer
from tests.engine.sets import graph_set

CPU = torch.device("cpu")
DATASETS = {
    "node-classification": "cora",
    "multi-label-node-classification": "ppi",
    "link-prediction": "cora",
    "graph-classification": "mutag",
    "multi-task-graph-classification": "tox21",
    "graph-regression": "zinc",
}
"""A dataset of each task: its specs stand for the generated graphs that take its place here."""


def spec(task: str, model: str = "gin", scheme: str = "fp32", **training: float) -> RunSpec:
    name = task.split("(")[0]
    hidden = {"name": model, "hidden": 16}
    settings = {"batch_size": 8} | training
    return RunSpec.parse(
        {"dataset": DATASETS[name], "task": task, "model": hidden, "scheme": scheme, "training": settings}
    )


def labels(graph: Graph) -> torch.Tensor:
    return torch.arange(graph.size.graphs) % 2


def graph_for(task: str) -> Graph:
    name = task.split("(")[0]
    classes = graph_set(graphs=60)
    truth = labels(classes).float()
    if name == "graph-regression":
        return graph_set((3 * truth)[:, None], graphs=60)
    if name == "multi-task-graph-classification":
        y = torch.stack([truth, 1 - truth, torch.full_like(truth, math.nan)], dim=1)
        y[::5, 0] = math.nan
        return graph_set(y, graphs=60)
    if name == "multi-label-node-classification":
        assert classes.graph is not None
        y = torch.stack([truth, 1 - truth], dim=1)[classes.graph]
        masks = {split: classes.graph % 3 == place for place, split in enumerate(SPLITS)}
        return Graph(classes.x, classes.edge_index, y, classes.graph, masks, classes.size, {})
    if name in ("node-classification", "link-prediction"):
        assert classes.graph is not None
        y = labels(classes)[classes.graph]
        return Graph(classes.x, classes.edge_index, y, None, {}, classes.size, {})
    return classes


def prepared(run: RunSpec) -> Problem:
    return OBJECTIVES[run.task.name].prepare(run.task, graph_for(run.task.name), run, CPU)


def train(run: RunSpec, epochs: int) -> list[EpochFinished]:
    trainer = Trainer(run, prepared(run), CPU)
    return [trainer.epoch(epoch)[0] for epoch in range(1, epochs + 1)]


def test_every_task_is_tried_here():
    assert isinstance(OBJECTIVES, Catalogue)
    assert set(DATASETS) == set(OBJECTIVES)


@pytest.mark.parametrize("task", DATASETS)
@pytest.mark.parametrize("scheme", ["fp32", "int8", "dq-int8"])
def test_each_task_learns(task: str, scheme: str):
    rows = train(spec(task, scheme=scheme, lr=0.01), 30)
    first, last = rows[0], rows[-1]
    assert first.train_loss is not None
    assert last.train_loss is not None
    assert last.train_loss < first.train_loss
    tested = [row.test_metric for row in rows if row.test_metric is not None]
    if task == "graph-regression":
        assert min(tested) < 1.2, "the targets lie 1.5 from their mean"
    else:
        assert max(tested) > 65


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("task", ["graph-classification", "link-prediction"])
def test_each_architecture_serves_graphs_and_links(task: str, model: str):
    rows = train(spec(task, model, lr=0.01), 25)
    assert rows[-1].train_loss is not None
    assert rows[0].train_loss is not None
    assert rows[-1].train_loss < rows[0].train_loss


@pytest.mark.parametrize("task", DATASETS)
def test_the_same_spec_gives_the_same_bits(task: str):
    first, again = (train(spec(task), 3) for _ in range(2))
    for row, same in zip(first, again, strict=True):
        assert row.model_dump(exclude={"seconds"}) == same.model_dump(exclude={"seconds"})


@pytest.mark.parametrize("task", DATASETS)
def test_what_a_task_reports_is_what_its_entry_says(task: str):
    problem, entry = prepared(spec(task)), OBJECTIVES[task]
    assert (problem.metric, problem.unit, problem.higher_is_better) == (
        entry.metric,
        entry.unit,
        entry.higher_is_better,
    )


def test_an_epochs_loss_is_the_mean_over_its_known_labels():
    run = spec("multi-task-graph-classification", lr=1e-12)
    run = run.model_copy(update={"model": run.model.model_copy(update={"readout_dropout": 0.0})})
    trainer, other = (Trainer(run, prepared(run), CPU) for _ in range(2))
    shares = []
    for batch in trainer.problem.batches(1):
        outputs = trainer.model.train()(batch.x, batch.topology)
        shares.append((batch.weight, trainer.problem.loss(outputs, batch).item()))
    assert len({weight for weight, _ in shares}) > 1, "batches differ in what they hold"
    expected = sum(weight * loss for weight, loss in shares) / sum(weight for weight, _ in shares)
    assert other.epoch(1)[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_standardized_targets_are_learned_in_their_own_scale_and_reported_in_the_datas():
    run = spec("graph-regression(standardize=true)")
    problem = prepared(run)
    (batch, *_) = problem.batches(1)
    assert sorted(set(batch.target.flatten().tolist())) == [0.0, 3.0]
    middle = torch.zeros_like(batch.target)

    def zeros(x: object, topology: Topology) -> torch.Tensor:
        assert topology.graph is not None
        return torch.zeros(int(topology.graph.max()) + 1, 1)

    _, scores = problem.evaluate(zeros)
    assert problem.loss(middle, batch).item() == pytest.approx(1.0, abs=0.2), "one deviation from the mean"
    assert scores["test"] == pytest.approx(1.5, abs=0.2), "in the data's unit"


def test_the_squared_error_is_another_loss_and_the_same_metric():
    absolute, squared = (prepared(spec(f"graph-regression(loss={loss})")) for loss in ("absolute", "squared"))
    (batch, *_), (other, *_) = absolute.batches(1), squared.batches(1)
    outputs = torch.full_like(batch.target, 8.0)
    assert squared.loss(outputs, other).item() > absolute.loss(outputs, batch).item() + 5
    assert (absolute.metric, squared.metric) == ("MAE", "MAE")


def test_average_precision_may_be_the_metric_of_several_tasks():
    problem = prepared(spec("multi-task-graph-classification(metric=average-precision)"))
    assert problem.metric == "average precision"


def test_folds_choose_what_tests():
    tested = []
    for fold in range(5):
        problem = prepared(spec(f"graph-classification(folds=5,fold={fold})"))
        tested += problem.numbers["test"].tolist()  # pyright: ignore[reportAttributeAccessIssue]
    assert sorted(tested) == list(range(60))


@pytest.mark.parametrize("task", ["graph-classification", "multi-task-graph-classification", "graph-regression"])
def test_the_size_told_before_loading_is_near_the_epochs(task: str):
    run = spec(f"{task}(val=0.1,test=0.2)")
    entry, size = OBJECTIVES[task], graph_for(task).size
    expected, found = entry.expect(run.task, size, run), prepared(run).size
    assert expected.nodes == pytest.approx(found.nodes, rel=0.1)
    assert expected.edges == pytest.approx(found.edges, rel=0.1)
    assert (expected.graphs, expected.batches) == (found.graphs, found.batches)


def test_the_learning_rate_falls_by_steps():
    run = spec("graph-classification", lr=0.04, lr_step=2, lr_factor=0.5)
    trainer = Trainer(run, prepared(run), CPU)
    rates = []
    for epoch in range(1, 6):
        trainer.epoch(epoch)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates == [0.04, 0.04, 0.02, 0.02, 0.01]
