"""The live scheme: what a scheme's value becomes once it is bound to a model.

The training loop knows its three contributions (``parameter_groups``, ``penalty``, ``phases``) and
no scheme; a layer's modules ask their ``sites`` to quantize each tensor, by the tensor's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Any, Protocol, cast, overload

import torch
from torch import Tensor, nn

from engine.accumulators import step_of
from engine.diagnostics import Recorder
from engine.errors import InputError
from engine.formats import Format
from engine.kernels.aggregate import Adjacency
from engine.kernels.coded import Decoded
from engine.kernels.packed_rows import PackedRows
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Activation, Constant, DenseOperand, Operand
from engine.quantized_constants import apply, goes_by_entries, kept_as, quantize_constant, repeats, way
from engine.quantizer import Quantizer
from engine.randomness import make_key, stream_id, uniform
from engine.schedule import Step
from engine.scheme import ALL_PRODUCTS, FP32, DegreeProtection, Phase, Rule, Scheme, Slot
from engine.tally import Tally
from engine.topology import Topology

ALL = "all"
"""The product of a format that holds in every product of a site."""


Where = tuple[int, str, str, str]
"""(layer, part, site, product)."""


class Listener(Protocol):
    """What may listen to the sites: ``engine.diagnostics.Recorder``, or whoever follows the codes."""

    dense: bool
    """Whether it takes constants whole; else the entries of sparse ones."""

    def record(
        self,
        at: Where,
        x: Tensor,
        out: Tensor,
        quantizer: nn.Module,
        format: Format,
        axis: int,
        protected: Tensor | None,
        rows: Any,
        topology: Topology | None,
        width: int | None = None,
    ) -> None:
        """One tensor x and its quantized values, at (layer, part, site, product)."""
        ...

    def multiplied(self, x_at: Where, x: Operand, weight_at: Where, weight: Tensor) -> None:
        """A forward product of two operands that were recorded."""

    def summed(self, at: Where, message: Tensor, adjacency: Adjacency) -> None:
        """A sum over neighbours of messages that were recorded."""


Rows = Tensor | str | None
"""What a tensor's rows are: "nodes", an int64 tensor with the node of each row (an edge: its source), None."""


