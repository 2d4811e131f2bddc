"""Layers as products and sums of codes, step by step as engine.layers has them.

Every layer takes what the one before it gave (the dataset's constant, codes, or values) and a tail: the elementwise
steps that follow it, up to the next layer's codes where that layer rounds what it takes once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from engine.formats.encoded import Encoded
from engine.integers.operands import (
    Codes,
    Op,
    Scratch,
    SparseCodes,
    Values,
    constant_codes,
    largest,
    offset,
    rounded,
    run,
    values_of,
    widened,
)
from engine.integers.sites import NoIntegersError, Site, needed, site_of, weight_integers
from engine.kernels.aggregate import Adjacency, aggregate
from engine.kernels.finish import ADD, CODES, MULTIPLY, RELU, ROUND, ROWS, Program
from engine.kernels.integer_products import Kernel, multiply_dense, multiply_entries
from engine.kernels.integer_sums import FIXED_POINT, FixedPoint, sum_codes, sum_weighted
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import DenseLayer
from engine.layers.gcn import GCNLayer
from engine.layers.operand import Constant
from engine.topology import Topology

Passed = Constant | Codes | Values
"""What goes into a layer."""
Weights = Mapping[str, Encoded]
T = TypeVar("T")


class Layer(Protocol):
    """One layer on integers."""

    @property
    def entry(self) -> Site | None:
        """The site that rounds what the layer takes, where that is the only use it makes of it."""
        ...

    @property
    def said(self) -> str:
        """What runs on what, in words."""
        ...

    def run(self, x: Passed, topology: Topology, tail: Sequence[Op], scratch: Scratch) -> Codes | Values:
        """One pass; ``tail`` comes after the layer's own steps."""
        ...


class Linear:
    """fq(X)·fq(W)ᵀ on codes. Raises NoIntegersError."""

    def __init__(self, module: nn.Module, packed: Encoded | None) -> None:
        sites = module.sites
        self.entry = needed(site_of(sites, "input", "forward"), "input")  # pyright: ignore[reportArgumentType]
        integers, scale = weight_integers(packed)
        self.columns = len(integers)
        self.kernel = Kernel.of(integers)
        self.scale = np.zeros(self.kernel.width)
        self.scale[: self.columns] = scale
        if not self.kernel.holds(255):
            raise NoIntegersError("its sums of products may leave 32 bits")

    def enter(self, x: Passed, scratch: Scratch) -> Codes | SparseCodes:
        """x as this product's codes; a constant's are kept with it."""
        if isinstance(x, Constant):
            return x.keep((self, "codes"), lambda: constant_codes(x, self.entry))
        return rounded(x, self.entry, scratch, (self, "input")) if isinstance(x, Values) else x

    def run(
        self, x: Codes | SparseCodes, ops: Sequence[Op], factor: np.ndarray | None, scratch: Scratch
    ) -> Codes | Values:
        """The product through the ops."""

        def produce(out: np.ndarray, program: Program | None) -> None:
            if isinstance(x, SparseCodes):
                multiply_entries(x.places, x.integers, self.kernel, out, program)
            else:
                multiply_dense(x.codes, offset(x.grid), self.kernel, out, program)

        rows = x.places.shape[0] if isinstance(x, SparseCodes) else len(x.codes)
        scale = self.scale * x.grid.c
        return run(produce, scale, ops, factor, rows, self.columns, scratch, self)


class GCN:
    """engine.layers.gcn on codes. Raises NoIntegersError."""

    def __init__(self, layer: GCNLayer, name: str, weights: Weights) -> None:
        sites = layer.sites
        self.linear = Linear(layer, weights.get(f"{name}.weight"))
        feature = site_of(sites, "feature", "aggregate")
        self.message = site_of(sites, "message", "aggregate")
        if self.message is not None and layer.message == "edge":
            raise NoIntegersError("its messages are rounded an edge")
        sent = self.message or feature
        if sent is None:
            raise NoIntegersError("neither its feature nor its message is quantized")
        self.before: list[Op] = []
        if self.message is not None:
            self.before += [(ROUND, feature)] if feature is not None else []
            self.before.append((ROWS, None))
        self.before.append((CODES, sent))
        self.after: list[Op] = [(ROWS, None)]
        self.after += _round(site_of(sites, "aggregate", "aggregate"))
        if layer.bias is not None:
            self.after.append((ADD, layer.bias.detach().numpy()))
        self.after += _round(site_of(sites, "update", "forward"))
        self.after += _normalized(layer.norm)
        self._factors: WeakKeyDictionary[Adjacency, np.ndarray] = WeakKeyDictionary()
        self._weights: WeakKeyDictionary[Adjacency, FixedPoint] = WeakKeyDictionary()

    @property
    def entry(self) -> Site:
        return self.linear.entry

    @property
    def said(self) -> str:
        how = "messages' codes" if self.message is not None else "features' codes times the nodes' norm in fixed point"
        return f"integers: product of codes, sum of the {how}"

    def run(self, x: Passed, topology: Topology, tail: Sequence[Op], scratch: Scratch) -> Codes | Values:
        adjacency, columns = topology.looped, self.linear.columns
        factor = _kept(self._factors, adjacency, lambda: adjacency.inverse_sqrt_degree.squeeze(1).numpy())
        sent = self.linear.run(self.linear.enter(x, scratch), self.before, factor, scratch)
        assert isinstance(sent, Codes)
        scale = np.full(sent.codes.shape[1], float(sent.grid.c))
        if self.message is None:
            scale *= 2.0**-FIXED_POINT

        def produce(out: np.ndarray, program: Program | None) -> None:
            if self.message is not None:
                sum_codes(adjacency.incoming, sent.codes, offset(sent.grid), out, program)
                return
            factors = adjacency.inverse_sqrt_degree
            weights = _kept(self._weights, adjacency, lambda: FixedPoint.of(factors, adjacency.incoming))
            sum_weighted(adjacency.incoming, sent.codes, offset(sent.grid), weights, out, program)

        ops = [*self.after, *tail]
        return run(produce, scale, ops, factor, len(sent.codes), columns, scratch, self)


def _kept(kept: WeakKeyDictionary[Adjacency, T], of: Adjacency, make: Callable[[], T]) -> T:
    found = kept.get(of)
    if found is None:
        found = kept[of] = make()
    return found


def _round(site: Site | None) -> list[Op]:
    return [] if site is None else [(ROUND, site)]


def _normalized(norm: BatchNorm | None) -> list[Op]:
    """Batch normalization by the running statistics: a product and a sum a column."""
    if norm is None:
        return []
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt() * norm.weight.detach().double()
    shift = norm.bias.detach().double() - norm.running_mean.double() * scale
    return [(MULTIPLY, scale.float().numpy()), (ADD, shift.float().numpy())]
