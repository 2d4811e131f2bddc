"""Architectures: one file an entry, with its options, its sites and its layers."""

from __future__ import annotations

from engine.catalogue import Catalogue
from engine.models.entry import Model, ModelSpec

__all__ = ["MODELS", "Model", "ModelSpec"]

MODELS: Catalogue[Model] = Catalogue("model", "engine.models")
