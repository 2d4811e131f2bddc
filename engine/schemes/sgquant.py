"""SGQuant (Feng et al., ICTAI 2020, arXiv 2007.05100): ``sgquant``, ``lwq[8,4]``, ``cwq(att=2,emb=8)``,
``taq[8,6,4,2]``, ``emb[8,6,4,2 -> 4]``, and any sum of them.

Features and attention only, floor-affine, weights and gradients fp32; fp32 training first, then fine-tuning
with straight-through gradients (METHODS §5). Features ("emb": what enters a layer, and the nodes after the weight)
have a range a row; attention ("att") has one a tensor, since a row of it is one number a head.

    sgquant(bits=4)       every component, layer and degree bucket
    lwq[8,4]              bits a layer, one for each
    cwq(att=2,emb=8)      bits a component; msg=8: messages too, for GIN and GraphSAGE, whose weight comes after
    taq[8,6,4,2]          bits a degree bucket, the lowest degrees first; splits=4-8-16: where the others begin
    emb[8,6,4,2 -> 4]     a component's table: a step a layer (one: all layers), in it a number a bucket, or one for
                          all; att, msg too; feat: the nodes after the weight have a table of their own, beside emb's;
                          per=row-tensor: whether a layer's features have a range a row, as elsewhere, or one in all

**A sum** is SGQuant's table bits[layer][component][bucket]. Each part is a ceiling on the entries that it names, and an
entry has the least of its ceilings: in ``lwq[8,4]+taq[8,6,4,2]`` the second layer's buckets have 4, 4, 4 and 2 bits.
So the order does not matter. A component that no part names stays fp32. Two ceilings on the same thing are refused.
Any table can be written as a sum of emb, att and msg, which is what a search over all of it does (engine.search).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from engine.errors import InputError
from engine.formats import Format
from engine.formats.base import Granularity
from engine.grammar import Part, Value
from engine.recipe_options import Options, width_format
from engine.scheme import FP32, Phase, Quantization, Rule, Scheme
from engine.schemes import Modifier, Recipe

SOURCE = "Feng et al., SGQuant, ICTAI 2020, arXiv 2007.05100"
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "att": ("attention",),
    "emb": ("input", "feature"),
    "msg": ("message",),
    "feat": ("feature",),
}
"""The sites of each component."""
ON_REQUEST = ("msg", "feat")
"""Quantized only where a part names it: a message is the quantized feature but where layers aggregate first, and the
features after the weight are of emb unless they have a part of their own."""
SPLITS = (4, 8, 16)
"""Our choice. Of Cora's nodes they put 60, 33, 6 and 2 % into the buckets, of PubMed's 71, 13, 10 and 7 %."""
TUNE = 50
"""Epochs of fine-tuning after the fp32 training: our choice."""
FAMILY = "int{}-floor"


@dataclass(frozen=True)
class Ceilings:
    """One part's ceilings: by layer, component or bucket; ``every``: one for all."""

    name: str
    every: Format | None = None
    layers: tuple[Format, ...] = ()
    components: tuple[tuple[str, Format], ...] = ()
    buckets: tuple[Format, ...] = ()
    splits: tuple[int, ...] = ()
    tune: int | None = None
    component: str = ""
    """Whose ``table`` it is: by layer, then one for all buckets or one for each."""
    table: tuple[tuple[Format, ...], ...] = ()
    per: tuple[str, ...] = ()
    """By layer, or one for all: "row" or "tensor", what has a range."""

    @property
    def names(self) -> set[str]:
        """What it sets a ceiling on."""
        found = {f"the bits of {component!r}" for component, _ in self.components}
        found |= {"the bits of all"} if self.every else set()
        found |= {"the bits by layer"} if self.layers else set()
        found |= {"the bits by degree"} if self.buckets else set()
        found |= {f"the bits of {self.component!r} by layer"} if self.table else set()
        return found | ({"the epochs of fine-tuning"} if self.tune is not None else set())

    def ceiling(self, component: str, layer: int | None, bucket: int | None) -> list[Format]:
        named = dict(self.components)
        row: tuple[Format, ...] = ()
        if component == self.component and len(self.table) == 1:
            row = self.table[0]
        elif component == self.component and layer is not None and layer < len(self.table):
            row = self.table[layer]
        return [
            *([self.every] if self.every else []),
            *([named[component]] if component in named else []),
            *([self.layers[layer]] if layer is not None and layer < len(self.layers) else []),
            *([self.buckets[bucket]] if self.buckets and bucket is not None else []),
            *row[bucket if bucket is not None and len(row) > 1 else 0 :][:1],
        ]

    @property
    def depth(self) -> int:
        """How many layers it names; 0: none."""
        return max(len(self.layers), len(self.table) if len(self.table) > 1 else 0)

    @property
    def by_degree(self) -> int:
        """How many buckets it names; 0: none."""
        return max(len(self.buckets), *map(len, self.table)) if self.table else len(self.buckets)

    def granularity(self, component: str, layer: int | None) -> Granularity | None:
        """What has a range in a layer's component, where this part says so."""
        if component != self.component or not self.per:
            return None
        word = self.per[layer if len(self.per) > 1 and layer is not None else 0]
        return "row" if word == "row" else "tensor"


