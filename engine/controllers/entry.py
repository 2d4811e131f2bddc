"""What a controller's entry is: how a part of a scheme's text becomes a ladder and a controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.grammar import Part
from engine.recipe_options import Options
from engine.schedule import Parameter, Schedule
from engine.scheme import Quantization, Rule

MakeRules = Callable[[Quantization, bool], Sequence[Rule]]
"""The sites and products that a ladder moves, from how they are quantized and whether messages' gradients are too."""


@dataclass(frozen=True)
class ControllerEntry:
    """A catalogue entry; ``read`` raises InputError for a list or an option that does not fit."""

    name: str
    summary: str
    source: str
    examples: Sequence[str]
    options: Sequence[str]
    """Names of the part's options that are the controller's."""
    read: Callable[[Part, Options], Schedule]
    parameters: tuple[Parameter, ...] = ()
    """Options that are numbers and may be turned after the fact (``engine.controllers.replay``)."""
    rules: MakeRules | None = None
    """None: every site of quantized training, one format for all."""
