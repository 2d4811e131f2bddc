"""What an architecture's entry is: options, sites, the work of a step, and a builder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.errors import InputError
from engine.scheme import Scheme

if TYPE_CHECKING:
    from torch import nn

    from engine.datasets import GraphSize
    from engine.ledger import Kept, Product


class ModelSpec(BaseModel):
    """An architecture and its options; each entry's own class adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str


Pool = Literal["none", "mean", "sum", "max"]
"""How a graph's nodes are pooled."""
ReadoutLayers = Annotated[int, Field(ge=1, le=8)]
ReadoutDropout = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Model:
    """A catalogue entry. ``products`` lists the work of one training step for the ledger, ``kept`` what such a step
    keeps from its forward to its backward pass."""

    name: str
    summary: str
    source: str
    sites: tuple[str, ...]
    spec: type[ModelSpec]
    products: Callable[[Any, GraphSize], Sequence[Product]]
    kept: Callable[[Any, GraphSize], Iterable[Kept]]
    build: Callable[[Any, GraphSize], nn.Module]
    layers: Callable[[Any], int] = lambda spec: spec.layers
    """How many layers a scheme may address one by one."""
    sums_first: Literal["neighbours", "neighbours and own"] | None = None
    """What the first layer sums before its weight, so that the sum follows from the features; None: the weight comes
    first."""

    def check(self, spec: ModelSpec, scheme: Scheme) -> None:
        """Raises InputError where the scheme names a site that the architecture lacks, or other layers than it has."""
        for site in scheme.required or scheme.sites:
            if site not in self.sites and (scheme.required or not set(scheme.sites) & set(self.sites)):
                raise InputError(
                    f"the scheme {scheme.text!r} quantizes the site {site!r}, which {self.name} does not have; "
                    f"its sites are: {', '.join(self.sites)}"
                )
        layers = self.layers(spec)
        if scheme.layers not in (0, layers):
            raise InputError(
                f"the scheme {scheme.text!r} gives bits for {scheme.layers} layers, but this {self.name} has {layers}: "
                f"give {layers}, or change model.layers"
            )
