"""One training step (forward, loss, backward, Adam) of a variant: Bitfront's own loop, PyG's layers, plain formulas.

prepared = prepare(Variant("cora", "gcn", "bitfront", "int8"))
step = prepared.start()
step()
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import BitfrontError
from engine.spec import RunSpec

By = Literal["bitfront", "pyg", "pyg torch.sparse", "plain"]
HIDDEN = {"amazon-computers": 64}
"""Hidden width, where it is not 16; GAT has 8 heads of 8 everywhere."""


@dataclass(frozen=True)
class Variant:
    """Who trains what; ``sparse``: features are kept sparse where they are (Bitfront only)."""

    dataset: str
    model: str
    by: By
    scheme: str = "fp32"
    sparse: bool = False
    input_dropout: bool = False
    layers: int = 0
    hidden: int = 0
    """Where not 0, instead of the model's own and HIDDEN."""

    @property
    def name(self) -> str:
        """In words, without dataset, model and dropout."""
        if self.by == "pyg":
            return "PyG, edge_index"
        if self.by == "pyg torch.sparse":
            return "PyG, torch.sparse"
        if self.by == "plain":
            return f"{self.scheme}, plain formula"
        return f"{self.scheme}, sparse features" if self.sparse else self.scheme

    @property
    def shape(self) -> str:
        """The model, with its layers and width where they are not the usual ones: "gcn", "gcn 4 × 256"."""
        return f"{self.model} {self.layers} × {self.hidden}" if self.layers else self.model

    @property
    def spec(self) -> RunSpec:
        """The run that it is a step of."""
        hidden = {} if self.model == "gat" else {"hidden": self.hidden or HIDDEN.get(self.dataset, 16)}
        layers = {"layers": self.layers} if self.layers else {}
        return RunSpec.parse(
            {
                "dataset": self.dataset,
                "model": {"name": self.model, "input_dropout": self.input_dropout, **hidden, **layers},
                "scheme": self.scheme,
                "device": "cpu",
            }
        )


@dataclass(frozen=True)
class Prepared:
    """Data that lies ready. ``start`` makes the model and its optimizer; ``features``: bytes that the features take."""

    features: int
    start: Callable[[], Callable[[], object]]


def prepare(variant: Variant) -> Prepared:
    """Load the dataset and lay it ready for the variant's step. Raises BitfrontError for sparse features that there
    are not, and as loading does."""
    import torch

    from engine.graph import load_graph
    from engine.layers.operand import Constant, DenseOperand
    from engine.objectives import OBJECTIVES
    from engine.settings import Settings

    spec = variant.spec
    graph = load_graph(spec.dataset, Settings())
    problem: Any = OBJECTIVES[spec.task.name].prepare(spec.task, graph, spec, torch.device("cpu"))
    dense = 4 * graph.x.numel()
    if variant.by != "bitfront":
        return Prepared(dense, functools.partial(_peer, variant, problem, graph.x, graph.edge_index))
    operand = problem.x.operand
    if not variant.sparse:
        problem.x = Constant(DenseOperand(graph.x), again=lambda: DenseOperand(load_graph(spec.dataset, Settings()).x))
        return Prepared(dense, functools.partial(_own, spec, problem))
    if isinstance(operand, DenseOperand):
        raise BitfrontError(f"the features of {variant.dataset} are not sparse enough to be kept so")
    held = sum(part.numel() * part.element_size() for part in (operand.starts, operand.columns, operand.values))
    return Prepared(held, functools.partial(_own, spec, problem))


def _own(spec: RunSpec, problem: Any) -> Callable[[], object]:
    """The training loop's own step."""
    import torch

    from engine.trainer import Trainer

    trainer = Trainer(spec, problem, torch.device("cpu"))
    trainer.enter(next(phase for phase in reversed(spec.phases) if phase.learns))
    batch = next(iter(problem.batches(1)))

    def step() -> None:
        _, objective = trainer.forward(batch)
        trainer.optimizer.zero_grad()
        objective.backward()
        trainer.optimizer.step()

    return step


def _peer(variant: Variant, problem: Any, x: Any, edge_index: Any) -> Callable[[], object]:
    import torch

    from engine.bench.peers import PlainGCN, PyGStack, edges_as
    from engine.bench.plain import PLAIN

    spec, size = variant.spec, problem.size
    torch.manual_seed(0)
    if variant.by == "plain":
        model = PlainGCN(spec.model, size, PLAIN[variant.scheme], blocks="fp" in variant.scheme)
        edges: Any = model.prepare(edge_index, size.nodes)
    else:
        model = PyGStack(spec.model, size)
        edges = edges_as("edge_index" if variant.by == "pyg" else "torch.sparse", edge_index, size.nodes)
    training = spec.training
    optimizer = torch.optim.Adam(model.parameters(), lr=training.lr, weight_decay=training.weight_decay)
    batch = next(iter(problem.batches(1)))
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        problem.loss(model(x, edges), batch).backward()
        optimizer.step()

    return step
