"""From a run as the plain path holds it to what compiled epochs take, and back; and which runs there is a way for.

Parameters, their gradients and Adam's moments become parts of long vectors, which the model and the optimizer keep as
views: the compiled epochs write into the very tensors that the plain path trains, saves and restores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from engine.compiled import tables
from engine.compiled.gcn import Features, Graph, Labels, Learned, Network, Quantizers, Turned
from engine.formats import Format
from engine.formats.affine import Affine
from engine.formats.block import BlockFormat
from engine.formats.symmetric import Symmetric
from engine.full_batch import FullBatch
from engine.kernels.csr import _number_transposed as number_transposed
from engine.kernels.csr import _transpose as transpose
from engine.kernels.sparse import SparseOperand
from engine.layers.gcn import GCNLayer
from engine.layers.operand import Constant
from engine.layers.stack import Stack
from engine.live import Sites
from engine.metrics import accuracy, cross_entropy
from engine.problem import SPLITS
from engine.quantizer import Quantizer
from engine.randomness import stream_id

if TYPE_CHECKING:
    from engine.trainer import Trainer

MOST_WORK = 150e6
"""Multiply-adds of an epoch (its training step and evaluation) up to which it stays well under 0.2 s on one core."""
ELEMENT_WORK = 60
"""What an element of a hidden tensor costs beside the products, in multiply-adds: rounding, scaling, dropping."""

FORWARD = (
    (tables.AT_FEATURE, "feature", "aggregate"),
    (tables.AT_MESSAGE, "message", "aggregate"),
    (tables.AT_AGGREGATE, "aggregate", "aggregate"),
    (tables.AT_UPDATE, "update", "forward"),
)
PLACES = (
    (tables.AT_WEIGHT, "weight", "forward"),
    (tables.AT_INPUT, "input", "forward"),
    *FORWARD,
    (tables.AT_GRAD_AGGREGATE, "gradient", "grad_aggregate"),
    (tables.AT_GRAD_INPUT, "gradient", "grad_input"),
    (tables.AT_GRAD_WEIGHT, "gradient", "grad_weight"),
    (tables.AT_GRAD_LAYER, "gradient", "grad_layer"),
    (tables.AT_WEIGHT_AGAIN, "weight", "grad_input"),
    (tables.AT_INPUT_AGAIN, "input", "grad_weight"),
)
"""The places of a graph convolution: (column, site, product)."""


def why_plain(trainer: Trainer) -> str | None:
    """Why a trainer's epochs, as it stands, run on the plain path; None where they run compiled.

    Asks for what the compiled epochs can do, never for a name.
    """
    return next(_reasons(trainer), None)


def _reasons(trainer: Trainer) -> Iterator[str]:
    problem, model, live = trainer.problem, trainer.model, trainer.live
    if type(problem) is not FullBatch:  # what follows from it trains on batches
        yield "it trains on batches"
        return
    measure = problem.measure
    if measure.loss is not cross_entropy or measure.score is not accuracy:
        yield "its loss is another than cross entropy of one label a node"
    if problem.masks["train"].device.type != "cpu":
        yield "it trains on a GPU"
        return
    if not isinstance(model, Stack) or not all(type(layer) is GCNLayer for layer in model.layers):
        yield "its layers are others than graph convolutions"
        return
    layers = cast("list[GCNLayer]", list(model.layers))
    if model.residual or model.activation is not torch.relu or any(layer.norm is not None for layer in layers):
        yield "its layers have more between them than ReLU and dropout"
    if problem.topology.looped.weights is not None:
        yield "its edges have weights"
    if live.recorder is not None or live.tally is not None:
        yield "somebody looks into its steps"
    if not trainer.phase.learns:
        yield "its phase learns nothing"
    if work(problem, layers) > MOST_WORK:
        yield "an epoch takes too long to be one call"
    if live.enabled:
        yield from _reasons_of_scheme(trainer, layers)


def _reasons_of_scheme(trainer: Trainer, layers: list[GCNLayer]) -> Iterator[str]:
    live, scheme = trainer.live, trainer.live.scheme
    if scheme.protection is not None or scheme.weight_probability is not None or scheme.splits:
        yield "its scheme spares nodes or weights"
    if live.parameter_groups() or live.penalty() is not None:
        yield "its scheme learns"
    for layer in layers:
        sites = layer.sites
        if sites.covers("stash", "grad_weight"):
            yield "its scheme quantizes what is kept for the backward pass"
        if layer.message == "edge" and sites.covers("message", "aggregate"):
            yield "its messages are quantized an edge"
        for _, site, product in PLACES:
            place = sites.quantizer(site, product)
            if place is not None and not _is_simple(place[1]):
                yield f"its quantizer at the site {site!r} is of another kind than min-max grids and boxes of integers"
    for product in ("forward", "grad_weight"):
        place = layers[0].sites.quantizer("input", product)
        if place is not None and not getattr(place[1], "repeats", False):
            yield "its features are rounded anew in each step"


def _is_simple(module: torch.nn.Module) -> bool:
    if type(module) is not Quantizer or module.estimator != "ste":
        return False
    format = module.format
    if (module.rounding or format.rounding) not in ("nearest", "stochastic"):
        return False
    if isinstance(format, BlockFormat):
        return not format.block.thesis and not format.block.element.floating
    grid = (isinstance(format, Affine) and format.exact_zero) or isinstance(format, Symmetric)
    return grid and module.granularity == "tensor" and module.range_name == "min-max"


def work(problem: FullBatch, layers: list[GCNLayer]) -> float:
    """Multiply-adds of an epoch, roughly."""
    # Not the features themselves: their memory may be given away, and asking for them would load them again.
    rows, inputs = problem.x.shape
    by_node = problem.size.entries_a_node
    entries = rows * inputs if by_node is None else by_node * rows
    nodes, edges = problem.size.nodes, problem.topology.looped.sources.numel()
    total = 0.0
    for index, layer in enumerate(layers):
        outputs, inputs = layer.weight.shape
        products = 3 * entries if index == 0 else 4 * nodes * inputs
        total += outputs * (products + 3 * edges + ELEMENT_WORK * nodes)
    return total


@dataclass(frozen=True)
class Compiled:
    """What ``train_epochs`` takes of a trainer whose formats stay: all but the epochs' numbers."""

    graph: Graph
    features: Features
    again: Features
    network: Network
    quantizers: Quantizers
    learned: Learned
    labels: Labels
    room: np.ndarray
    """For two of the largest weights."""
    modules: list[Quantizer]
    """The quantizers by their rows."""
    gradients: list[Tensor]
    """The parameters' gradients, views of one vector."""

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.graph, self.features, self.again, self.network, self.quantizers, self.learned, self.labels

    def take_draws(self) -> None:
        """Count on from the draws that the quantizers have made."""
        self.quantizers.draws[: len(self.modules)] = [module.draws for module in self.modules]

    def give_draws(self) -> None:
        """The quantizers have drawn as the compiled epochs did."""
        for module, count in zip(self.modules, self.quantizers.draws.tolist(), strict=False):
            module.draws = count

    def attach_gradients(self, trainer: Trainer) -> None:
        """The parameters hold the gradients of the last step, as after one of the plain path."""
        for parameter, gradient in zip(trainer.model.parameters(), self.gradients, strict=True):
            parameter.grad = gradient


