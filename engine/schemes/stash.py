"""``+stash-int4``: what the parts before it keep for the backward pass is kept in packed integers, a range a row.

The forward pass computes with what they say; the gradient of a weight reads what was kept (METHODS, "Stash precision").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.errors import InputError
from engine.formats import get_format, is_format
from engine.formats.grid import GridFormat
from engine.grammar import Part
from engine.scheme import Quantization, Rule, Scheme
from engine.schemes import Modifier, Recipe

PREFIX = "stash-"
MOST_BITS = 8


@dataclass(frozen=True)
class StashQuantization(Quantization):
    """How activations are kept; the dataset's features are in memory anyway, and a copy of them would save nothing."""

    @property
    def stashes_constants(self) -> bool:
        return False


def build(part: Part) -> Modifier | None:
    name = part.name.removeprefix(PREFIX)
    if name == part.name or not is_format(name):
        return None
    if part.steps or part.options:
        raise InputError(f"the scheme part {str(part)!r} takes no list and no options; write {part.name!r}")
    format = get_format(name)
    if not isinstance(format, GridFormat) or format.bits > MOST_BITS:
        raise InputError(
            f"the scheme part {part.name!r}: activations are kept in integers of at most {MOST_BITS} bits; "
            "write, for example, stash-int4"
        )
    rule = Rule("stash", StashQuantization(format, "row", rounding="stochastic"), ("grad_weight",))

    def keep(scheme: Scheme) -> Scheme:
        if any(each.site == "stash" for each in scheme.rules):
            raise InputError(f"{part.name!r} says how activations are kept, which what stands before it says already")
        return replace(scheme, rules=(*scheme.rules, rule))

    return keep


ENTRIES = [
    Recipe(
        name="stash",
        summary="activations kept for the backward pass in packed integers, a range a row, rounded stochastically",
        source="Liu et al., EXACT, ICLR 2022; Yang et al., Dynamic Stashing Quantization, arXiv 2303.05295",
        names=[f"{PREFIX}int{bits}" for bits in (8, 4, 2)],
        examples=("fp32+stash-int4", "int8+stash-int4"),
        build=build,
    )
]