class ByBucket(nn.Module):
    """One quantizer for each degree bucket; the rows of a bucket are one tensor to it."""

    def __init__(self, quantizers: Sequence[nn.Module], buckets: Sequence[int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(quantizers)
        self.buckets = tuple(buckets)

    @property
    def repeats(self) -> bool:
        return all(repeats(part) for part in self.parts)

    def inference_state(self) -> dict[str, Tensor]:
        """That of each part, by its bucket's number: "0.low"."""
        return {
            f"{number}.{name}": value
            for number, part in zip(self.buckets, self.parts, strict=True)
            for name, value in cast(Any, part).inference_state().items()
        }

    def load_inference_state(self, state: dict[str, Tensor], *formats: Format) -> None:
        """The inverse of ``inference_state``, with each part's format. Raises ValueError where it does not fit."""
        if {name.partition(".")[0] for name in state} - set(map(str, self.buckets)):
            raise ValueError("it names a degree bucket that there is not")
        for number, part, format in zip(self.buckets, self.parts, formats, strict=True):
            own = {name.removeprefix(f"{number}."): v for name, v in state.items() if name.startswith(f"{number}.")}
            cast(Any, part).load_inference_state(own, format)

    def forward(self, x: Tensor, axis: int, protected: Tensor | None, bucket: Tensor) -> Tensor:
        """x̂ of x [rows, …] whose row i lies in ``bucket[i]``; a bucket without a quantizer stays as it is."""
        out = x
        for number, part in zip(self.buckets, self.parts, strict=True):
            rows = (bucket == number).nonzero().squeeze(1)
            if rows.numel():
                kept = None if protected is None else protected[rows]
                out = out.index_copy(0, rows, part(x[rows], axis=axis, protected=kept))
        return out


class LiveScheme(nn.Module):
    """A scheme bound to a model: owns all state that its quantizers have, and what they learn."""

    def __init__(self, scheme: Scheme, *, nodes: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.scheme, self.nodes, self.seed = scheme, nodes, seed
        self.quantizers = nn.ModuleDict()
        self.enabled = True
        self.topology: Topology | None = None
        self.recorder: Listener | None = None
        self.tally: Tally | None = None
        self.register_load_state_dict_post_hook(_take_up_formats)
        self._step = 0
        self._masks: dict[int, Tensor] = {}
        self._probability: tuple[Topology, Tensor] | None = None
        self._buckets: tuple[Topology, Tensor] | None = None
        self._made: list[tuple[Rule, int, nn.Module]] = []
        self._learned: dict[tuple[int, int], list[Any]] = {}
        self.views: list[Sites] = []
        self.shared: dict[str, Any] = {}

    def begin(self, topology: Topology | None, *, seed: int | None = None, step: int = 0) -> None:
        """A forward pass begins, on this graph; in training, protection is drawn anew from (seed, step)."""
        self.topology, self._step = topology, step
        if seed is not None:
            self.seed = seed
        self._masks.clear()

    def protected(self, layer: int, of: str = "nodes") -> Tensor | None:
        """Which nodes stay full precision in this pass, bool [N]; None where nobody is protected.

        ``of``: "mlp" inside GIN's MLP.
        """
        protection = self.scheme.protection
        if protection is None or not self.training or self.topology is None:
            return None
        if of == "mlp" and not protection.gin_mlp_masked:
            return None
        index = layer if protection.per == "layer" else -1
        if index not in self._masks:
            key = make_key(self.seed, stream_id(f"protection/{index}"), self._step)
            p = self._degree_probability(protection, self.topology)
            self._masks[index] = uniform(key, (self.topology.nodes,), str(p.device)) < p
        return self._masks[index]

    def _degree_probability(self, protection: DegreeProtection, topology: Topology) -> Tensor:
        if self._probability is None or self._probability[0] is not topology:
            p = protection.p_min + (protection.p_max - protection.p_min) * topology.degree_rank
            self._probability = (topology, p)
        return self._probability[1]

    @property
    def buckets(self) -> Tensor:
        """The degree bucket of each node of this pass, int64 [N]."""
        assert self.topology is not None, "begin(topology) comes before the forward pass"
        if self._buckets is None or self._buckets[0] is not self.topology:
            self._buckets = (self.topology, self.topology.buckets(self.scheme.splits))
        return self._buckets[1]

    def keep_elements(self, key: str, x: Tensor) -> Tensor | None:
        """nQAT: which elements of a weight are quantized in this training step, bool of x's shape; None: all."""
        probability = self.scheme.weight_probability
        if probability is None or not self.training:
            return None
        draw = make_key(self.seed, stream_id(f"protection/{key}"), self._step)
        return uniform(draw, tuple(x.shape), str(x.device)) < probability

    def note(self, rules: Sequence[Rule], layer: int, parts: Sequence[nn.Module]) -> None:
        """Remember which rule made which of a layer's quantizers."""
        for rule, part in zip(rules, parts, strict=True):
            self._made.append((rule, layer, part))
            if hasattr(part, "spread"):
                self._learned.setdefault((id(rule), layer), []).append(part)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimizer groups for what the scheme itself learns (none for fixed formats)."""
        return [group for part in self._makers("parameter_groups") for group in part.parameter_groups()]

    def penalty(self) -> Tensor | None:
        """A term that is added to the task's loss (none for fixed formats)."""
        terms = [term for part in self._makers("penalty") if (term := part.penalty()) is not None]
        return cast(Tensor, sum(terms[1:], terms[0])) if terms else None

    def _makers(self, what: str) -> Iterator[Any]:
        return (part for part in self.quantizers.modules() if part is not self and hasattr(part, what))

    @property
    def learns_formats(self) -> bool:
        """Whether the formats at the run's end differ from the planned ones."""
        return any(True for _ in self._makers("spread"))

    def spread(self, rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]:
        """The formats that a rule's elements have now in a layer, with their shares (for the ledger)."""
        learned = [part.spread() for part in self._learned.get((id(rule), layer), ())]
        if not learned:
            return rule.quantization.spread()
        shares: Counter[Format] = Counter()
        for found in learned:
            for format, share in found:
                shares[format] += share / len(learned)  # pyright: ignore[reportArgumentType]
        return list(shares.items())  # pyright: ignore[reportReturnType]

    def assign(self, step: Step) -> None:
        """From now on the formats of a ladder's step: nothing is rebuilt, ranges keep what does not depend on bits.

        Raises InputError where a rule's quantizer learns its format, so that it cannot be given one.
        """
        for rule, _, part in self._made:
            format = step.format(rule)
            if format is None:
                continue
            if not isinstance(part, Quantizer):
                raise InputError(
                    f"the scheme {self.scheme.text!r} moves the formats of the site {rule.site!r}, which are learned: "
                    "leave one of the two out"
                )
            part.switch(format)
        for view in self.views:
            view.refresh()

    def formats(self) -> Iterator[tuple[str, str, int, Format]]:
        """(site, product, layer, format) of all that is quantized now; "all": where the rule names no product."""
        seen: dict[tuple[str, str, int], Format] = {}
        for view in self.views:
            for (site, product), format in view.formats():
                named = ALL if view.names_no_product(site, product) else product
                seen.setdefault((site, named, view.layer), format)
        return ((*key, format) for key, format in seen.items())

    def phases(self, epochs: int, *, started: bool = False) -> Sequence[Phase]:
        """How the run is spent, with the epochs of each phase (``Scheme.spent``)."""
        return self.scheme.spent(epochs, started=started)

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Within it, each quantized tensor is compared with what it was."""
        recorder = self.recorder = Recorder()
        try:
            yield recorder
        finally:
            self.recorder = None


def _take_up_formats(live: LiveScheme, _: object) -> None:
    """A loaded state may have other formats than its ladder begins with."""
    for view in live.views:
        view.refresh()


class Sites:
    """A module's view of the live scheme: declares the sites that it uses, and quantizes tensors there.

    ``of``: what the module's rows are, where a caller names them "nodes": "nodes"; "mlp", the nodes inside GIN's
    MLP, which a scheme's protection may leave out; "graphs" of a batch, which have no degree.
    """

    def __init__(self, *names: str, of: str = "nodes") -> None:
        self.names, self.of = names, of
        self.live: LiveScheme | None = None
        self.layer = 0
        self.part = ""
        self._places: dict[tuple[str, str], tuple[str, nn.Module, Rule]] = {}
        self._bound: dict[tuple[str, str], tuple[str, nn.Module, Format, bool]] = {}

    def attach(self, live: LiveScheme, layer: int, part: str) -> None:
        """Make this module's quantizers; products that follow the same rules share one."""
        self.live, self.layer, self.part, self._places = live, layer, part, {}
        live.views.append(self)
        scheme = live.scheme
        for site in self.names:
            made: dict[tuple[int, ...], tuple[str, nn.Module]] = {}
            for product in ALL_PRODUCTS:
                rules = scheme.covering(site, product, layer)
                if not rules or (self.of == "graphs" and rules[0].bucket is not None):
                    continue
                same = tuple(id(rule) for rule in rules)
                if same not in made:
                    name = "/".join(filter(None, (str(layer), part.replace(".", "/"), site)))
                    key = f"{name}/{product}" if made else name
                    slot = Slot(key, site, product, layer, part, live.nodes, live.seed, live.shared)
                    parts = [rule.quantization.make(slot) for rule in rules]
                    live.note(rules, layer, parts)
                    bucketed = rules[0].bucket is not None
                    module = ByBucket(parts, [rule.bucket or 0 for rule in rules]) if bucketed else parts[0]
                    live.quantizers[key] = module
                    made[same] = (key, module)
                key, module = made[same]
                self._places[site, product] = (key, module, rules[0])
        self.refresh()

    def refresh(self) -> None:
        """Take up the formats that the quantizers have now; one that a ladder has brought to fp32 does nothing."""
        self._bound = {}
        for where, format in self.formats():
            key, module, rule = self._places[where]
            if format != FP32:
                blocked = format.blocked and not rule.quantization.reuse_blocks
                self._bound[where] = (key, module, format, blocked)

    def formats(self) -> Iterator[tuple[tuple[str, str], Format]]:
        """((site, product), format) of every place that a rule covers (the first bucket's where each has its own)."""
        for where, (_, module, rule) in self._places.items():
            first = module.parts[0] if isinstance(module, ByBucket) else module
            yield where, first.format if isinstance(first, Quantizer) else rule.quantization.format

    def quantizer(self, site: str, product: str) -> tuple[str, nn.Module] | None:
        """(key in the live scheme, module) of a place that is quantized now; None where it is not."""
        if not self.covers(site, product):
            return None
        key, module, *_ = self._bound[site, product]
        return key, module

    def release(self, site: str) -> None:
        """From now on tensors at the site are taken as they are: they have been quantized before."""
        self._places = {where: place for where, place in self._places.items() if where[0] != site}
        self.refresh()

    def names_no_product(self, site: str, product: str) -> bool:
        """Whether the rule of a place holds in all products."""
        return self._places[site, product][2].products is None

    def covers(self, site: str, product: str = "forward") -> bool:
        """Whether a tensor is quantized there now."""
        return self.live is not None and self.live.enabled and (site, product) in self._bound

    def format(self, site: str, product: str = "forward") -> Format:
        """The format there now; fp32 where no rule covers it (the first bucket's where each has its own)."""
        return self._bound[site, product][2] if self.covers(site, product) else FP32

    def requantizes(self, site: str, product: str, instead: str = "forward") -> bool:
        """Whether a product needs the operand quantized anew: another rule, or blocks along its own axis."""
        if not self.covers(site, product):
            return self.covers(site, instead)
        bound = self._bound[site, product]
        return not self.covers(site, instead) or bound[3] or bound[1] is not self._bound[site, instead][1]

    @overload
    def __call__(self, x: Tensor, site: str, product: str = "forward", axis: int = -1, rows: Rows = None) -> Tensor: ...
    @overload
    def __call__(
        self, x: Constant, site: str, product: str = "forward", axis: int = -1, rows: Rows = None
    ) -> Constant: ...
    def __call__(
        self, x: Activation, site: str, product: str = "forward", axis: int = -1, rows: Rows = None
    ) -> Activation:
        """x fake-quantized at the site, in x's shape and kind, with the rule's gradient estimator.

        ``axis``: the product's axis; ``rows``: what x's rows are (protection and degree buckets go by node).
        Raises NonFiniteError, which names the site and the layer, where x holds NaN or infinity.
        """
        live = self.live
        if live is None or not live.enabled:
            return x
        bound = self._bound.get((site, product))
        if bound is None:
            return x
        key, quantizer, format, blocked = bound
        protected = bucket = None
        rows = None if self.of == "graphs" else rows
        if rows is not None:
            protected = live.protected(self.layer, self.of)
            bucket = live.buckets if isinstance(quantizer, ByBucket) else None
            if isinstance(rows, Tensor):
                protected = None if protected is None else protected[rows]
                bucket = None if bucket is None else bucket[rows]
        if isinstance(x, Constant):
            return self._constant(x, key, quantizer, axis if blocked else 0, axis, protected, bucket, (site, product))
        elements = live.keep_elements(key, x) if site == "weight" else None
        out = apply(quantizer, x, axis, protected, bucket)
        if elements is not None:
            out = torch.where(elements, out, x)
        if live.tally is not None:
            at = (self.layer, self.part, site, product)
            live.tally.note(at, quantizer, tuple(x.shape), axis, bucket, protected, elements)
        if live.recorder is not None:
            at = (self.layer, self.part, site, product)
            live.recorder.record(at, x, out, quantizer, format, axis, protected, rows, live.topology)
        return out

    def _constant(
        self,
        x: Constant,
        key: str,
        quantizer: nn.Module,
        kept_axis: int,
        axis: int,
        protected: Tensor | None,
        bucket: Tensor | None,
        at: tuple[str, str],
    ) -> Constant:
        live = self.live
        assert live is not None
        if protected is None and repeats(quantizer):
            # The structure is kept with the values where nodes are quantized by their degree.
            graph = live.topology if bucket is not None else None
            place, version = kept_as(key, quantizer, kept_axis, axis, graph)
            out: Constant = x.keep(place, lambda: quantize_constant(x, quantizer, axis, None, bucket), version)
        else:
            out = quantize_constant(x, quantizer, axis, protected, bucket)
        if live.tally is not None:
            live.tally.note((self.layer, self.part, *at), quantizer, tuple(x.shape), axis, bucket, protected)
        if live.recorder is not None:
            self._record(x, out, quantizer, axis, protected, at)
        return out

    def alone(self, x: Constant, product: str, site: str = "input") -> Constant | None:
        """x as its linear product ("forward", "grad_weight") reads it where nobody else does: quantized once, and held
        as engine.kernels.coded does. None where that cannot be (a range that moves, a protected node).

        Kept apart from what others read, so that a run's numbers do not depend on who was there before.
        """
        live = self.live
        if live is None or not live.enabled or (live.training and live.scheme.protection is not None):
            return None
        forward, backward = (self._bound.get((site, name)) for name in ("forward", "grad_weight"))
        if forward is None or backward is None or backward[1] is not forward[1]:
            return None
        key, quantizer, _, blocked = forward
        if not isinstance(quantizer, Quantizer) or blocked != backward[3]:
            return None
        make = partial(self._hold, x, quantizer, site, paired=blocked)
        held: tuple[Decoded, ...] = x.keep(("held", key, blocked), make, way(quantizer))
        if not held:
            return None
        out, axis = Constant(held[-1] if product == "grad_weight" else held[0]), 0 if product == "grad_weight" else -1
        if live.tally is not None:
            at = (self.layer, self.part, site, product)
            live.tally.note(at, quantizer, tuple(x.shape), axis, None, None)
        if live.recorder is not None:
            self._record(x, out, quantizer, axis, None, (site, product))
        return out

    def _hold(self, x: Constant, quantizer: Quantizer, site: str, *, paired: bool) -> tuple[Decoded, ...]:
        if self.live is not None and isinstance(self.live.recorder, Recorder) and quantizer.holds(x, paired=paired):
            # Looked into while the values are there; what is found is kept.
            for product, axis in (("forward", -1), ("grad_weight", 0)) if paired else (("forward", -1),):
                self._found(x, quantize_constant(x, quantizer, axis, None, None), quantizer, axis, (site, product))
        return quantizer.hold(x, paired=paired)

    def _record(
        self,
        x: Constant,
        out: Constant,
        quantizer: nn.Module,
        axis: int,
        protected: Tensor | None,
        at: tuple[str, str],
    ) -> None:
        live = self.live
        assert live is not None
        assert live.recorder is not None
        where, format = (self.layer, self.part, *at), self._bound[at][2]
        recorder = live.recorder
        if isinstance(recorder, Recorder) and protected is None and repeats(quantizer):
            recorder.take(self._found(x, out, quantizer, axis, at), where)
            return
        self._record_with(recorder, x, out, quantizer, format, axis, protected, where)

    def _found(self, x: Constant, out: Constant, quantizer: nn.Module, axis: int, at: tuple[str, str]) -> Recorder:
        """What there is to say of a constant's values, which are the same in every step: found once."""
        where, format = (self.layer, self.part, *at), self._bound[at][2]

        def found() -> Recorder:
            fresh = Recorder()
            self._record_with(fresh, x, out, quantizer, format, axis, None, where)
            return fresh

        live = self.live
        return x.keep(("recorded", where), found, (way(quantizer), axis, live and live.topology))

    def _record_with(
        self,
        recorder: Listener,
        x: Constant,
        out: Constant,
        quantizer: nn.Module,
        format: Format,
        axis: int,
        protected: Tensor | None,
        where: Where,
    ) -> None:
        live = self.live
        assert live is not None
        before, after = x.operand, out.operand
        if (
            not recorder.dense
            and isinstance(before, SparseOperand)
            and isinstance(after, SparseOperand)
            and goes_by_entries(quantizer)
            and live.topology is not None
        ):
            values, rows = (before.values, after.values), before.entry_rows
            recorder.record(where, *values, quantizer, format, -1, protected, rows, live.topology, width=before.inputs)
        else:
            # Not kept: it is needed now and then only.
            dense = (before.dense(), after.dense())
            recorder.record(where, *dense, quantizer, format, axis, protected, "nodes", live.topology)

    def stashes(self, *, constant: bool) -> bool:
        """Whether what a linear product reads (``constant``: the dataset's features) is kept at the site "stash"."""
        if not self.covers("stash", "grad_weight"):
            return False
        return not constant or self._places["stash", "grad_weight"][2].quantization.stashes_constants

    def stash(self, x: Tensor, rows: Rows = None) -> Tensor | PackedRows:
        """x [rows, width] as the backward pass will find it: packed, where the format of the site "stash" allows."""
        live, bound = self.live, self._bound.get(("stash", "grad_weight"))
        x = x.detach()
        if live is None or not live.enabled or bound is None:
            return x
        seen = live.recorder is not None or live.tally is not None
        by_node = rows is not None and live.protected(self.layer, self.of) is not None
        if seen or by_node or not isinstance(bound[1], Quantizer):
            return self(x, "stash", "grad_weight", -1, rows)
        with torch.no_grad():
            return bound[1].pack(x)

    def step(self, x: Tensor, site: str, product: str) -> float | None:
        """c where what the site gives for x is c·integers; None where it is not, or c is not one number."""
        live, bound = self.live, self._bound.get((site, product))
        if live is None or not live.enabled or bound is None or not x.numel():
            return None
        if site == "weight" and live.scheme.weight_probability is not None:
            return None
        found = step_of(x, bound[1], 0, None)
        return found if isinstance(found, float) else None

    def multiplied(self, x: Tensor | Constant, weight: Tensor) -> None:
        """Diagnostics hear of the quantized operands of the forward product (x before dropout)."""
        live = self.live
        if live is not None and live.recorder is not None:
            operand = x.operand if isinstance(x, Constant) else DenseOperand(x.detach())
            where = (self.layer, self.part)
            live.recorder.multiplied((*where, "input", "forward"), operand, (*where, "weight", "forward"), weight)

    def summed(self, message: Activation, adjacency: Adjacency) -> None:
        """Diagnostics hear of the quantized messages of a sum (before dropout)."""
        live = self.live
        if live is not None and live.recorder is not None:
            values = message.dense() if isinstance(message, Constant) else message
            live.recorder.summed((self.layer, self.part, "message", "aggregate"), values, adjacency)

    def gradient(self, x: Tensor, product: str = "grad_aggregate") -> Tensor:
        """x itself; the gradient that comes back into it is quantized at the site "gradient", whoever is protected."""
        return _QuantizeGradient.apply(x, self, product) if self.covers("gradient", product) else x


class _QuantizeGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sites: Sites, product: str) -> Tensor:
        ctx.sites, ctx.product = sites, product
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.sites(gradient, "gradient", ctx.product), None, None


def bind(scheme: Scheme, model: nn.Module, *, nodes: int = 0, seed: int = 0) -> LiveScheme:
    """Bind a scheme to a model: every module in ``model.layers[k]`` that has ``sites`` gets its view as layer k."""
    live = LiveScheme(scheme, nodes=nodes, seed=seed)
    layers = model.layers
    assert isinstance(layers, nn.ModuleList)
    for index, layer in enumerate(layers):
        for part, module in layer.named_modules():
            sites = getattr(module, "sites", None)
            if isinstance(sites, Sites):
                sites.attach(live, index, part)
    return live