def compile_plan(trainer: Trainer) -> Compiled:
    """The tables of a trainer for which ``why_plain`` knows no reason, as its formats stand."""
    problem = cast(FullBatch, trainer.problem)
    model = cast(Stack, trainer.model)
    layers = cast("list[GCNLayer]", list(model.layers))
    modules: list[Quantizer] = []
    places = np.full((len(layers), tables.PLACE_COLUMNS), tables.NONE, np.int64)
    for index, layer in enumerate(layers):
        for column, site, product in PLACES:
            found = layer.sites.quantizer(site, product)
            if found is not None:
                module = cast(Quantizer, found[1])
                known = [id(each) for each in modules]
                places[index, column] = known.index(id(module)) if id(module) in known else len(modules)
                if id(module) not in known:
                    modules.append(module)
        places[index, tables.WEIGHT_ANEW] = layer.sites.requantizes("weight", "grad_input")
        places[index, tables.INPUT_ANEW] = layer.sites.requantizes("input", "grad_weight")
    whole, real = _quantizer_tables(modules)
    quantizers = Quantizers(
        whole,
        real,
        np.zeros(max(len(modules), 1), np.int64),
        places,
        modules[0].seed if modules else 0,
        np.zeros(1, np.int64),
    )
    network, room = _network(trainer, problem, model, layers, places, modules)
    features, again = _features(problem, layers[0].sites)
    learned, gradients = _learned(trainer)
    labels = _labels(problem)
    return Compiled(_graph(problem), features, again, network, quantizers, learned, labels, room, modules, gradients)


