"""A quantization scheme: a value made of rules, printed as text and parsed back.

A rule says which format a site has, in which products, in which layers. Recipes (engine/schemes)
turn a name into rules; nothing else knows their names. Grammar: METHODS, "Grammar".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from engine import grammar
from engine.catalogue import unknown
from engine.errors import InputError
from engine.formats import Format, get_format

SITES: dict[str, str] = {
    "input": "what enters a layer's linear product",
    "weight": "a layer's weight matrix",
    "feature": "the nodes after the weight",
    "message": "what a node sends along its edges",
    "aggregate": "the sum of a node's messages",
    "update": "a layer's output",
    "score": "attention before the softmax",
    "attention": "attention after the softmax",
    "gradient": "the gradient that comes into a linear product",
    "stash": "activations kept for the backward pass",
}
"""Every place where a tensor can be quantized, with what lies there."""

PRODUCTS = ("forward", "grad_input", "grad_weight")
"""The three products of a linear layer: Y = X·Wᵀ, dX = dY·W, dW = dYᵀ·X."""

FP32 = get_format("fp32")


@dataclass(frozen=True)
class Rule:
    """A site's format, in some products and layers (None: in all)."""

    site: str
    format: Format
    products: tuple[str, ...] | None = None
    layer: int | None = None

    def covers(self, site: str, product: str, layer: int) -> bool:
        return (
            self.site == site
            and (self.products is None or product in self.products)
            and (self.layer is None or self.layer == layer)
        )


@dataclass(frozen=True)
class Scheme:
    """Rules and the text that they come from; two schemes with the same rules and text are equal."""

    rules: tuple[Rule, ...] = ()
    text: str = "fp32"

    def format(self, site: str, product: str, layer: int) -> Format:
        """The format of an operand; fp32 where no rule covers it."""
        for rule in self.rules:
            if rule.covers(site, product, layer):
                return rule.format
        return FP32

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that the scheme quantizes, in the order of SITES."""
        used = {rule.site for rule in self.rules}
        return tuple(site for site in SITES if site in used)

    @property
    def quantizes_gradients(self) -> bool:
        return "gradient" in self.sites

    def restrict(self, sites: Iterable[str]) -> Scheme:
        """Only the rules of these sites. Raises InputError for a site without a rule."""
        kept = tuple(sites)
        for site in kept:
            if not any(rule.site == site for rule in self.rules):
                allowed = ", ".join(self.sites) or "none"
                raise InputError(
                    f"the scheme {self.text!r} does not quantize the site {site!r}; its sites are: {allowed}"
                )
        return replace(self, rules=tuple(rule for rule in self.rules if rule.site in kept))

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
    rules: list[Rule] = []
    owners: dict[tuple[str, tuple[str, ...] | None, int | None], str] = {}
    for part in parsed.parts:
        for rule in build_part(part):
            key = (rule.site, rule.products, rule.layer)
            if key in owners:
                raise InputError(
                    f"the scheme {text!r} sets the site {rule.site!r} twice, by {owners[key]!r} and by {str(part)!r}: "
                    "leave one of them out"
                )
            owners[key] = str(part)
            rules.append(rule)
    sites = tuple(dict.fromkeys(site_name(site) for site in parsed.sites))
    scheme = Scheme(tuple(rules), str(grammar.Text(parsed.parts, sites)))
    return scheme.restrict(sites) if sites else scheme
