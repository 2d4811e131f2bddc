"""Layers as products and sums of codes, step by step as engine.layers has them.

Every layer takes what the one before it gave (the dataset's constant, codes, or values) and a tail: the elementwise
steps that follow it, up to the next layer's codes where that layer rounds what it takes once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from torch import nn

from engine.formats.encoded import Encoded
from engine.integers.dispatch import Dispatch, fits_float32
from engine.integers.operands import (
    Codes,
    Op,
    Scratch,
    SparseCodes,
    Values,
    constant_codes,
    finished,
    largest,
    offset,
    rounded,
    run,
    values_of,
    widened,
)
from engine.integers.sites import NoIntegersError, Site, needed, site_of, weight_integers
from engine.kernels.aggregate import Adjacency
from engine.kernels.finish import ADD, CODES, MULTIPLY, RELU, ROUND, ROWS, Program
from engine.kernels.integer_products import Kernel, multiply_dense, multiply_entries
from engine.kernels.integer_sums import FIXED_POINT, FixedPoint, sum_codes, sum_weighted
from engine.kernels.widened_sums import sum_widened
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import DenseLayer
from engine.layers.gcn import GCNLayer
from engine.layers.gin import GINLayer
from engine.layers.neighbours import AGGREGATES, add_own
from engine.layers.operand import Activation, Constant
from engine.layers.sage import SAGELayer
from engine.live import Sites
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

    def __init__(self, layer: GCNLayer, name: str, weights: Weights, dispatch: Dispatch) -> None:
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
        self.sums = Sums(dispatch, self.linear.kernel.width, weighted=self.message is None)
        self._factors: WeakKeyDictionary[Adjacency, np.ndarray] = WeakKeyDictionary()

    @property
    def entry(self) -> Site:
        return self.linear.entry

    @property
    def said(self) -> str:
        how = "messages' codes" if self.message is not None else "features' codes times the nodes' norm"
        return f"integers: product of codes, sum of the {how} ({self.sums.said})"

    def run(self, x: Passed, topology: Topology, tail: Sequence[Op], scratch: Scratch) -> Codes | Values:
        adjacency, columns = topology.looped, self.linear.columns
        factor = _kept(self._factors, adjacency, lambda: adjacency.inverse_sqrt_degree.squeeze(1).numpy())
        sent = self.linear.run(self.linear.enter(x, scratch), self.before, factor, scratch)
        assert isinstance(sent, Codes)
        return self.sums.run(sent, adjacency, factor, [*self.after, *tail], columns, scratch)


class Sums:
    """Sums of nodes' codes over the edges into each node; ``weighted``: each times d^(−1/2) of its node.

    By the integer kernel or by fp32's, whichever is the faster at this width on this machine.
    """

    def __init__(self, dispatch: Dispatch, width: int, *, weighted: bool = False) -> None:
        self.weighted = weighted
        self.integers = dispatch.pays(weighted, width)
        ratio = dispatch.ratio(weighted, width)
        self.said = f"{'integer' if self.integers else 'fp32'} kernel: integers take {ratio:.2f} of fp32's time here"
        self._fixed: WeakKeyDictionary[Adjacency, FixedPoint] = WeakKeyDictionary()

    def run(
        self,
        sent: Codes,
        adjacency: Adjacency,
        factor: np.ndarray | None,
        ops: Sequence[Op],
        columns: int,
        scratch: Scratch,
    ) -> Codes | Values:
        """The sums through the ops; ``factor``: each node's, of ROWS."""
        matrix, codes, start = adjacency.incoming, sent.codes, offset(sent.grid)
        scale = np.full(codes.shape[1], float(sent.grid.c))
        if not self.integers and (self.weighted or fits_float32(matrix, largest(sent.grid))):
            values, weights = scratch.take((self, "widened"), codes.shape, "float32"), factor if self.weighted else None

            def produce_widened(out: np.ndarray, program: Program | None) -> None:
                sum_widened(matrix, codes, start, weights, values, out, program)

            return run(produce_widened, scale, ops, factor, len(codes), columns, scratch, self)
        if not self.weighted:

            def produce(out: np.ndarray, program: Program | None) -> None:
                sum_codes(matrix, codes, start, out, program)

            return run(produce, scale, ops, factor, len(codes), columns, scratch, self)
        fixed = _kept(self._fixed, adjacency, lambda: FixedPoint.of(adjacency.inverse_sqrt_degree, matrix))

        def produce_weighted(out: np.ndarray, program: Program | None) -> None:
            sum_weighted(matrix, codes, start, fixed, out, program)

        scale *= 2.0**-FIXED_POINT
        return run(produce_weighted, scale, ops, factor, len(codes), columns, scratch, self)


class Dense:
    """engine.layers.dense on codes: product, bias, feature. Raises NoIntegersError."""

    def __init__(self, layer: DenseLayer, name: str, weights: Weights) -> None:
        if layer.relu:
            raise NoIntegersError("its linear layer has a ReLU of its own")
        self.linear = Linear(layer, weights.get(f"{name}.weight"))
        self.ops: list[Op] = [] if layer.bias is None else [(ADD, layer.bias.detach().numpy())]
        self.ops += _round(site_of(layer.sites, "feature", "forward"))

    def run(self, x: Codes | SparseCodes, then: Sequence[Op], scratch: Scratch) -> Codes | Values:
        return self.linear.run(x, [*self.ops, *then], None, scratch)


