"""A quantization scheme: a value made of rules, printed as text and parsed back.

A rule says how a site is quantized, in which products, layers and degree buckets; beside the rules
stand protection (Degree-Quant, nQAT), the phases of training and its schedule of formats. Recipes (engine/schemes)
turn a name into such a value; nothing else knows their names. Grammar: METHODS, "Grammar".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from engine import grammar
from engine.catalogue import unknown
from engine.errors import InputError
from engine.formats import Format, get_format
from engine.formats.base import Granularity, RoundingMode
from engine.formats.grid import GridFormat
from engine.grammar import Value
from engine.schedule import Schedule, Step

if TYPE_CHECKING:
    from torch import nn

SITES: dict[str, str] = {
    "input": "what enters a layer's linear product",
    "weight": "a layer's weight matrix",
    "feature": "the nodes after the weight",
    "message": "what a node sends along its edges",
    "aggregate": "the sum of a node's messages",
    "update": "a layer's output",
    "score": "attention before the softmax",
    "attention": "attention after the softmax",
    "gradient": "the gradient that comes into a linear product, or into the aggregate's transpose",
    "stash": "activations kept for the backward pass",
}
"""Every place where a tensor can be quantized, with what lies there."""

PRODUCTS = ("forward", "grad_input", "grad_weight")
"""The three products of a linear layer: Y = X·Wᵀ, dX = dY·W, dW = dYᵀ·X."""
ALL_PRODUCTS = (*PRODUCTS, "aggregate", "grad_aggregate", "grad_layer")
"""These, the sum over messages, its transpose in the backward pass, and what a layer hands back to the one before."""

ESTIMATORS = {
    "ste": "straight-through: the gradient as it comes",
    "clipped": "zero where the code was clamped (strict, as torch's fake_quantize)",
    "clipped-inclusive": "zero at the codes' ends too, as in Degree-Quant's released code",
    "lsq": "the step is learned with the weights",
}
"""What passes backward through a fake-quantization (engine.estimators)."""

SEES_ZEROS = ("entropy", "mse", "learned")
"""Ranges that need a tensor's zeros one by one, not their number (Range.counts_zeros)."""

FP32 = get_format("fp32")


@dataclass(frozen=True)
class Slot:
    """One place in a bound model for which a quantizer is made."""

    key: str
    """Unique within the model: layer, part and site; names the random stream and the state."""
    site: str
    product: str
    layer: int
    """Counted from 0."""
    part: str
    """The module within the layer ("" is the layer itself)."""
    nodes: int
    """Nodes of the training graph."""
    seed: int
    shared: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What the quantizers of one live scheme share (a memory target), by the recipe's name."""

    def __str__(self) -> str:
        part = f" ({self.part})" if self.part else ""
        return f"the {self.site} of layer {self.layer + 1}{part}"