@dataclass(frozen=True)
class Granular(Scheme):
    """A scheme with the SGQuant parts that it was put together from."""

    parts: tuple[Ceilings, ...] = ()


def build(part: Part) -> Modifier | None:
    reader = READERS.get(part.name)
    if reader is None:
        return None
    mine = reader(part)
    return lambda before: combine(before, mine)


def combine(before: Scheme, mine: Ceilings) -> Scheme:
    """``before`` with one more part's ceilings. Raises InputError where both set the same thing."""
    parts = before.parts if isinstance(before, Granular) else ()
    for other in parts:
        for name in sorted(mine.names & other.names):
            raise InputError(f"{name} are set twice, by {other.name!r} and by {mine.name!r}: leave one of them out")
    old = set(rules_of(parts))
    rest = tuple(rule for rule in before.rules if rule not in old)
    parts = (*parts, mine)
    rules = rules_of(parts)
    taken = {rule.site for rule in rest} & {rule.site for rule in rules}
    if taken:
        raise InputError(
            f"what stands before {mine.name!r} sets the site {min(taken)!r} already: "
            f"leave one of them out, or write {mine.name!r} first, so that it has that site"
        )
    tune = next((part.tune for part in parts if part.tune is not None), TUNE)
    needed = {component for part in parts for component in named_by(part)} - {"emb"}
    said = list(dict.fromkeys(part.splits for part in parts if part.splits))
    if len(said) > 1:
        one, other = ("-".join(map(str, splits)) for splits in said[:2])
        raise InputError(f"the degree buckets are set twice, by splits={one} and by splits={other}: give one of them")
    inherited = {field.name: getattr(before, field.name) for field in fields(Scheme)}
    return replace(
        Granular(**inherited),
        rules=(*rest, *rules),
        splits=said[0] if said else SPLITS if any(part.by_degree > 1 for part in parts) else (),
        phases=(Phase("fp32", quantized=False, counts=False), Phase("fine-tune", tune)),
        required=tuple(sorted({*before.required, *(site for name in needed for site in COMPONENTS[name])})),
        parts=parts,
    )


def rules_of(parts: tuple[Ceilings, ...]) -> tuple[Rule, ...]:
    """The table of these parts as rules; where an entry has no ceiling, or fp32, there is none."""
    layers = range(max((part.depth for part in parts), default=0)) or (None,)
    count = max((part.by_degree for part in parts), default=0)
    buckets = range(count) if count > 1 else (None,)
    rules: list[Rule] = []
    named = {component for part in parts for component in named_by(part)}
    for component, sites in COMPONENTS.items():
        if component in ON_REQUEST and component not in named:
            continue
        own = {site for other in ON_REQUEST if other in named and other != component for site in COMPONENTS[other]}
        sites = tuple(site for site in sites if site not in own)
        for layer in layers:
            for bucket in buckets:
                ceilings = [found for part in parts for found in part.ceiling(component, layer, bucket)]
                format = min(ceilings, key=lambda format: format.bits, default=FP32)
                if format != FP32:
                    usual: Granularity = "tensor" if component == "att" else "row"
                    said: list[Granularity] = [found for part in parts if (found := part.granularity(component, layer))]
                    granularity = said[0] if said else usual
                    quantization = Quantization(format, granularity if format.ranged else "tensor")
                    rules += [Rule(site, quantization, layer=layer, bucket=bucket) for site in sites]
    return tuple(rules)


def named_by(part: Ceilings) -> list[str]:
    """The components that a part names."""
    return [*(component for component, _ in part.components), *([part.component] if part.component else [])]


def _tune(options: Options) -> int | None:
    return options.whole("tune", TUNE, 1, 100_000) if "tune" in options else None


def _list(part: Part, example: str) -> tuple[Format, ...]:
    if len(part.steps) != 1:
        raise InputError(f"the scheme {str(part)!r} needs one list of bits in brackets, such as {example}")
    return tuple(width_format(element, FAMILY, str(part)) for element in part.steps[0])


def read_sgquant(part: Part) -> Ceilings:
    options = Options(part, ("bits", "tune"))
    bits: Value = options.value("bits") if "bits" in options else 4
    return Ceilings(str(part), every=width_format(bits, FAMILY, str(part)), tune=_tune(options))


def read_layers(part: Part) -> Ceilings:
    options = Options(part, ("tune",), steps=True)
    return Ceilings(str(part), layers=_list(part, "lwq[8,4]"), tune=_tune(options))


