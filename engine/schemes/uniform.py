"""One format for every site of quantized training: ``int8``, ``msfp13``, ``fp32`` [T].

A bare format means weight, input, feature, aggregate and the incoming gradient, in all three
products, nearest rounding, affine min/max a tensor (METHODS, "Names"). Its options are the format's own
(``msfp13(box=32)``) and ``message_gradient``: the gradient of the messages is quantized too.
"""

from __future__ import annotations

from dataclasses import replace

from engine.errors import InputError
from engine.formats import get_format, is_format, list_formats
from engine.grammar import Part
from engine.scheme import FP32, Quantization, Rule, Scheme
from engine.schemes import Recipe

SITES = ("weight", "input", "feature", "aggregate")

EXAMPLES = (
    "fp32", "bf16", "fp16",
    "int8", "int7", "int6", "int5", "int4", "int3", "int2",
    "msfp16", "msfp15", "msfp14", "msfp13", "msfp12", "msfp11",
    "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8",
)  # fmt: skip
"""The formats that people compare most; any other name of `bitfront list formats` works as well."""


def build(part: Part) -> Scheme | None:
    if not is_format(part.name):
        return None
    if part.steps:
        raise InputError(f"the scheme {str(part)!r}: a bare format takes no list; write {part.name!r}")
    options = dict(part.options)
    messages = options.pop("message_gradient", False)
    if not isinstance(messages, bool):
        raise InputError(f"the scheme {str(part)!r}: message_gradient is true or false, not {messages!r}")
    format = get_format(str(replace(part, options=tuple(options.items()))))
    if format == FP32:
        return Scheme()
    return Scheme(uniform_rules(Quantization(format), messages))


def uniform_rules(quantization: Quantization, message_gradient: bool = False) -> tuple[Rule, ...]:
    """The sites of quantized training [T]; the gradient that comes into each linear is one, and the aggregate's
    own gradient only where it is asked for."""
    products = ("grad_input", "grad_weight", *(("grad_aggregate",) if message_gradient else ()))
    return (*(Rule(site, quantization) for site in SITES), Rule("gradient", quantization, products))


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