def _quantizer_tables(modules: list[Quantizer]) -> tuple[np.ndarray, np.ndarray]:
    whole = np.zeros((max(len(modules), 1), tables.QUANTIZER_INTEGERS), np.int64)
    real = np.zeros((max(len(modules), 1), tables.QUANTIZER_REALS), np.float64)
    for row, module in enumerate(modules):
        describe(module.format, whole[row], real[row])
        whole[row, tables.STOCHASTIC] = module.stochastic
        whole[row, tables.STREAM] = stream_id(f"rounding/{module.stream}")
    return whole, real


def describe(format: Format, whole: np.ndarray, real: np.ndarray) -> None:
    """Fill a quantizer's rows with what there is to know of its format."""
    if isinstance(format, BlockFormat):
        block = format.block
        steps, maximum, zero, *_ = block.element.kernel_arguments
        columns = [tables.KIND, tables.BOX, tables.EMAX, tables.STEPS, tables.TOUCH]
        whole[columns] = tables.BLOCKS, block.box, block.emax, steps, block.element.single_arguments[-1]
        real[[tables.MAXIMUM, tables.ZERO]] = maximum, zero
        return
    assert isinstance(format, Affine | Symmetric)
    whole[tables.KIND] = tables.SYMMETRIC if isinstance(format, Symmetric) else tables.AFFINE
    whole[[tables.FIRST, tables.LAST]] = format.codes


def _graph(problem: FullBatch) -> Graph:
    looped = problem.topology.looped
    into, out = looped.incoming, looped.outgoing
    scale = looped.inverse_sqrt_degree.numpy().reshape(-1)
    return Graph(into.starts.numpy(), into.columns.numpy(), out.starts.numpy(), out.columns.numpy(), scale)


def _features(problem: FullBatch, sites: Sites) -> tuple[Features, Features]:
    """As the forward pass takes them, and as the product of the weight's gradient does: one where they are the same."""
    forward = _operand(sites(problem.x, "input", "forward", -1, "nodes"))
    if not sites.requantizes("input", "grad_weight"):
        return forward, forward
    return forward, _operand(sites(problem.x, "input", "grad_weight", 0, "nodes"))


def _operand(x: Constant) -> Features:
    none, numbers = np.empty(0, np.int64), np.empty(0, np.uint32)
    floats, matrix = np.empty(0, np.float32), np.empty((0, 0), np.float32)
    operand = x.operand
    if isinstance(operand, SparseOperand):
        starts, columns, values = (part.numpy() for part in (operand.starts, operand.columns, operand.values))
        kept, turned = np.empty_like(values), _turn(starts, columns, values, operand.inputs)
        return Features(True, starts, columns, values, operand.entry_numbers, matrix, kept, matrix, turned)
    dense, nothing = operand.dense().contiguous().numpy(), np.empty(0, np.int32)
    turned = Turned(none, nothing, nothing, floats)
    return Features(False, none, none, floats, numbers, dense, floats, np.empty_like(dense), turned)


def _turn(starts: np.ndarray, columns: np.ndarray, values: np.ndarray, inputs: int) -> Turned:
    begin = np.zeros(inputs + 1, np.int64)
    np.cumsum(np.bincount(columns, minlength=inputs), out=begin[1:])
    rows, entries = np.empty(columns.size, np.int32), np.empty(columns.size, np.int32)
    transpose(starts, columns, begin[:-1].copy(), rows)
    number_transposed(starts, columns, begin[:-1].copy(), entries)
    return Turned(begin, rows, entries, values[entries])


