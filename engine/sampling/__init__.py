"""How the nodes of one large graph are parted into training batches; one file a way (no torch needed to list them)."""

from __future__ import annotations

from engine.catalogue import Catalogue
from engine.sampling.entry import Batching, BatchingSpec

__all__ = ["BATCHINGS", "Batching", "BatchingSpec"]

BATCHINGS: Catalogue[Batching] = Catalogue("batching", "engine.sampling")
