"""What a trained model says of its own dataset, or of graphs that a person brings.

Both the fake-quantized model of a run and a model that was loaded from a file are asked here, in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.datasets import GraphSize
from engine.datasets.degree_features import DegreeFeaturesSpec, degree_features
from engine.errors import InputError
from engine.graph import load_graph
from engine.layers.operand import Constant
from engine.links import dot_scores
from engine.live import LiveScheme
from engine.objectives import OBJECTIVES
from engine.problem import Problem, View
from engine.settings import Settings
from engine.spec import RunSpec
from engine.topology import Topology

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data


class Predictor:
    """A model and its live scheme in evaluation mode, on the CPU. ``scaling``: as in ``engine.problem.Measure``."""

    def __init__(
        self,
        spec: RunSpec,
        size: GraphSize,
        model: nn.Module,
        live: LiveScheme,
        scaling: tuple[Tensor, Tensor] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.spec, self.size, self.scaling = spec, size, scaling
        self.model, self.live = model.eval(), live.eval()
        self.settings = settings

    def predict(self, data: Data | Batch | None = None) -> Tensor:
        """Labels: of each node or graph int64 [n], several labels [n, C]; a regression's numbers [n, T].

        ``data``: a PyG Data, or a Batch of several graphs, with features as the dataset has them, raw or as training
        normalized them; None: the dataset of the run. For link prediction: of each
        pair of nodes in ``data.edge_label_index`` (of the run's test pairs) 1 for linked, else 0.
        Raises InputError where the data does not fit the model.
        """
        objective = OBJECTIVES[self.spec.task.name]
        scores = self.scores(data)
        if objective.pairs:
            scores = dot_scores(scores, self._pairs(data))
        return objective.decide(scores)

    @torch.no_grad()
    def scores(self, data: Data | Batch | None = None) -> Tensor:
        """The model's outputs, float32: class scores [n, C], a regression's numbers in the target's unit, and the
        nodes' vectors [N, D] where links are predicted."""
        found = torch.empty(0, self.size.classes)
        for view in self.views(data):
            outputs = self.outputs(view)
            places = torch.arange(len(outputs)) if view.places is None else view.places
            length = max(len(found), int(places.max()) + 1 if len(places) else 0)
            if found.shape != (length, *outputs.shape[1:]):
                wider = outputs.new_full((length, *outputs.shape[1:]), torch.nan)
                wider[: len(found)] = found
                found = wider
            found[places] = outputs
        if self.scaling is not None:
            middle, scale = self.scaling
            found = found * scale + middle
        return found

    @torch.no_grad()
    def outputs(self, view: View) -> Tensor:
        """What the model says of one part, as its last layer gives it."""
        self.live.begin(view.topology)
        return self.model(view.x, view.topology)

    def views(self, data: Data | Batch | None = None) -> Iterator[View]:
        """What passes through the model, part by part."""
        return self._problem.views() if data is None else iter([self._view(data)])

    @cached_property
    def _problem(self) -> Problem:
        """The run's task on its dataset, as training prepared it."""
        graph = load_graph(self.spec.dataset, self.settings or Settings())
        return OBJECTIVES[self.spec.task.name].prepare(self.spec.task, graph, self.spec, torch.device("cpu"))

    def _view(self, data: Any) -> View:
        x, edge_index = self._features(data), data.edge_index
        if not isinstance(edge_index, Tensor) or edge_index.dim() != 2 or edge_index.shape[0] != 2:
            raise InputError("the data has no edge_index [2, E]: give a PyG Data or Batch with x and edge_index")
        nodes = x.shape[0]
        if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < nodes:
            raise InputError(
                f"the data's edge_index names node {int(edge_index.max())}, but its x has {nodes} rows: "
                "nodes are numbered from 0"
            )
        graph = getattr(data, "batch", None)
        graph = graph if isinstance(graph, Tensor) else None
        return View(Constant.of(x), Topology(edge_index.long(), nodes, graph))

    def _features(self, data: Any) -> Tensor:
        x: Any = getattr(data, "x", None)
        if x is None and isinstance(self.spec.dataset, DegreeFeaturesSpec):
            x = degree_features(data.edge_index, int(data.num_nodes or 0), self.spec.dataset.degree_cap)  # pyright: ignore[reportArgumentType]
        if not isinstance(x, Tensor) or x.dim() != 2 or x.shape[1] != self.size.features:
            shape = list(x.shape) if isinstance(x, Tensor) else "none"
            raise InputError(
                f"the data's features x have the shape {shape}, but the model takes [nodes, {self.size.features}], "
                f"as {self.spec.dataset.name} has them"
            )
        x = (x if x.layout == torch.strided else x.to_dense()).float()
        if not bool(torch.isfinite(x).all()):
            raise InputError("the data's features x hold NaN or infinity: replace them first")
        return self.spec.dataset.as_trained(x)

    def _pairs(self, data: Data | Batch | None) -> Tensor:
        pairs = self._problem.pairs if data is None else getattr(data, "edge_label_index", None)  # pyright: ignore[reportAttributeAccessIssue]
        if not isinstance(pairs, Tensor):
            raise InputError(
                "the data names no pairs of nodes: give it edge_label_index [2, P], or ask for scores, the nodes' "
                "vectors"
            )
        return pairs
