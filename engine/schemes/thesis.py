"""``thesis-int8``, ``thesis-msfp13``: the thesis' released code, with its options on [T].

Linear layers only (weight, input, incoming gradient), forward and backward. Integers are symmetric with a power-of-two
scale, 2^(ceil(log2 max|x|) − (b−1)), and boxes take their exponent by ceil(log2 max) too, so that the largest value
saturates (``thesis_exponent``); backward products reuse the forward's boxes (``thesis_blocks``) instead
of making their own along the axis that they sum over.
"""

from __future__ import annotations

import re

from engine.formats import get_format
from engine.grammar import Part
from engine.recipe_options import Options, width_format
from engine.scheme import Quantization, Rule, Scheme
from engine.schemes import Recipe

SITES = ("weight", "input")


def build(part: Part) -> Scheme | None:
    found = re.fullmatch(r"thesis-(int|msfp)(\d+)", part.name)
    if found is None:
        return None
    options = Options(part, ("thesis_exponent", "thesis_blocks"))
    exponent = options.flag("thesis_exponent", True)
    blocks = options.flag("thesis_blocks", True)
    if found[1] == "int":
        width_format(found[2], "int{}-pow2", str(part), 2)
        name = f"int{found[2]}-pow2"
    else:
        name = f"msfp{found[2]}"
    format = get_format(f"{name}(thesis_exponent=true)" if exponent else name)
    quantization = Quantization(format, reuse_blocks=blocks)
    rules = [Rule(site, quantization) for site in SITES]
    return Scheme((*rules, Rule("gradient", quantization, ("grad_input", "grad_weight"))))


ENTRIES = [
    Recipe(
        name="thesis",
        summary="the thesis' released code: linear layers only, forward and backward, its exponents and boxes",
        source="Bqain, thesis, Imperial College London, 2023, and its public code",
        names=["thesis-int8", "thesis-int4", "thesis-msfp13", "thesis-msfp12"],
        examples=("thesis-int8", "thesis-int4", "thesis-msfp13", "thesis-msfp13(thesis_blocks=false)"),
        build=build,
    )
]
