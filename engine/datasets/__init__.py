"""Datasets: one file an entry or a family of entries, each with its loader, task, splits and caveats."""

from __future__ import annotations

from engine.catalogue import Catalogue
from engine.datasets.entry import Dataset, DatasetSpec, GraphSize

__all__ = ["DATASETS", "Dataset", "DatasetSpec", "GraphSize"]

DATASETS: Catalogue[Dataset] = Catalogue("dataset", "engine.datasets")
