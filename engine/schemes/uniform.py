"""One format for every site of quantized training: ``int8``, ``msfp13``, ``fp32`` [T].

A bare format means weight, input, feature, aggregate and the incoming gradient, in all three
products, nearest rounding, affine min/max a tensor (METHODS, "Names").
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import InputError
from engine.formats import get_format, is_format, list_formats
from engine.grammar import Part
from engine.scheme import FP32, Rule
from engine.schemes import Recipe

SITES = ("weight", "input", "feature", "aggregate")

EXAMPLES = (
    "fp32", "bf16", "fp16",
    "int8", "int7", "int6", "int5", "int4", "int3", "int2",
    "msfp16", "msfp15", "msfp14", "msfp13", "msfp12", "msfp11",
    "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8",
)  # fmt: skip
"""The formats that people compare most; any other name of `bitfront list formats` works as well."""


def build(part: Part) -> Sequence[Rule] | None:
    if not is_format(part.name):
        return None
    if part.steps or part.options:
        raise InputError(f"the scheme {str(part)!r}: a bare format takes no list and no options; write {part.name!r}")
    format = get_format(part.name)
    if format == FP32:
        return []
    # The gradient that comes into each linear; the aggregate's own gradient stays fp32.
    return [*(Rule(site, format) for site in SITES), Rule("gradient", format, ("grad_input", "grad_weight"))]


ENTRIES = [
    Recipe(
        name="uniform",
        summary="one format at weight, input, feature, aggregate and incoming gradient, in all three products",
        source="Bqain, thesis, Imperial College London, 2023",
        names=[format.name for format in list_formats()],
        examples=EXAMPLES,
        build=build,
    )
]
