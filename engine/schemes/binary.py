"""``binary``: one bit for every forward tensor, levels at the least and the largest value (METHODS §1, last row).

A node's row and a weight's output channel have their own two levels: with one range for the whole tensor nothing is
left of row-normalised features, while a row of zeros and one value is exact. Gradients stay fp32 and pass
straight through. ``bare=true`` is what a bare format means elsewhere: one range a tensor, and the gradients in
one bit too.
"""

from __future__ import annotations

from engine.formats import get_format
from engine.grammar import Part
from engine.recipe_options import Options
from engine.scheme import Quantization, Rule, Scheme
from engine.schemes import Recipe
from engine.schemes.uniform import build as build_uniform

NODE_SITES = ("input", "feature", "aggregate")


def build(part: Part) -> Scheme | None:
    if part.name != "binary":
        return None
    if Options(part, ("bare",)).flag("bare", False):
        return build_uniform(Part(part.name))
    format = get_format("binary")
    by_line = Quantization(format, "row")
    rules = [Rule(site, by_line) for site in NODE_SITES]
    return Scheme((*rules, Rule("weight", Quantization(format, "channel"))))


ENTRIES = [
    Recipe(
        name="binary",
        summary="one bit: two levels a node and a channel for weight, input, feature and aggregate",
        source="Rastegari et al., XNOR-Net, ECCV 2016, arXiv 1603.05279, with affine levels; SGQuant's rows near 1 bit",
        names=["binary"],
        examples=("binary", "binary:weight", "binary(bare=true)"),
        build=build,
    )
]