def read_components(part: Part) -> Ceilings:
    options = Options(part, (*COMPONENTS, "tune"))
    given = [component for component in COMPONENTS if component in options]
    if not given:
        raise InputError(f"the scheme {str(part)!r} needs bits for att, emb, msg or feat, such as cwq(att=2,emb=8)")
    formats = [(component, width_format(options.value(component), FAMILY, str(part))) for component in given]
    return Ceilings(str(part), components=tuple(formats), tune=_tune(options))


def read_buckets(part: Part) -> Ceilings:
    options = Options(part, ("splits", "tune"), steps=True)
    buckets = _list(part, "taq[8,6,4,2]")
    if len(buckets) != len(SPLITS) + 1:
        raise InputError(
            f"the scheme {str(part)!r} gives bits for {len(buckets)} degree buckets: give 4, the lowest degrees first, "
            "such as taq[8,6,4,2]"
        )
    return Ceilings(str(part), buckets=buckets, splits=_splits(options), tune=_tune(options))


def _splits(options: Options) -> tuple[int, ...]:
    text = options.text_of("splits", "-".join(map(str, SPLITS)))
    words = text.split("-")
    points = tuple(int(word) for word in words if word.isdecimal())
    ascending = all(a < b for a, b in zip((0, *points), points, strict=False))
    if len(words) != 3 or len(points) != 3 or not ascending:
        raise InputError(
            f"the scheme {options.text!r}: splits are three increasing degrees from 1 up, such as 4-8-16, not {text}"
        )
    return points


def read_table(part: Part) -> Ceilings:
    allowed = ("splits", "tune") if part.name == "att" else ("splits", "per", "tune")
    options = Options(part, allowed, steps=True)
    rows = tuple(tuple(width_format(each, FAMILY, str(part)) for each in step) for step in part.steps)
    wrong = next((len(row) for row in rows if len(row) not in (1, len(SPLITS) + 1)), None)
    if not rows or wrong is not None:
        given = "no bits" if not rows else f"{wrong} numbers for a layer"
        raise InputError(
            f"the scheme {str(part)!r} gives {given}: give each layer 1 for all nodes or 4 by degree, the lowest "
            f"first, such as {part.name}[8,6,4,2 -> 4]"
        )
    words = tuple(options.text_of("per", "").split("-")) if "per" in options else ()
    if words and (len(words) not in (1, len(rows)) or set(words) - {"row", "tensor"}):
        raise InputError(
            f"the scheme {str(part)!r}: per is row or tensor, for all layers or for each of the {len(rows)}, such as "
            f"{'-'.join(['row', 'tensor'][: len(rows)])}, not {'-'.join(words)}"
        )
    splits = _splits(options) if "splits" in options else ()
    return Ceilings(str(part), splits=splits, tune=_tune(options), component=part.name, table=rows, per=words)


READERS = {
    "sgquant": read_sgquant,
    "lwq": read_layers,
    "cwq": read_components,
    "taq": read_buckets,
    **dict.fromkeys(COMPONENTS, read_table),
}


def _recipe(name: str, summary: str, *examples: str) -> Recipe:
    return Recipe(name, summary, SOURCE, [name], examples, lambda part: build(part) if part.name == name else None)


ENTRIES = [
    _recipe(
        "sgquant",
        "features and attention at the same bits everywhere, fine-tuned from a trained fp32 model",
        "sgquant",
        "sgquant(bits=8)",
        "sgquant(bits=2,tune=100)",
    ),
    _recipe(
        "lwq",
        "SGQuant by layer: bits of features and attention for each layer",
        "lwq[8,4]",
        "lwq[8,4]+cwq(att=2)+taq[8,6,4,2]",
    ),
    _recipe(
        "cwq",
        "SGQuant by component: bits of attention and of embeddings",
        "cwq(att=2,emb=8)",
        "cwq(emb=4)",
        "cwq(emb=4,msg=4)",
    ),
    _recipe(
        "taq",
        "SGQuant by topology: bits for each of four degree buckets, the lowest degrees first",
        "taq[8,6,4,2]",
        "taq[8,4,4,2](splits=3-6-12)",
    ),
    _recipe(
        "emb",
        "SGQuant's table of embeddings: for each layer bits for all nodes, or for each of four degree buckets",
        "emb[1 -> 4]",
        "emb[8,6,4,2 -> 4](per=row-tensor)+att[4 -> 2]",
    ),
    _recipe("att", "SGQuant's table of attention: bits by layer and degree bucket", "emb[8]+att[4 -> 2]"),
    _recipe("feat", "SGQuant's table of the features after the weight, apart from emb's", "emb[1 -> 4]+feat[4 -> 4]"),
    _recipe("msg", "SGQuant's table of messages, for GIN and GraphSAGE", "emb[8]+msg[8 -> 4]"),
]
