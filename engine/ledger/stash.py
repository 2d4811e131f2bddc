"""What a training step keeps from its forward to its backward pass: as the model of a machine has it, and as held here.

An architecture lists what its layers keep (``Model.kept``). A row of the product "stash" is one such tensor:

    elements, format   what a machine must keep: the operand that a backward product reads, in that product's format
                       (or the stash's, where the scheme has one); masks of ReLU, dropout and clipping a bit an element
    held_bytes         what this emulation holds in a step: float32 copies, packed masks; engine.held finds the same in
                       a live step

What can be made again is not kept: the dataset's features with what follows from them, the weights. Where this
emulation holds a copy of them (a range that moves with every step, input dropout), the row has no elements. Structure
has no row: the edges, and where the entries of sparse features lie. Nor has what the loss keeps, which is no layer's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.datasets import GraphSize
from engine.ledger.products import Place, RowsOf
from engine.scheme import FP32, Rule, Scheme

Source = Literal["step", "constant", "derived"]
"""Where an operand comes from: the step; the dataset; a sum over the dataset's features."""


class Facts:
    """What a scheme does at a place, as far as it decides on what is held."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme

    def rules(self, site: str, product: str, layer: int) -> tuple[Rule, ...]:
        """The rules that quantize there now (a ladder's fp32 does nothing)."""
        return tuple(rule for rule in self.scheme.covering(site, product, layer) if rule.quantization.format != FP32)

    def clips(self, site: str, product: str, layer: int) -> bool:
        """Whether the gradient is masked there."""
        return any(
            rule.quantization.estimator.startswith("clipped") and rule.quantization.format.ranged
            for rule in self.rules(site, product, layer)
        )

    def again(self, site: str, product: str, layer: int) -> bool:
        """Whether a backward product quantizes the forward's operand anew (engine.live.Sites.requantizes)."""
        now, before = self.rules(site, product, layer), self.rules(site, "forward", layer)
        if not now:
            return bool(before)
        quantization = now[0].quantization
        return now != before or (quantization.format.blocked and not quantization.reuse_blocks)

    def repeats(self, site: str, product: str, layer: int) -> bool:
        """Whether a constant has the same values there in every step."""
        if self.protects_nodes:
            return not self.rules(site, product, layer)
        return all(rule.quantization.repeats for rule in self.rules(site, product, layer))

    def by_entries(self, site: str, product: str, layer: int) -> bool:
        """Whether a sparse constant is quantized there by its entries alone (Quantizer.spares_zeros)."""
        return all(rule.quantization.spares_zeros for rule in self.rules(site, product, layer))

    def by_bucket(self, site: str, product: str, layer: int) -> bool:
        """Whether each degree bucket has a quantizer of its own."""
        return any(rule.bucket is not None for rule in self.scheme.covering(site, product, layer))

    @property
    def protects_nodes(self) -> bool:
        return self.scheme.protection is not None


Count = Callable[[Facts], float]


@dataclass(frozen=True)
class Kept:
    """One tensor that is kept, or held; ``elements`` and ``held`` (bytes) are those of an epoch's rows."""

    layer: int
    site: str
    elements: Count
    held: Count
    of: RowsOf | None = None
    places: tuple[Place, ...] = ()
    """In whose format it is kept: the first that a rule covers, else fp32."""
    width: int = 1
    mask: bool = False
    """A bit an element."""
    every_step: bool = False
    """Held whole in each step of an epoch (weights)."""


@dataclass(frozen=True)
class Features:
    """The features, or what the first layer sums of them, as a linear layer's constant input."""

    entries: float | None
    """Elements that are kept of them, over an epoch's batches, where they are kept sparse."""
    fresh: bool
    """Whether each step takes its own from the dataset's: batches, and sets of graphs."""
    remember: bool
    """Whether what is derived from them stays with them: not with the dense rows that a batch of graphs takes."""

    def copy(self, rows: int, width: int) -> float:
        """Bytes of their values in float32."""
        return 4 * (rows * width if self.entries is None else self.entries)


def features(size: GraphSize) -> Features:
    """The dataset's features."""
    entries = None if size.entries_a_node is None else size.entries_a_node * size.nodes
    fresh = size.parted or size.batches > 1 or size.graphs > 1
    return Features(entries, fresh, remember=entries is not None or size.graphs == 1)


def summed(size: GraphSize) -> Features:
    """Their sums over neighbours, where the first layer makes them before its weight."""
    found = features(size)
    entries = None if size.summed_a_node is None else size.summed_a_node * size.nodes
    return replace(found, entries=entries if found.entries is not None else None)


def mask(layer: int, site: str, elements: int) -> Kept:
    """A bit an element, which this emulation makes again."""
    return Kept(layer, site, lambda f: elements, lambda f: 0, mask=True)


def estimator(
    layer: int, elements: int, site: str, product: str, *, rows: int | None = None, parameter: bool = False
) -> Kept:
    """What the gradient estimator of a site asks for: a bit an element, where gradients are clipped.

    ``rows``: the tensor's, where they go by node; quantized by degree bucket, their numbers (int64) and a copy of the
    elements are held. ``parameter``: the tensor is one, which is there anyway, and of which nQAT's mask (a byte an
    element) leaves out some.
    """

    def bits(facts: Facts) -> float:
        return elements if facts.clips(site, product, layer) else 0

    def held(facts: Facts) -> float:
        rules = facts.rules(site, product, layer)
        found = [rule.quantization.held_bytes(elements, rows or 0) for rule in rules]
        if parameter:
            found = [bytes for bytes in found if bytes < 4 * elements]
            drawn = elements if rules and facts.scheme.weight_probability is not None else 0
            return max(found, default=0) + drawn
        apart = 8 * rows + 4 * elements if rows is not None and facts.by_bucket(site, product, layer) else 0
        return max(found, default=0) + apart

    return Kept(layer, "estimator", bits, held, mask=True, every_step=parameter)


def activation(layer: int, rows: int, width: int, *, packs: bool = False) -> Iterator[Kept]:
    """A ReLU or ELU: a machine keeps which elements it passed, this emulation a float32 tensor.

    ``packs``: before a layer that keeps its input packed it holds a bit an element too (engine.layers.activation).
    """
    n = rows * width

    def held(f: Facts) -> float:
        return -(-n // 8) if packs and f.rules("stash", "grad_weight", layer + 1) else 4 * n

    yield Kept(layer, "activation", lambda f: n, held, mask=True)


def batch_norm(layer: int, rows: int, width: int, *, shared: bool = False) -> Iterator[Kept]:
    """Its input, in fp32, and the batch's means and deviations; ``shared``: an activation holds the input already."""
    n = rows * width
    yield Kept(layer, "norm", lambda f: n, lambda f: 0 if shared else 4 * n, width=width)
    yield Kept(layer, "norm", lambda f: 0, lambda f: 8 * width, every_step=True)


def greatest(layer: int, rows: int, width: int, *, activated: bool) -> Iterator[Kept]:
    """A maximum over neighbours: which message it was (held here: the messages and the maxima).

    ``activated``: the activation before the layer holds what it sends, where that is not quantized.
    """
    n = rows * width

    def held(f: Facts) -> float:
        return 4 * n * (1 if activated and not f.rules("message", "aggregate", layer) else 2)

    yield Kept(layer, "greatest", lambda f: n, held, mask=True)


def own_rows(layer: int, rows: int, width: int, *, constant: bool) -> Iterator[Kept]:
    """GIN's own rows, which the gradient of a learned ε asks for."""
    n = rows * width
    yield Kept(layer, "own", lambda f: 0 if layer == 0 else n, lambda f: 0 if constant else 4 * n, "nodes", width=width)


def protection(layer: int, nodes: int, edges: int = 0, edge_sites: tuple[str, ...] = ()) -> Iterator[Kept]:
    """Which nodes a step protects (charged as the product "mask"): a byte a node, and a byte an edge and site.

    Held where the step or the bits are learned; for others the protected rows lie in the masks of clipping.
    """

    def held(facts: Facts) -> float:
        if facts.scheme.protection is None or not any(rule.quantization.holds_protected for rule in facts.scheme.rules):
            return 0
        own = nodes if facts.scheme.protection.per == "layer" or layer == 0 else 0
        found = [facts.rules(site, "aggregate", layer) for site in edge_sites]
        return own + sum(edges for rules in found if any(rule.quantization.holds_protected for rule in rules))

    yield Kept(layer, "node", lambda f: 0, held)


def linear(
    layer: int,
    rows: int,
    inputs: int,
    outputs: int,
    *,
    source: Source = "step",
    of: RowsOf | None = "nodes",
    dropout: bool = False,
    activated: bool | Callable[[Facts], bool] = False,
    features: Features | None = None,
    moves: bool = False,
    dense: bool = True,
    alone: bool = False,
    weight_gradient_only: bool | None = None,
) -> Iterator[Kept]:
    """A linear layer: its input, its weight, and the masks of both.

    ``activated``: the activation (or whatever comes) before it holds its input already. ``features``: how a
    constant is kept. ``moves``: a derived constant has other values in every step even in fp32 (dropout before the
    sum). ``dense``: its result is a site of its own. ``alone``: nobody else reads its input.
    ``weight_gradient_only``: no gradient goes to its input (default: of constants).
    """
    n, weights = rows * inputs, outputs * inputs
    constant = source != "step"
    features = features or Features(None, fresh=False, remember=True)
    sparse, remembers = features.entries is not None, features.remember
    # Where the entries of a sparse constant lie is structure, which stays: each copy holds their values alone.
    copy = features.copy(rows, inputs)
    by_node = None if of is None else rows
    ends_here = constant if weight_gradient_only is None else weight_gradient_only

    def held(f: Facts) -> float:
        rules = f.rules("stash", "grad_weight", layer)
        stash = bool(rules) and (not constant or rules[0].quantization.stashes_constants)
        again = f.again("input", "grad_weight", layer) or stash
        found = f.rules("input", "forward", layer)
        covered = bool(found)
        if not constant:
            itself = (again and not stash) or not (again or covered or dropout)
            there = activated if isinstance(activated, bool) else activated(f)
            by_row = stash and (of is None or not f.protects_nodes) and not f.by_bucket("stash", "grad_weight", layer)
            packed = rules[0].quantization.packed_bytes(rows, inputs) if by_row else None
            return packed if packed is not None else 0 if itself and there else 4 * n
        repeats = f.repeats("input", "forward", layer)
        anew = moves or features.fresh
        if source == "derived":
            anew |= not (f.repeats("message", "aggregate", layer) and f.repeats("aggregate", "aggregate", layer))
        if stash:
            return copy if anew or not f.repeats("stash", "grad_weight", layer) else 0
        if not again:
            own = anew and (covered or source == "derived")
            # Dropout falls on codes as they are decoded (engine.kernels.coded).
            coded = alone and not sparse and repeats and all(rule.quantization.codes for rule in found) and bool(found)
            return copy if (dropout and not coded) or own or not repeats else 0
        if not anew:
            return 0
        # The constant itself, what it remembers of the forward product, and the dense form that was made for it.
        parts = [copy] if source == "derived" else []
        if remembers and covered and repeats:
            parts.append(copy)
        if remembers and covered and not repeats and sparse and not f.by_entries("input", "forward", layer):
            parts.append(4 * n)
        return sum(parts)

    yield Kept(
        layer,
        "input",
        lambda f: 0 if constant else n,
        held,
        of,
        (("stash", "grad_weight", layer), ("input", "grad_weight", layer)),
        inputs,
    )

    def kernel(f: Facts) -> float:
        new = bool(f.rules("weight", "forward", layer)) and not f.again("weight", "grad_input", layer)
        return 4 * weights if new and not ends_here else 0

    yield Kept(layer, "weight", lambda f: 0, kernel, every_step=True)
    yield estimator(layer, weights, "weight", "forward", parameter=True)
    if not constant:
        yield estimator(layer, n, "input", "forward", rows=by_node)
    if dense:
        yield estimator(layer, rows * outputs, "feature", "forward", rows=by_node)
    if dropout:
        yield mask(layer, "dropout", n)


def remembered(layer: int, rows: int, width: int, whole: Features, sums: Features) -> Iterator[Kept]:
    """What a batch's features hold that enter a product as they are: their messages and the sum of these.

    Only where the product finds them again in the backward pass, and no dropout stands between.
    """

    def held(f: Facts) -> float:
        again = f.again("input", "grad_weight", layer) and not f.rules("stash", "grad_weight", layer)
        message = bool(f.rules("message", "aggregate", layer))
        if not (whole.fresh and whole.remember and again and f.repeats("message", "aggregate", layer)):
            return 0
        # Where the aggregate is not quantized, the neighbours' product holds the sum itself.
        apart = bool(f.rules("aggregate", "aggregate", layer))
        return message * whole.copy(rows, width) + apart * sums.copy(rows, width)

    yield Kept(layer, "message", lambda f: 0, held)


def results(layer: int, rows: int, width: int, *places: tuple[str, str]) -> Iterator[Kept]:
    """What the estimators ask for of tensors [rows, width] at these (site, product)."""
    for site, product in places:
        yield estimator(layer, rows * width, site, product, rows=rows)


def attention(
    layer: int,
    nodes: int,
    edges: int,
    heads: int,
    channels: int,
    *,
    vectors: bool,
    dropout: bool = False,
    learned: bool = True,
    activated: bool = False,
) -> Iterator[Kept]:
    """Scores, their softmax, the weighted sum, as engine.layers.gat and agnn compute them.

    ``learned``: AGNN's temperature is; ``activated``: the activation before AGNN's layer holds its input already.
    """
    width = heads * channels
    site = "feature" if vectors else "input"
    n, e, wide = nodes * width, edges * heads, edges * width

    def feature(f: Facts) -> float:
        return 0 if activated and not f.rules(site, "aggregate", layer) else 4 * n

    yield Kept(layer, site, lambda f: n, feature, "nodes", ((site, "aggregate", layer),), width)
    yield estimator(layer, n, site, "aggregate", rows=nodes)
    if vectors:
        weights = 2 * width
        yield Kept(
            layer,
            "weight",
            lambda f: 0,
            lambda f: 4 * weights if f.rules("weight", "aggregate", layer) else 0,
            every_step=True,
        )
        yield estimator(layer, weights, "weight", "aggregate", parameter=True)
        yield Kept(layer, "activation", lambda f: e, lambda f: 4 * e, mask=True)
    else:
        # Norms [N, 1] twice, normalized rows, and the products along the edges for the temperature.
        yield Kept(layer, "norm", lambda f: nodes, lambda f: 4 * (2 * nodes + n))
        if learned:
            yield Kept(layer, "score", lambda f: e, lambda f: 4 * e, "edges")
    yield estimator(layer, e, "score", "aggregate", rows=edges)

    def shares(f: Facts) -> float:
        """The softmax, and what was made of it."""
        return 4 * e * (2 if dropout or f.rules("attention", "aggregate", layer) else 1)

    yield Kept(layer, "attention", lambda f: e, shares, "edges", (("attention", "aggregate", layer),), heads)
    yield estimator(layer, e, "attention", "aggregate", rows=edges)
    if dropout:
        yield mask(layer, "dropout", e)
    # Messages follow from the feature and the attention; where they are made, this emulation holds what they came from.
    yield Kept(layer, "message", lambda f: 0, lambda f: 4 * wide if f.rules("message", "aggregate", layer) else 0)
    yield estimator(layer, wide, "message", "aggregate", rows=edges)
    yield estimator(layer, n, "aggregate", "aggregate", rows=nodes)
    yield from protection(layer, nodes, edges, ("score", "attention", "message"))


def readout(
    layer: int, size: GraphSize, width: int, layers: int, *, dropout: bool, activated: bool = False
) -> Iterator[Kept]:
    """A pool and its linear layers; rows are graphs."""
    pooled = size.graphs * width
    # The pool's gradient asks for its input and its result.
    before = 0 if activated else size.nodes * width
    # And how many nodes each graph has.
    yield Kept(layer, "pool", lambda f: 0, lambda f: 4 * (before + pooled) + 8 * size.graphs)
    for number in range(layers):
        last = number + 1 == layers
        outputs = size.classes if last else width
        yield from linear(
            layer,
            size.graphs,
            width,
            outputs,
            of=None,
            dropout=dropout and last,
            # A linear layer's input is the pool's result, or the ReLU's before it.
            activated=True,
        )
        if not last:
            yield from activation(layer, size.graphs, outputs)


def held_of(kept: Sequence[Kept], scheme: Scheme, batches: int = 1) -> float:
    """Bytes that a step holds (the mean step of an epoch of several)."""
    facts = Facts(scheme)
    return sum(each.held(facts) / (1 if each.every_step else batches) for each in kept)