class _Neighbours:
    """The sum or mean of neighbours' values, rounded at the sites "message" and "aggregate".

    Where the message is not quantized, or its greatest is taken, the layer's own kernels do it in float32.
    """

    def __init__(self, sites: Sites, how: str, width: int, dispatch: Dispatch) -> None:
        self.sites, self.how = sites, how
        found = site_of(sites, "message", "aggregate")
        self.message = found if how != "max" else None
        self.sums = Sums(dispatch, widened(width))
        self.said = f"sum of the messages' codes ({self.sums.said})"
        if self.message is None:
            why = "the greatest is taken" if how == "max" else "messages are not quantized"
            self.said = f"aggregate in fp32 ({why})"
        self.ops = [*([(ROWS, None)] if how == "mean" else []), *_round(site_of(sites, "aggregate", "aggregate"))]
        self._factors: WeakKeyDictionary[Adjacency, np.ndarray] = WeakKeyDictionary()

    def run(self, x: Values, topology: Topology, then: Sequence[Op], scratch: Scratch) -> Codes | Values:
        adjacency = topology.plain
        if self.message is None:
            total = values_of(self.in_float32(x.tensor(), topology))
            return finished(total, then, scratch, self) if then else total
        sent = rounded(x, self.message, scratch, (self, "message"))
        factor = _kept(self._factors, adjacency, lambda: adjacency.inverse_degree.squeeze(1).numpy())
        return self.sums.run(sent, adjacency, factor, [*self.ops, *then], x.columns, scratch)

    def in_float32(self, x: Activation, topology: Topology, **options: bool) -> Any:
        """As the layer does it, of the dataset's constant or of values."""
        message = self.sites(x, "message", "aggregate", rows="nodes")
        total = AGGREGATES[self.how](message, x, topology.plain, **options)
        return self.sites(total, "aggregate", "aggregate", rows="nodes")


class SAGE:
    """engine.layers.sage on codes. Raises NoIntegersError."""

    entry = None

    def __init__(self, layer: SAGELayer, name: str, weights: Weights, dispatch: Dispatch) -> None:
        self.around = _Neighbours(layer.sites, layer.aggregate, layer.root.weight.shape[1], dispatch)
        self.neighbours = Dense(layer.neighbours, f"{name}.neighbours", weights)
        self.root = Dense(layer.root, f"{name}.root", weights)
        self.after = [*_round(site_of(layer.sites, "update", "forward")), *_normalized(layer.norm)]

    @property
    def said(self) -> str:
        return f"integers: products of codes, {self.around.said}"

    def run(self, x: Passed, topology: Topology, tail: Sequence[Op], scratch: Scratch) -> Codes | Values:
        if isinstance(x, Codes):
            raise AssertionError("it rounds what it takes twice")
        first, second = self.neighbours.linear, self.root.linear
        if isinstance(x, Constant):
            key = (self, "aggregate", topology.plain)
            total = x.keep(key, lambda: first.enter(self.around.in_float32(x, topology), scratch))
        else:
            total = self.around.run(x, topology, [(CODES, first.entry)], scratch)
            assert isinstance(total, Codes)
        out = self.neighbours.run(total, (), scratch)
        own = self.root.run(second.enter(x, scratch), (), scratch)
        assert isinstance(out, Values)
        assert isinstance(own, Values)
        np.add(out.values, own.values, out=out.values)
        ops = [*self.after, *tail]
        return finished(out, ops, scratch, self) if ops else out


class GIN:
    """engine.layers.gin on codes. Raises NoIntegersError."""

    entry = None

    def __init__(self, layer: GINLayer, name: str, weights: Weights, dispatch: Dispatch) -> None:
        first: Any = layer.mlp.linears[0]
        self.around = _Neighbours(layer.sites, "sum", first.weight.shape[1], dispatch)
        self.scale = 1 + (layer.initial_eps if layer.eps is None else float(layer.eps.detach()))
        mlp = layer.mlp
        self.linears = [
            Dense(linear, f"{name}.mlp.linears.{index}", weights)  # pyright: ignore[reportArgumentType]
            for index, linear in enumerate(mlp.linears)
        ]
        self.after: list[Op] = [(RELU, None)] if mlp.activate else []
        self.after += [*_normalized(mlp.norm), *_round(site_of(layer.sites, "update", "forward"))]

    @property
    def said(self) -> str:
        return f"integers: products of codes, {self.around.said}"

    def run(self, x: Passed, topology: Topology, tail: Sequence[Op], scratch: Scratch) -> Codes | Values:
        first = self.linears[0].linear
        if isinstance(x, Constant):
            out: Any = x.keep((self, "sum", topology.plain), lambda: first.enter(self._sum(x, topology), scratch))
        else:
            assert isinstance(x, Values)
            total = self.around.run(x, topology, (), scratch)
            assert isinstance(total, Values)
            np.add(total.values, np.float32(self.scale) * x.values, out=total.values)
            out = first.enter(total, scratch)
        for index, dense in enumerate(self.linears):
            following = self.linears[index + 1 : index + 2]
            then = [*self.after, *tail]
            if following:
                then = [(RELU, None), (CODES, following[0].linear.entry)]
            out = dense.run(out, then, scratch)
        return out

    def _sum(self, x: Constant, topology: Topology) -> Passed:
        """(1+ε)·x + the sum of x's neighbours, which is as constant as x."""
        adjacency = topology.plain
        total = self.around.in_float32(x, topology, own=True)
        found = add_own(total, x, self.scale, x, adjacency)
        return found if isinstance(found, Constant) else values_of(found)


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
