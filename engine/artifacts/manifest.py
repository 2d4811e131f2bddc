"""The manifest of a saved model: what the packed bytes are, and where the model comes from."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from engine.events import Densities, Number

FORM = 1
"""Changes whenever a reader of the one before would misunderstand a file."""

Count = Annotated[int, Field(ge=0, le=2**53)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Segment(_Part):
    """A tensor among the packed bytes."""

    at: Count
    """Its first byte."""
    bytes: Count
    dtype: str
    """"uint8", "float32" …; of packed codes: what they unpack to."""
    shape: list[Count]
    bits: Annotated[int, Field(ge=1, le=16)] | None = None
    """Bit planes of codes of so many bits (plane k holds bit k of eight codes a byte, the first in the highest bit);
    None: the tensor's bytes as they are, little-endian."""


class Weight(_Part):
    """A parameter that is kept in the format that its product uses."""

    name: str
    layer: int
    """Counted from 0."""
    product: str
    format: str
    granularity: str
    axis: int
    shape: list[Count]
    bits: float
    """An element's, shared exponents included."""
    codes: Segment
    metadata: list[Segment]
    """Ranges (float32, or float64 where that is needed), shared exponents (a byte a box), exponents of steps."""


class Raw(_Part):
    """A parameter or buffer in fp32."""

    name: str
    why: str
    """Why it is not packed."""
    segment: Segment


class SiteState(_Part):
    """A quantizer of the forward pass: the formats of its parts, and what evaluation needs of its state."""

    key: str
    site: str
    layer: int
    part: str
    products: list[str]
    formats: list[str]
    """One, or one a degree bucket; of learned bits: the format that all began with."""
    range: str
    granularity: str
    state: dict[str, float | int | Segment | None]
    """Ends of ranges, learned steps and bits, counts of draws; None: nothing was seen."""


class Size(_Part):
    """What the run trained on (``engine.datasets.GraphSize``)."""

    nodes: Count
    edges: Count
    features: Count
    classes: Count
    graphs: Count = 1
    batches: Count = 1


class Manifest(_Part):
    """All that is known of a saved model beside its packed bytes."""

    form: int = FORM
    made_by: str
    spec: dict[str, Any]
    size: Size
    epoch: int
    """The best epoch, whose model this is."""
    quantized: bool
    scaling: tuple[list[float], list[float]] | None = None
    """(middle, scale) of standardized targets: a value is output·scale + middle."""
    weights: list[Weight]
    raw: list[Raw]
    sites: list[SiteState]
    packed_bytes: Count
    packed_sha256: str
    metric: str
    unit: str
    val_best: Number
    test_at_best_val: Number
    densities: list[Densities]
    figures: dict[str, Number] = {}
    ledger: list[dict[str, Any]] = []
    """What one step reads, by layer, product, site and format, at the best epoch: elements, bits, multiply-accumulates.
    """
    provenance: dict[str, Any]
    licence: str
    """Of the dataset that the model was trained on."""

    @property
    def payload_bits(self) -> int:
        """Σ numel·bits of the weights, and 32 bits for what is not packed: what the file must hold at least."""
        packed = sum(round(math.prod(weight.shape) * weight.bits) for weight in self.weights)
        return packed + sum(8 * raw.segment.bytes for raw in self.raw)

    @property
    def metadata_bytes(self) -> int:
        """Ranges of weights (shared exponents are the elements' own bits) and what sites keep in the file."""
        ranges = sum(part.bytes for weight in self.weights for part in weight.metadata if part.dtype != "uint8")
        kept = sum(v.bytes for site in self.sites for v in site.state.values() if isinstance(v, Segment))
        return ranges + kept