def _network(
    trainer: Trainer,
    problem: FullBatch,
    model: Stack,
    layers: list[GCNLayer],
    places: np.ndarray,
    modules: list[Quantizer],
) -> tuple[Network, np.ndarray]:
    nodes = problem.size.nodes
    table = np.full((len(layers), tables.LAYER_INTEGERS), tables.NONE, np.int64)
    parameter = size = room = largest = 0
    for row, layer in zip(table, layers, strict=True):
        outputs, inputs = layer.weight.shape
        row[[tables.INPUTS, tables.OUTPUTS, tables.WEIGHT]] = inputs, outputs, parameter
        parameter += inputs * outputs
        if layer.bias is not None:
            row[tables.BIAS] = parameter
            parameter += outputs
        hidden = nodes * inputs if layer is not layers[0] else 0
        for column, floats in (
            (tables.X, hidden),
            (tables.X_HAT, hidden),
            (tables.DROPPED, hidden),
            (tables.KERNEL, inputs * outputs),
        ):
            row[column] = size
            size += floats
        room = max(room, hidden, nodes * outputs)
        largest = max(largest, inputs * outputs)
    # The losses of a split lie in two of them, with each node's shares and their sum.
    room = max(room, -(-nodes * (int(table[-1, tables.OUTPUTS]) + 2) // 2))
    network = Network(
        table,
        np.array(model.rates, np.float64),
        np.array([stream_id(f"dropout/{index}") for index in range(len(layers))], np.int64),
        trainer.spec.seed,
        _first_dropped(model.rates, places, modules),
        size,
        room,
        np.empty(size + 6 * room, np.float32),
    )
    return network, np.empty(2 * largest, np.float32)


def _first_dropped(rates: tuple[float, ...], places: np.ndarray, modules: list[Quantizer]) -> int:
    """Before it, an evaluation and the step that follows compute the same; the last layer always counts as after."""
    for index, rate in enumerate(rates):
        used = [places[index, column] for column in (tables.AT_WEIGHT, tables.AT_INPUT, *(row[0] for row in FORWARD))]
        if rate or any(number != tables.NONE and modules[number].stochastic for number in used):
            return index
    return len(rates) - 1


def _labels(problem: FullBatch) -> Labels:
    classes = torch.zeros(problem.size.nodes, dtype=torch.int64)
    for split, mask in problem.masks.items():
        classes[mask] = problem.targets[split]
    rows = {split: problem.masks[split].nonzero().squeeze(1).numpy() for split in SPLITS}
    return Labels(classes.numpy(), **rows)


def _learned(trainer: Trainer) -> tuple[Learned, list[Tensor]]:
    """The parameters' vectors, and their gradients as views.

    From now on the model's and the optimizer's tensors are views of them.
    """
    parameters = list(trainer.model.parameters())
    starts = np.cumsum([0, *(parameter.numel() for parameter in parameters)])
    theta, gradient, first, second, best = (torch.zeros(int(starts[-1])) for _ in range(5))
    state = trainer.optimizer.state

    def place(vector: Tensor, index: int, values: Tensor | None) -> Tensor:
        view = vector[starts[index] : starts[index + 1]].view(parameters[index].shape)
        return view if values is None else view.copy_(values)

    gradients: list[Tensor] = []
    for index, parameter in enumerate(parameters):
        moments: dict[str, Any] = state[parameter]
        parameter.data = place(theta, index, parameter.data)
        gradients.append(place(gradient, index, parameter.grad))
        moments["step"] = moments["step"].clone() if moments else torch.tensor(0.0)
        for name, vector in (("exp_avg", first), ("exp_avg_sq", second)):
            moments[name] = place(vector, index, moments.get(name))
    before = np.empty(3 * theta.numel(), np.float32)
    kept, into, moment, other, copy = (vector.numpy() for vector in (theta, gradient, first, second, best))
    return Learned(kept, into, moment, other, before, copy, starts.astype(np.int64)), gradients
