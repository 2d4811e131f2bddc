"""Controllers of dynamic precision; one file each, without torch (METHODS §8)."""

from __future__ import annotations

from engine.catalogue import Catalogue
from engine.controllers.entry import ControllerEntry

__all__ = ["CONTROLLERS", "ControllerEntry"]

CONTROLLERS: Catalogue[ControllerEntry] = Catalogue("controller", "engine.controllers")
