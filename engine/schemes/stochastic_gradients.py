"""``+sr``: what the parts before it quantize at the site "gradient" is rounded stochastically (METHODS, "Names")."""

from __future__ import annotations

from dataclasses import replace

from engine.errors import InputError
from engine.grammar import Part
from engine.scheme import Rule, Scheme
from engine.schemes import Modifier, Recipe

NAME = "sr"


def build(part: Part) -> Modifier | None:
    if part.name != NAME:
        return None
    if part.steps or part.options:
        raise InputError(f"the scheme part {str(part)!r} takes no list and no options; write {NAME!r}")
    return round_gradients


def round_gradients(scheme: Scheme) -> Scheme:
    """The scheme with stochastic rounding at every rule of the site "gradient"."""
    if not scheme.quantizes_gradients:
        raise InputError(
            f"{NAME!r} rounds gradients, and nothing before it quantizes them: write, for example, int8+sr"
        )
    return replace(scheme, rules=tuple(map(_rounded, scheme.rules)))


def _rounded(rule: Rule) -> Rule:
    if rule.site != "gradient":
        return rule
    return replace(rule, quantization=replace(rule.quantization, rounding="stochastic"))


ENTRIES = [
    Recipe(
        name="sr",
        summary="stochastic rounding of the gradients that the parts before it quantize",
        source="Gupta et al., ICML 2015, arXiv 1502.02551",
        names=[NAME],
        examples=("int8+sr", "msfp12+sr"),
        build=build,
    )
]
