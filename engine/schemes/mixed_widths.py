"""``w4a8``: weights of 4 bits, the other forward sites of 8 (METHODS, "Names").

The activations are [DQ]'s forward sites with running ranges and straight-through gradients, as in ``qat-int8``; the
weights have a range a channel or a tensor (``weights=channel``). Gradients stay fp32.
"""

from __future__ import annotations

import re

from engine.grammar import Part
from engine.ranges import RANGES
from engine.recipe_options import Options, width_format
from engine.scheme import Quantization, Rule, Scheme
from engine.schemes import Recipe
from engine.schemes.quantization_aware import SITES

GRANULARITIES = ("tensor", "channel")


def build(part: Part) -> Scheme | None:
    found = re.fullmatch(r"w(\d+)a(\d+)", part.name)
    if found is None:
        return None
    options = Options(part, ("range", "weights"))
    weights, activations = (width_format(bits, "int{}", str(part)) for bits in found.groups())
    kind = options.choice("range", "running", [name for name in RANGES if name != "learned"])
    by_channel = options.choice("weights", "tensor", GRANULARITIES) == "channel"
    quantization = Quantization(activations, range=kind)
    rules = [Rule(site, quantization) for site in SITES if site != "weight"]
    # A channel's range is the tensor's at hand: its steps are as many as the weight's rows.
    weight = Quantization(weights, "channel") if by_channel else Quantization(weights, range=kind)
    return Scheme((*rules, Rule("weight", weight)))


ENTRIES = [
    Recipe(
        name="w-a-",
        summary="weights of one width, the other forward tensors of another: w4a8",
        source="Wu et al., Integer quantization, 2020, arXiv 2004.09602",
        names=["w4a8", "w2a8", "w8a4"],
        examples=("w4a8", "w2a8", "w4a8(weights=channel)", "w8a4(range=percentile)"),
        build=build,
    )
]
