"""Objectives: what a task minimizes, what it reports, and which way is better; one file a task."""

from __future__ import annotations

from engine.catalogue import Catalogue
from engine.objectives.entry import Objective, TaskSpec

__all__ = ["OBJECTIVES", "Objective", "TaskSpec"]

OBJECTIVES: Catalogue[Objective] = Catalogue("task", "engine.objectives")
