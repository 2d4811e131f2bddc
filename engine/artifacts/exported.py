"""A loaded model: predicts from its packed weights, and is compared with the fake-quantized model of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from engine.artifacts.manifest import Manifest
from engine.artifacts.saving import weight_places
from engine.datasets import GraphSize
from engine.formats.encoded import Encoded
from engine.integers.plan import Plan, plan_of
from engine.live import Listener, LiveScheme, Where
from engine.predicting import Predictor
from engine.problem import View
from engine.settings import Settings
from engine.spec import RunSpec

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data

    from engine.training import RunResult


@dataclass(frozen=True)
class SiteAgreement:
    """How many elements of a quantized tensor are the same in both models."""

    layer: int
    part: str
    site: str
    product: str
    elements: int
    differing: int


@dataclass(frozen=True)
class Agreement:
    """A loaded model beside the fake-quantized one: outputs that differ, and codes, site by site."""

    count: int
    """Nodes, graphs or pairs whose label was compared (of several labels: all must be the same)."""
    differing: list[int]
    """The numbers of those whose label differs."""
    sites: list[SiteAgreement]

    @property
    def share(self) -> float:
        """Of labels that are the same, 0…1."""
        return 1 - len(self.differing) / self.count if self.count else 1.0


class Exported(Predictor):
    """What ``engine.load`` gives. ``manifest``: all that the file says of itself; ``weights``: packed, by name."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        weights: Mapping[str, Encoded],
        spec: RunSpec,
        size: GraphSize,
        model: nn.Module,
        live: LiveScheme,
        scaling: tuple[Tensor, Tensor] | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(spec, size, model, live, scaling, settings)
        self.path, self.manifest, self.weights = path, manifest, weights
        self._running = Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the file on disk, without the manifest."""
        return self.path.stat().st_size

    @cached_property
    def plan(self) -> Plan:
        """Which of its layers run on integers, and why the others do not."""
        return plan_of(self.model, self.weights, self.settings or Settings())

    def outputs(self, view: View) -> Tensor:
        """On integers where the plan has any; whoever listens to the sites hears the fake-quantized layers."""
        if self.live.recorder is not None or not self.plan.runs(view.topology):
            return super().outputs(view)
        with self._running:  # a plan's buffers hold one pass at a time
            self.live.begin(view.topology)
            return self.plan.run(view.x, view.topology)

    def compare(self, result: RunResult, data: Data | Batch | None = None) -> Agreement:
        """What the file holds beside the fake-quantized model of the run that it was saved from, on the same data.

        Both go through the fake-quantized layers, whose sites are listened to, not through the plan.
        """
        trained = result.model
        model, live = trained.build()
        reference = Predictor(trained.spec, trained.size, model, live, trained.scaling, self.settings)
        ours, theirs = Trace(), Trace()
        labels, expected = ours.predict(self, data), theirs.predict(reference, data)
        differing = (labels != expected) & ~(labels.isnan() & expected.isnan())
        if differing.dim() > 1:
            differing = differing.flatten(1).any(1)
        # Weights were quantized once, when they were saved: what the file holds stands for their sites.
        stored = {(place.layer, place.part, "weight", place.product): place for place in weight_places(self.model)}
        sites: list[SiteAgreement] = []
        for where, tensors in theirs.found.items():
            for number, after in enumerate(tensors):
                here = stored[where].parameter if where in stored else ours.found[where][number]
                sites.append(SiteAgreement(*where, after.numel(), int((after != here).sum())))
        return Agreement(len(labels), differing.nonzero().flatten().tolist(), sites)

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"Exported({self.path.name!r}, {spec.model.name} × {spec.scheme} on {spec.dataset.name}, "
            f"{self.nbytes} bytes)"
        )


class Trace(Listener):
    """Notes what each site's tensor becomes in a forward pass (in the place of diagnostics.Recorder)."""

    def __init__(self) -> None:
        self.found: dict[Where, list[Tensor]] = {}
        self.dense = False

    def predict(self, predictor: Predictor, data: Data | Batch | None) -> Tensor:
        predictor.live.recorder = self
        try:
            return predictor.predict(data)
        finally:
            predictor.live.recorder = None

    def record(self, at: Where, x: Tensor, out: Tensor, *_: Any, **__: Any) -> None:
        """One quantized tensor; see ``engine.diagnostics.Recorder.record``."""
        self.found.setdefault(at, []).append(out.detach())
