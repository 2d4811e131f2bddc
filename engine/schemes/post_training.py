"""Post-training quantization: ``ptq-int8`` (any format), ranges calibrated on the trained fp32 model.

fp32 training for the spec's epochs, then one pass over the training data in which only ranges observe, then evaluation
with every forward tensor and the weights quantized (Wu et al. 2020, arXiv 2004.09602, §3).
"""

from __future__ import annotations

from engine.formats import get_format, is_format
from engine.grammar import Part
from engine.ranges import RANGES
from engine.recipe_options import Options
from engine.scheme import FP32, Phase, Quantization, Rule, Scheme
from engine.schemes import Recipe
from engine.schemes.quantization_aware import SITES

PREFIX = "ptq-"
GRANULARITIES = ("tensor", "channel")


def build(part: Part) -> Scheme | None:
    name = part.name.removeprefix(PREFIX)
    if name == part.name or not is_format(name):
        return None
    options = Options(part, ("range", "weights"))
    format = get_format(name)
    # One pass sees one tensor a site: running keeps its least and largest value.
    found = options.choice("range", "running", [name for name in RANGES if name != "learned"])
    by_channel = options.choice("weights", "tensor", GRANULARITIES) == "channel" and format.ranged
    rules = [Rule(site, Quantization(format, range=found)) for site in SITES if site != "weight"]
    # The weights stay as they are, so they need no calibration.
    rules.append(Rule("weight", Quantization(format, "channel" if by_channel else "tensor")))
    phases = (Phase("fp32", quantized=False, counts=False), Phase("calibrate", 1, learns=False))
    return Scheme(() if format == FP32 else tuple(rules), phases=phases)


ENTRIES = [
    Recipe(
        name="ptq",
        summary="post-training quantization: every forward tensor, ranges calibrated on the trained fp32 model",
        source="Wu et al., Integer quantization, 2020, arXiv 2004.09602",
        names=[f"{PREFIX}int{bits}" for bits in (8, 6, 4)],
        examples=("ptq-int8", "ptq-int4(range=mse)", "ptq-int8(range=entropy,weights=channel)", "ptq-msfp13"),
        build=build,
    )
]