@dataclass(frozen=True)
class Quantization:
    """How a rule quantizes: format, granularity, range, rounding, gradient estimator (see engine.quantizer).

    A recipe may subclass it and ``make`` a module of its own.
    """

    format: Format
    granularity: Granularity = "tensor"
    """row, channel: one range for each line along the product's axis, each charged."""
    range: str = "min-max"
    range_options: tuple[tuple[str, Value], ...] = ()
    rounding: RoundingMode | None = None
    estimator: str = "ste"
    reuse_blocks: bool = False
    """Backward products reuse the forward's blocks, as in [T]'s code, instead of their own axis'."""

    def make(self, slot: Slot) -> nn.Module:
        """The live quantizer of one place."""
        from engine.quantizer import Quantizer

        return Quantizer(
            self.format,
            site=str(slot),
            stream=slot.key,
            range=self.range,
            range_options=dict(self.range_options),
            granularity=self.granularity,
            rounding=self.rounding,
            estimator=self.estimator,
            seed=slot.seed,
        )

    def spread(self) -> Sequence[tuple[Format, Fraction]]:
        """The formats of the elements with their shares, before training has changed any."""
        return [(self.format, Fraction(1))]

    @property
    def repeats(self) -> bool:
        """Whether a tensor that stays the same has the same values in every step."""
        return self.range == "min-max" and (self.rounding or self.format.rounding) != "stochastic"

    @property
    def spares_zeros(self) -> bool:
        """Whether a sparse tensor is quantized by its entries alone (engine.quantizer)."""
        format, stochastic = self.format, (self.rounding or self.format.rounding) == "stochastic"
        if format.blocked or not format.keeps_zero or stochastic:
            return False
        return not format.ranged or (self.granularity == "tensor" and self.range not in SEES_ZEROS)

    def held_bytes(self, elements: int, rows: int) -> int:
        """What this implementation holds of a tensor for its gradient (engine.estimators): a mask's bits, or x.

        ``rows``: the tensor's, where they go by node, else 0.
        """
        if self.estimator.startswith("clipped") and self.format.ranged:
            return -(-elements // 8)
        return 4 * elements if self.estimator == "lsq" else 0

    @property
    def codes(self) -> bool:
        """Whether a dense constant is held as its codes (engine.quantizer.Quantizer.hold)."""
        grid = isinstance(self.format, GridFormat) and self.format.width <= 8
        nearest = (self.rounding or self.format.rounding) == "nearest"
        return grid and nearest and self.granularity == "tensor" and self.range == "min-max" and self.estimator != "lsq"

    @property
    def stashes_constants(self) -> bool:
        """At the site "stash": whether features, which are in memory anyway, are kept there as activations are."""
        return True

    def packed_bytes(self, rows: int, width: int) -> int | None:
        """Bytes of a tensor [rows, width] that is kept packed (engine.kernels.packed_rows); None: it is not."""
        own = self.granularity == "row" and self.range == "min-max" and self.estimator != "lsq"
        if not (own and isinstance(self.format, GridFormat) and self.format.width <= 8):
            return None
        return rows * (-(-width * self.format.width // 8) + self.format.range_bits // 8)

    @property
    def holds_protected(self) -> bool:
        """Whether its gradient asks which rows were protected, a byte a row."""
        return self.estimator == "lsq"

    def metadata_bits(self, rows: int, width: int) -> int:
        """Bits of the ranges of a tensor [rows, width] where each line has one; a tensor's one range is not counted."""
        if self.granularity == "tensor" or not self.format.ranged:
            return 0
        return self.format.charged_bits((rows, width), -1, self.granularity) - int(self.format.bits * rows * width)


@dataclass(frozen=True)
class Rule:
    """How a site is quantized, in some products, layers and degree buckets (None: in all)."""

    site: str
    quantization: Quantization
    products: tuple[str, ...] | None = None
    layer: int | None = None
    """Counted from 0."""
    bucket: int | None = None
    """Counted from 0, the lowest degrees; see ``Scheme.splits``."""

    def covers(self, site: str, product: str, layer: int) -> bool:
        return (
            self.site == site
            and (self.products is None or product in self.products)
            and (self.layer is None or self.layer == layer)
        )

    @property
    def key(self) -> tuple[str, tuple[str, ...] | None, int | None, int | None]:
        """What two rules must not share."""
        return self.site, self.products, self.layer, self.bucket


@dataclass(frozen=True)
class DegreeProtection:
    """Degree-Quant's mask: in a training step node i stays full precision with probability p_i (METHODS §4).

    p_i = p_min + (p_max − p_min)·F(i), F the empirical distribution function of the in-degrees.
    """

    p_min: float
    p_max: float
    per: str = "layer"
    """One mask a layer, or one a forward pass."""
    gin_mlp_masked: bool = True
    """Whether the node tensors inside GIN's MLP are protected too (the released code: they are not)."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training."""

    name: str
    epochs: int | None = None
    """None: the spec's training.epochs."""
    quantized: bool = True
    """False: the scheme is switched off."""
    learns: bool = True
    """False: parameters stay; only ranges observe."""
    counts: bool = True
    """Whether its epochs may be selected as the run's best."""


@dataclass(frozen=True)
class Scheme:
    """Rules, protection, phases and schedule, with the text that they come from."""

    rules: tuple[Rule, ...] = ()
    text: str = "fp32"
    protection: DegreeProtection | None = None
    weight_probability: float | None = None
    """nQAT: in a training step each weight element is quantized with this probability."""
    splits: tuple[int, ...] = ()
    """Ascending in-degrees; a node's bucket is the number of those that are ≤ its in-degree."""
    phases: tuple[Phase, ...] = ()
    """None given: one phase of plain training."""
    schedule: Schedule | None = None
    """How the formats change in training; the rules' own are those of its first epoch."""
    required: tuple[str, ...] = ()
    """Sites that were asked for by name: an architecture without one is refused. A recipe's other sites apply
    where the architecture has them."""

    def covering(self, site: str, product: str, layer: int) -> tuple[Rule, ...]:
        """The rule of an operand: none (fp32), one, or one a degree bucket."""
        found: dict[int | None, Rule] = {}
        for rule in self.rules:
            if rule.covers(site, product, layer):
                if rule.bucket is None and found:
                    break
                found.setdefault(rule.bucket, rule)
                if rule.bucket is None:
                    break
        return tuple(found.values())

    def format(self, site: str, product: str, layer: int) -> Format:
        """The format of an operand; fp32 where no rule covers it, the first bucket's where each has its own."""
        rules = self.covering(site, product, layer)
        return rules[0].quantization.format if rules else FP32

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that the scheme quantizes, in the order of SITES."""
        used = {rule.site for rule in self.rules}
        return tuple(site for site in SITES if site in used)

    @property
    def moves(self) -> bool:
        """Whether the schedule changes a format of a rule (or has one step, or the same format at each)."""
        ladder = () if self.schedule is None else self.schedule.ladder
        same = len({step.label for step in ladder}) < 2
        return same or any(len({step.format(rule) for step in ladder}) > 1 for rule in self.rules)

    @property
    def layers(self) -> int:
        """How many layers the rules name; 0 where none names one."""
        return max((rule.layer + 1 for rule in self.rules if rule.layer is not None), default=0)

    @property
    def quantizes_gradients(self) -> bool:
        return "gradient" in self.sites

    def bucket_shares(self, counts: Sequence[tuple[int, int]]) -> list[Fraction]:
        """The share of each degree bucket among rows; ``counts``: (in-degree, rows)."""
        sums = [0] * (len(self.splits) + 1)
        for degree, count in counts:
            sums[bisect_right(self.splits, degree)] += count
        total = sum(sums)
        return [Fraction(part, total) if total else Fraction(0) for part in sums]

    def at(self, step: Step) -> Scheme:
        """The scheme with the formats of a step of its ladder."""
        rules = []
        for rule in self.rules:
            format = step.format(rule)
            changed = format is not None and format != rule.quantization.format
            rules.append(replace(rule, quantization=replace(rule.quantization, format=format)) if changed else rule)
        return replace(self, rules=tuple(rules))

    def restrict(self, sites: Iterable[str]) -> Scheme:
        """Only the rules of these sites. Raises InputError for a site without a rule."""
        kept = tuple(sites)
        for site in kept:
            if not any(rule.site == site for rule in self.rules):
                allowed = ", ".join(self.sites) or "none"
                raise InputError(
                    f"the scheme {self.text!r} does not quantize the site {site!r}; its sites are: {allowed}"
                )
        return replace(self, rules=tuple(rule for rule in self.rules if rule.site in kept), required=kept)

    def spent(self, epochs: int, *, started: bool = False) -> list[Phase]:
        """How a run is spent, with the epochs of each phase; one phase of plain training unless asked otherwise.

        ``epochs``: the spec's. ``started``: the run goes on from a trained model, so that what only prepares is left
        out, and what learns lasts for all the spec's epochs.
        """
        planned = self.phases or (Phase("train"),)
        if started:
            kept = [phase for phase in planned if phase.counts]
            planned = [replace(phase, epochs=None) if phase.learns else phase for phase in kept]
        return [replace(phase, epochs=epochs if phase.epochs is None else phase.epochs) for phase in planned]

    def __str__(self) -> str:
        return self.text


def site_name(text: str) -> str:
    """The singular name of a site; the plural is accepted. Raises InputError for an unknown one."""
    for site in SITES:
        if text in (site, site + "s", site + "es"):
            return site
    raise unknown("site", text, list(SITES))


@cache
def parse_scheme(text: str) -> Scheme:
    """The scheme of this text. Raises InputError that names the fault and what is allowed."""
    from engine.schemes import build_part

    parsed = grammar.parse(text, "scheme")
    whole, owners = Scheme(), {}
    for part in parsed.parts:
        built = build_part(part)
        before = whole
        whole = merge(whole, built, str(part), owners, text) if isinstance(built, Scheme) else built(whole)
        _check_schedule(before, whole, str(part), text)
    sites = tuple(dict.fromkeys(site_name(site) for site in parsed.sites))
    scheme = replace(whole, text=str(grammar.Text(parsed.parts, sites)))
    scheme = scheme.restrict(sites) if sites else scheme
    if scheme.schedule is not None and not scheme.moves:
        kept = ", ".join(scheme.sites)
        raise InputError(f"the scheme {text!r}: its schedule changes the format of none of its sites ({kept})")
    return scheme


def _check_schedule(before: Scheme, after: Scheme, part: str, text: str) -> None:
    """Raise InputError where a part and a schedule do not go together."""
    if after.schedule is None:
        return
    if after.phases:
        raise InputError(
            f"the scheme {text!r}: a schedule of formats is for one phase of training, and {part!r} or what stands "
            "before it trains in phases of its own (fp32 first): leave one of them out"
        )
    if before.schedule is not None and after.schedule is before.schedule:
        taken = {rule.site for rule in after.rules if rule not in before.rules} & set(before.sites)
        taken -= {rule.site for rule in before.rules if rule not in after.rules}
    else:
        taken = set(before.sites) & {rule.site for rule in after.rules if rule not in before.rules}
    if taken:
        raise InputError(
            f"the scheme {text!r} sets the site {min(taken)!r} twice, by {part!r} and by what stands before it: leave "
            "one of them out"
        )


_SINGLE = ("protection", "weight_probability", "splits", "phases", "schedule")


def merge(whole: Scheme, part: Scheme, name: str, owners: dict[object, str], text: str) -> Scheme:
    """``whole`` with another part's rules and settings; ``owners``: which part set what so far.

    Raises InputError where both set the same thing to different values.
    """
    for rule in part.rules:
        if rule.key in owners:
            raise InputError(_twice(text, f"the site {rule.site!r}", owners[rule.key], name))
        owners[rule.key] = name
    changed: dict[str, object] = {}
    for setting in _SINGLE:
        value = getattr(part, setting)
        if value in (None, ()):
            continue
        if setting in owners and getattr(whole, setting) != value:
            raise InputError(_twice(text, f"its {setting.replace('_', ' ')}", owners[setting], name))
        owners.setdefault(setting, name)
        changed[setting] = value
    changed["required"] = (*whole.required, *(site for site in part.required if site not in whole.required))
    return replace(whole, rules=(*whole.rules, *part.rules), **changed)  # pyright: ignore[reportArgumentType]


def _twice(text: str, what: str, first: str, second: str) -> str:
    return f"the scheme {text!r} sets {what} twice, by {first!r} and by {second!r}: leave one of them out"
