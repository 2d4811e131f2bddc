"""Quantization-aware training: ``qat-int8``, ``dq-int4(p_min=0.1,p_max=0.2)``, ``nqat-int8``, and the part ``dq`` [DQ].

The three quantize [DQ]'s forward sites, weights included, and no gradient:

    qat-F    running ranges, straight-through estimator
    dq-F     percentile ranges, clipped STE, and the mask that protects nodes by their in-degree
    nqat-F   qat-F whose weight elements are each quantized with a probability only

Each choice is an option, so that the points between them can be had too. ``dq`` alone protects nodes in
whatever stands before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from engine.errors import InputError
from engine.formats import Format, get_format, is_format
from engine.grammar import Part
from engine.recipe_options import QUANTIZER_OPTIONS, Options, read_quantization
from engine.scheme import DegreeProtection, Rule, Scheme
from engine.schemes import Modifier, Recipe

SITES = ("input", "weight", "feature", "message", "aggregate", "update", "score")
"""[DQ]'s: every tensor of the forward pass but the softmax's output."""

MASKS = ("layer", "forward", "none")
SOURCE = "Tailor et al., Degree-Quant, ICLR 2021, arXiv 2008.05000"

_MASK = ("p_min", "p_max", "mask", "gin_mlp_masked")


@dataclass(frozen=True)
class _Kind:
    """One prefix: what it does where no option says otherwise."""

    prefix: str
    summary: str
    source: str
    range: str
    estimator: str
    options: tuple[str, ...]
    examples: tuple[str, ...]


KINDS = (
    _Kind(
        "qat-",
        "quantization-aware training: every forward tensor, running ranges, straight-through gradients",
        "Ugaddan & Abu, QAT of GNNs; the baseline of " + SOURCE,
        "running",
        "ste",
        QUANTIZER_OPTIONS,
        ("qat-int8", "qat-int4", "qat-int8(range=ema)", "qat-int4(range=percentile,estimator=clipped)"),
    ),
    _Kind(
        "dq-",
        "Degree-Quant: percentile ranges, clipped gradients, nodes of high in-degree protected at random",
        SOURCE,
        "percentile",
        "clipped",
        (*QUANTIZER_OPTIONS, *_MASK),
        ("dq-int8", "dq-int4", "dq-int4(p_min=0.1,p_max=0.2)", "dq-int8(mask=forward)"),
    ),
    _Kind(
        "nqat-",
        "QAT that leaves each weight element in full precision with a probability",
        "Fan et al., ICLR 2021, arXiv 2004.07320, as compared in " + SOURCE,
        "running",
        "ste",
        (*QUANTIZER_OPTIONS, "probability"),
        ("nqat-int8", "nqat-int4(probability=0.8)", "nqat-int8(range=percentile)"),
    ),
)


def _build(kind: _Kind, part: Part) -> Scheme | None:
    name = part.name.removeprefix(kind.prefix)
    if name == part.name or not is_format(name):
        return None
    options = Options(part, kind.options, steps=True)
    if part.steps:
        raise InputError(f"the scheme {str(part)!r} takes no list; write {part.name!r}")
    format = get_format(name)
    quantization = read_quantization(format, options, range=kind.range, estimator=kind.estimator)
    return Scheme(
        tuple(Rule(site, quantization) for site in SITES),
        protection=_protection(format, options) if "mask" in kind.options else None,
        weight_probability=options.share("probability", 0.5) if "probability" in kind.options else None,
    )


def _protect(part: Part) -> Modifier | None:
    if part.name != "dq":
        return None
    options = Options(part, _MASK, steps=True)
    if part.steps:
        raise InputError(f"the scheme part {str(part)!r} takes no list; write 'dq'")

    def protect(scheme: Scheme) -> Scheme:
        if not scheme.rules:
            raise InputError("'dq' protects nodes in what stands before it, and that quantizes nothing: write int8+dq")
        steps = scheme.schedule.ladder if scheme.schedule else ()
        formats = [rule.quantization.format for at in (scheme, *map(scheme.at, steps)) for rule in at.rules]
        narrowest = min(formats, key=lambda format: format.bits)
        return replace(scheme, protection=_protection(narrowest, options))

    return protect


def _protection(format: Format, options: Options) -> DegreeProtection | None:
    mask = options.choice("mask", "layer", MASKS)
    # [DQ]'s settings for REDDIT-BINARY: 0…0.1 at INT8, 0.1…0.2 at INT4.
    low, high = (0.1, 0.2) if format.bits <= 4 else (0.0, 0.1)
    p_min = options.share("p_min", low)
    p_max = options.share("p_max", max(high, p_min))
    if p_min > p_max:
        raise InputError(
            f"the scheme {options.text!r}: p_min = {p_min:g} is above p_max = {p_max:g}; "
            "nodes of high in-degree are protected more, so give p_min ≤ p_max"
        )
    masked = options.flag("gin_mlp_masked", True)
    return None if mask == "none" else DegreeProtection(p_min, p_max, mask, masked)


ENTRIES = [
    *(
        Recipe(
            name=kind.prefix.removesuffix("-"),
            summary=kind.summary,
            source=kind.source,
            names=[f"{kind.prefix}int{bits}" for bits in (8, 6, 4, 2)],
            examples=kind.examples,
            build=partial(_build, kind),
        )
        for kind in KINDS
    ),
    Recipe(
        name="degree protection",
        summary="Degree-Quant's mask on whatever stands before it",
        source=SOURCE,
        names=["dq"],
        examples=("int8+dq", "qat-int4+dq(p_min=0.1,p_max=0.2)"),
        build=_protect,
    ),
]
