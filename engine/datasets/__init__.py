"""Datasets: one file an entry or a family of entries, each with its loader, task, splits and caveats."""

from __future__ import annotations

from engine.catalogue import Catalogue
from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Messages

__all__ = ["DATASETS", "Dataset", "DatasetSpec", "GraphSize", "Messages"]

DATASETS: Catalogue[Dataset] = Catalogue("dataset", "engine.datasets")
