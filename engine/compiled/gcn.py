"""Whole epochs of full-batch GCN node classification as one compiled call: training step, Adam, evaluation.

The formulas are those of engine.layers.gcn, engine.layers.linear and engine.layers.stack, site by site and in their
order; what is quantized, summed, multiplied sparsely and dropped goes through the plain path's own kernels. What is new
is that nothing is allocated, dispatched or recorded between them.

Two things are done once where the plain path does them twice, because their results are equal: the layers before the
first dropout give an evaluation and the step after it the same tensors; and a gradient that one quantizer rounds to
nearest for two products is rounded once.

An epoch in which something is not finite is not done: the state is as before it, and the plain path says what is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from engine.compiled.quantize import draw_key, quantize
from engine.compiled.tables import (
    ACROSS,
    AT_AGGREGATE,
    AT_FEATURE,
    AT_GRAD_AGGREGATE,
    AT_GRAD_INPUT,
    AT_GRAD_LAYER,
    AT_GRAD_WEIGHT,
    AT_INPUT,
    AT_INPUT_AGAIN,
    AT_MESSAGE,
    AT_UPDATE,
    AT_WEIGHT,
    AT_WEIGHT_AGAIN,
    BIAS,
    BLOCKS,
    DIVERSITY,
    DOWN,
    DROPPED,
    EVALUATION,
    INPUT_ANEW,
    INPUTS,
    KERNEL,
    KIND,
    NONE,
    OUTPUTS,
    STOCHASTIC,
    TEST_HITS,
    TEST_LOSS,
    TRAIN_HITS,
    TRAIN_LOSS,
    TRAINING,
    VAL_HITS,
    VAL_LOSS,
    WEIGHT,
    WEIGHT_ANEW,
    X_HAT,
    X,
)
from engine.kernels.csr import _row_sums as sum_rows
from engine.kernels.dropout import _drop as drop_flat
from engine.kernels.dropout import _drop_in_place as drop_flat_in_place
from engine.kernels.exponential import exponential
from engine.kernels.jit import kernel
from engine.kernels.row_vectors import multiply_rows, scale_row
from engine.kernels.sparse import _drop as drop_entries
from engine.kernels.sparse import _multiply as multiply_entries

Floats = NDArray[np.float32]
Whole = NDArray[np.int64]

ROWS = 128
"""Rows of which a weight's gradient is summed at a time."""
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""torch.optim.Adam's defaults."""


class Graph(NamedTuple):
    """Both directions of the looped edges, and d^(−1/2) [N] of the symmetric normalization."""

    starts: Whole
    columns: NDArray[np.int32]
    back_starts: Whole
    back_columns: NDArray[np.int32]
    scale: Floats


class Turned(NamedTuple):
    """A sparse matrix by columns: of each its entries' rows, and which entries these are."""

    starts: Whole
    rows: NDArray[np.int32]
    entries: NDArray[np.int32]
    values: Floats


class Features(NamedTuple):
    """The quantized features: entries of a sparse matrix, or ``dense`` [N, F]; what the form has not is empty.

    ``kept`` (entries) or ``kept_dense`` hold them after dropout; ``turned`` the entries by columns, after dropout where
    there is one.
    """

    sparse: bool
    starts: Whole
    columns: Whole
    values: Floats
    numbers: NDArray[np.uint32]
    dense: Floats
    kept: Floats
    kept_dense: Floats
    turned: Turned


class Quantizers(NamedTuple):
    """The tables of engine.compiled.tables, each quantizer's count of draws, and whether a tensor did not fit one."""

    whole: Whole
    real: NDArray[np.float64]
    draws: Whole
    places: Whole
    seed: int
    failed: Whole


class Network(NamedTuple):
    """``layers``: a table; by layer ``rates`` and ``streams`` of the dropout of its input; ``first_dropped``: the first
    layer of which an evaluation and a step differ; where ``scratch`` begins in ``work``, six times ``room`` floats."""

    layers: Whole
    rates: NDArray[np.float64]
    streams: Whole
    seed: int
    first_dropped: int
    scratch: int
    room: int
    work: Floats


class Learned(NamedTuple):
    """All parameters one after the other, their gradients, Adam's two moments, what they were before the last step, the
    best epoch's, and where each parameter begins (one more: the end)."""

    theta: Floats
    gradient: Floats
    first: Floats
    second: Floats
    before: Floats
    best: Floats
    starts: Whole


class Labels(NamedTuple):
    """Each node's class, and the nodes of each split."""

    classes: Whole
    train: Whole
    val: Whole
    test: Whole


class Diversity(NamedTuple):
    """The open window: the sum of its gradients, the squared norm of each [window, parameters], how many it has."""

    total: Floats
    squares: Floats
    filled: Whole


@numba.njit(inline="always")
def part(work, begin, rows, columns):
    """The floats from ``begin`` on as a matrix."""
    return work[begin : begin + rows * columns].reshape((rows, columns))


@numba.njit(inline="always")
def flat(x):
    return x.reshape(x.size)


@numba.njit(inline="always")
def scratch(network, number, rows, columns):
    return part(network.work, network.scratch + number * network.room, rows, columns)


@kernel
def at(place, layer, x, out, axis, quantizers):
    """x̂ in ``out``, or x itself where the place is not quantized."""
    number = quantizers.places[layer, place]
    if number == NONE:
        return x
    if not quantize(x, out, axis, number, quantizers.whole, quantizers.real, quantizers.draws, quantizers.seed):
        quantizers.failed[0] = 1
    return out


@kernel
def multiply(x, matrix, out):
    """out = x·matrix: [rows, inner] × [inner, columns]."""
    rows, inner = x.shape
    columns = matrix.shape[1]
    multiply_rows(flat(x), 0, inner, 1, rows, flat(matrix), columns, inner, flat(out), 0)


@kernel
def multiply_transposed(x, gradient, room, out):
    """out = xᵀ·gradient: [rows, inputs], [rows, outputs] → [inputs, outputs]; ``room`` for one more such matrix.

    Sums of ``ROWS`` rows are added up apart, so that a sum over thousands of rows loses no digits.
    """
    rows, inputs = x.shape
    outputs = gradient.shape[1]
    sums = flat(out)
    sums[:] = 0
    for first in range(0, rows, ROWS):
        count = min(ROWS, rows - first)
        mine = flat(gradient[first : first + count])
        multiply_rows(flat(x), first * inputs, 1, inputs, inputs, mine, outputs, count, room, 0)
        for k in range(sums.size):
            sums[k] += room[k]


@kernel
def scale_rows(x, scale, out):
    """Each row times its own; x may be out."""
    width, values, scaled = x.shape[1], flat(x), flat(out)  # a view a row would cost more than the row
    for i in range(x.shape[0]):
        scale_row(values, scale[i], scaled, i * width, width)


@kernel
def keep_features(features, rate, key):
    """The features' values after dropout, in their own room."""
    scale, rate = np.float32(1 / (1 - rate)), np.float32(rate)
    if features.sparse:
        drop_entries(features.numbers, features.values, rate, scale, key[0], key[1], features.kept)
    else:
        size = features.dense.size
        drop_flat(features.dense.reshape(size), features.kept_dense.reshape(size), rate, scale, key[0], key[1])


@kernel
def multiply_features(features, dropped, transposed, out):
    """out = features·Wᵀ; ``transposed``: Wᵀ [F, outputs]."""
    if features.sparse:
        values = features.kept if dropped else features.values
        multiply_entries(features.starts, features.columns, values, transposed, out)
    else:
        multiply(features.kept_dense if dropped else features.dense, transposed, out)


@kernel
def drop(x, rate, key, out):
    scale = np.float32(1 / (1 - rate))
    drop_flat(flat(x), flat(out), np.float32(rate), scale, key[0], key[1])


@kernel
def forward(layer, training, step, graph, features, network, quantizers, learned):
    """A layer's output, before its ReLU, in scratch; leaves in its own buffers what the backward pass reads."""
    mine = network.layers[layer]
    nodes, inputs, outputs = graph.scale.size, mine[INPUTS], mine[OUTPUTS]
    weight = part(learned.theta, mine[WEIGHT], outputs, inputs)
    weight = at(AT_WEIGHT, layer, weight, part(network.work, mine[KERNEL], outputs, inputs), ACROSS, quantizers)
    transposed = np.ascontiguousarray(weight.T)
    a, b, c = (
        scratch(network, 0, nodes, outputs),
        scratch(network, 1, nodes, outputs),
        scratch(network, 2, nodes, outputs),
    )
    rate = network.rates[layer]
    dropped = training == TRAINING and rate > 0
    key = (np.uint32(0), np.uint32(0))
    if dropped:
        key = draw_key(network.seed, network.streams[layer], step)
    if layer == 0:
        if dropped:
            keep_features(features, rate, key)
        multiply_features(features, dropped, transposed, a)
    else:
        x = part(network.work, mine[X], nodes, inputs)
        x = at(AT_INPUT, layer, x, part(network.work, mine[X_HAT], nodes, inputs), ACROSS, quantizers)
        if dropped:
            kept = part(network.work, mine[DROPPED], nodes, inputs)
            drop(x, rate, key, kept)
            multiply(kept, transposed, a)
        else:
            multiply(x, transposed, a)
    feature = at(AT_FEATURE, layer, a, b, ACROSS, quantizers)
    scale_rows(feature, graph.scale, c)
    message = at(AT_MESSAGE, layer, c, a, ACROSS, quantizers)
    sum_rows(graph.starts, graph.columns, message, b, 0, nodes)
    scale_rows(b, graph.scale, b)
    out = at(AT_AGGREGATE, layer, b, c, ACROSS, quantizers)
    if mine[BIAS] != NONE:
        bias = learned.theta[mine[BIAS] : mine[BIAS] + outputs]
        for i in range(nodes):
            for k in range(outputs):
                out[i, k] += bias[k]
    return at(AT_UPDATE, layer, out, a, ACROSS, quantizers)


@kernel
def hand_on(layer, out, graph, network):
    """ReLU of a layer's output: the next layer's input."""
    x = part(network.work, network.layers[layer + 1, X], out.shape[0], out.shape[1])
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            value = out[i, k]
            x[i, k] = np.float32(0) if value < 0 else value


@kernel
def backward(layer, step, graph, features, again, network, quantizers, learned, room):
    """The gradients of a layer's parameters, from that of its output in scratch 3, where its input's is left.

    ``again``: the features as the product of the weight's gradient takes them.
    """
    mine = network.layers[layer]
    nodes, inputs, outputs = graph.scale.size, mine[INPUTS], mine[OUTPUTS]
    a, b, c = (
        scratch(network, 3, nodes, outputs),
        scratch(network, 4, nodes, outputs),
        scratch(network, 5, nodes, outputs),
    )
    if mine[BIAS] != NONE:
        sums = np.zeros(outputs, np.float64)
        for i in range(nodes):
            for k in range(outputs):
                sums[k] += a[i, k]
        for k in range(outputs):
            learned.gradient[mine[BIAS] + k] = sums[k]
    scale_rows(a, graph.scale, a)
    summed = at(AT_GRAD_AGGREGATE, layer, a, b, ACROSS, quantizers)
    sum_rows(graph.back_starts, graph.back_columns, summed, c, 0, nodes)
    scale_rows(c, graph.scale, c)

    rate = network.rates[layer]
    key = (np.uint32(0), np.uint32(0))
    if rate > 0:
        key = draw_key(network.seed, network.streams[layer], step)
    weight = part(learned.theta, mine[WEIGHT], outputs, inputs)
    into = quantizers.places[layer, AT_GRAD_INPUT]
    rounded = a
    if layer > 0:
        if quantizers.places[layer, WEIGHT_ANEW] != 0:
            anew = part(network.work, mine[KERNEL], outputs, inputs)
            weight = at(AT_WEIGHT_AGAIN, layer, weight, anew, DOWN, quantizers)
        elif quantizers.places[layer, AT_WEIGHT] != NONE:
            weight = part(network.work, mine[KERNEL], outputs, inputs)
        rounded = at(AT_GRAD_INPUT, layer, c, a, ACROSS, quantizers)
        back = scratch(network, 1, nodes, inputs)
        multiply(rounded, weight, back)
        if rate > 0:
            scale = np.float32(1 / (1 - rate))
            drop_flat_in_place(flat(back), 0, np.float32(rate), scale, key[0], key[1])

    found = room[: inputs * outputs].reshape((inputs, outputs))
    operand = scratch(network, 0, nodes, inputs) if layer > 0 else scratch(network, 0, 0, 0)
    if layer > 0:
        x = part(network.work, mine[X], nodes, inputs)
        if quantizers.places[layer, INPUT_ANEW] != 0:
            operand = at(AT_INPUT_AGAIN, layer, x, operand, DOWN, quantizers)
            if rate > 0:
                kept = part(network.work, mine[DROPPED], nodes, inputs)
                drop(operand, rate, key, kept)
                operand = kept
        elif rate > 0:
            operand = part(network.work, mine[DROPPED], nodes, inputs)
        elif quantizers.places[layer, AT_INPUT] != NONE:
            operand = part(network.work, mine[X_HAT], nodes, inputs)
        else:
            operand = x
    other = quantizers.places[layer, AT_GRAD_WEIGHT]
    same = layer > 0 and other == into and other != NONE
    if same:
        same = quantizers.whole[other, KIND] != BLOCKS and quantizers.whole[other, STOCHASTIC] == 0
    if not same:
        rounded = at(AT_GRAD_WEIGHT, layer, c, b, DOWN, quantizers)
    if layer > 0:
        multiply_transposed(operand, rounded, room[inputs * outputs :], found)
    else:
        if rate > 0 and quantizers.places[layer, INPUT_ANEW] != 0:
            keep_features(again, rate, key)
        if again.sparse:
            turned = again.turned
            if rate > 0:
                for p in range(turned.entries.size):
                    turned.values[p] = again.kept[turned.entries[p]]
            multiply_entries(turned.starts, turned.rows, turned.values, rounded, found)
        else:
            multiply_transposed(again.kept_dense if rate > 0 else again.dense, rounded, room[inputs * outputs :], found)
    gradient = part(learned.gradient, mine[WEIGHT], outputs, inputs)
    for k in range(inputs):
        for j in range(outputs):
            gradient[j, k] = found[k, j]

    if layer > 0:
        back = scratch(network, 1, nodes, inputs)
        handed = at(AT_GRAD_LAYER, layer, back, scratch(network, 2, nodes, inputs), ACROSS, quantizers)
        x = part(network.work, mine[X], nodes, inputs)
        out = scratch(network, 3, nodes, inputs)
        for i in range(nodes):
            for k in range(inputs):
                # A product, where a choice would be a branch that nobody can foretell.
                out[i, k] = handed[i, k] * np.float32(x[i, k] > 0)


@kernel
def label_losses(outputs, nodes, classes, room):
    """−log softmax of its label at each of these nodes, in ``room`` [nodes]; after it [nodes, classes] of the scores'
    shares exp(score − most) in the softmax's sum, and [nodes] of these sums."""
    count, width = nodes.size, outputs.shape[1]
    losses = room[:count]
    shares = room[count : count + count * width].reshape((count, width))
    totals = room[count + count * width : 2 * count + count * width]
    for n in range(count):
        i = nodes[n]
        most = outputs[i, 0]
        for k in range(1, width):
            most = max(most, outputs[i, k])
        for k in range(width):
            shares[n, k] = outputs[i, k] - most
        losses[n] = shares[n, classes[i]]
    exponential(flat(shares))
    for n in range(count):
        total = np.float32(0)
        for k in range(width):
            total += shares[n, k]
        totals[n] = total
        losses[n] = np.log(total) - losses[n]
    return losses, shares, totals


@kernel
def mean_loss(outputs, nodes, classes, room):
    """The mean cross entropy of these nodes; 0 of none."""
    loss = 0.0
    for each in label_losses(outputs, nodes, classes, room)[0]:
        loss += np.float64(each)
    return loss / max(nodes.size, 1)


@kernel
def loss_gradient(outputs, labels, gradient, room):
    """The training loss, and its gradient by each output."""
    gradient[:] = 0
    nodes, classes = labels.train, labels.classes
    losses, shares, totals = label_losses(outputs, nodes, classes, room)
    loss, share = 0.0, np.float32(1.0 / max(nodes.size, 1))
    for n in range(nodes.size):
        i = nodes[n]
        loss += np.float64(losses[n])
        for k in range(outputs.shape[1]):
            gradient[i, k] = (shares[n, k] / totals[n] - np.float32(k == classes[i])) * share
    return loss / max(nodes.size, 1)


@kernel
def count_hits(outputs, nodes, classes):
    """How many of these nodes have their label as the (first) highest score."""
    hits = 0
    for i in nodes:
        best = 0
        for k in range(1, outputs.shape[1]):
            if outputs[i, k] > outputs[i, best]:
                best = k
        hits += best == classes[i]
    return hits


@kernel
def adam(learned, count, rate, decay):
    """torch.optim.Adam's step number ``count``, in its order of operations."""
    step = np.float32(-rate / (1 - BETA_1**count))
    root = np.float32(np.sqrt(1 - BETA_2**count))
    rest_1, rest_2 = np.float32(1 - BETA_1), np.float32(1 - BETA_2)
    keep_2, tiny, decay = np.float32(BETA_2), np.float32(EPSILON), np.float32(decay)
    theta, first, second = learned.theta, learned.first, learned.second
    for i in range(theta.size):
        g = learned.gradient[i] + decay * theta[i]
        m = first[i] + rest_1 * (g - first[i])
        v = second[i] * keep_2 + rest_2 * g * g
        first[i], second[i] = m, v
        theta[i] += step * m / (np.sqrt(v) / root + tiny)


@kernel
def square_sum(x):
    """Σ x² in float64: eight sums side by side, which vectorize."""
    sums = np.zeros(8, np.float64)
    whole = x.size - x.size % 8
    for i in range(0, whole, 8):
        for lane in range(8):
            value = np.float64(x[i + lane])
            sums[lane] += value * value
    for i in range(whole, x.size):
        value = np.float64(x[i])
        sums[0] += value * value
    return sums.sum()


@kernel
def add_gradients(learned, diversity):
    slot = diversity.filled[0]
    starts = learned.starts
    for p in range(starts.size - 1):
        begin, end = starts[p], starts[p + 1]
        diversity.squares[slot, p] = square_sum(learned.gradient[begin:end])
        if slot == 0:
            diversity.total[begin:end] = learned.gradient[begin:end]
        else:
            for i in range(begin, end):
                diversity.total[i] += learned.gradient[i]
    diversity.filled[0] = slot + 1


@kernel
def close_window(learned, diversity):
    """engine.signals.GradientDiversity.close; NaN for None."""
    found, count, starts = 0.0, 0, learned.starts
    for p in range(starts.size - 1):
        above = 0.0
        for slot in range(diversity.filled[0]):
            above += np.float64(diversity.squares[slot, p])
        if above > 0:
            below = 0.0
            for i in range(starts[p], starts[p + 1]):
                below += np.float64(diversity.total[i]) * np.float64(diversity.total[i])
            found += above / below if below > 0 else np.inf
            count += 1
    diversity.filled[0] = 0
    return found / count if count and found < np.inf else np.nan


@kernel
def train_epochs(
    first, steps, count, best, counts, window, rates, decay, said,
    graph, features, again, network, quantizers, learned, labels, diversity, room,
):  # fmt: skip
    """Train and evaluate the epochs from ``first`` on, one for each of ``rates``; how many were done, and which was the
    best (its place, −1: none better than ``best``).

    ``steps`` of the optimizer and of the randomness were done before, of Adam ``count``; ``said`` [epochs, SAID].
    """
    layers, nodes = network.layers.shape[0], graph.scale.size
    classes = network.layers[layers - 1, OUTPUTS]
    drawn = quantizers.draws.copy()
    quantizers.failed[0] = 0
    place, size = -1, learned.theta.size
    for e in range(rates.size):
        drawn[:] = quantizers.draws
        step = steps + e + 1
        begin = network.first_dropped if e > 0 else 0
        out = scratch(network, 0, nodes, classes)
        for layer in range(begin, layers):
            out = forward(layer, TRAINING, step, graph, features, network, quantizers, learned)
            if layer + 1 < layers:
                hand_on(layer, out, graph, network)
        apart = network.work[network.scratch + 4 * network.room :]
        loss = loss_gradient(out, labels, scratch(network, 3, nodes, classes), apart)
        for layer in range(layers - 1, -1, -1):
            backward(layer, step, graph, features, again, network, quantizers, learned, room)
        if quantizers.failed[0] != 0 or not np.isfinite(loss):
            quantizers.draws[:] = drawn
            return e, place
        learned.before[:size] = learned.theta
        learned.before[size : 2 * size] = learned.first
        learned.before[2 * size :] = learned.second
        adam(learned, count + e + 1, rates[e], decay)
        for layer in range(layers):
            out = forward(layer, EVALUATION, step, graph, features, network, quantizers, learned)
            if layer + 1 < layers:
                hand_on(layer, out, graph, network)
        row = said[e]
        row[TRAIN_LOSS] = loss
        row[VAL_LOSS] = mean_loss(out, labels.val, labels.classes, apart)
        row[TEST_LOSS] = mean_loss(out, labels.test, labels.classes, apart)
        if quantizers.failed[0] != 0 or not np.isfinite(row[VAL_LOSS]) or not np.isfinite(row[TEST_LOSS]):
            quantizers.draws[:] = drawn
            learned.theta[:] = learned.before[:size]
            learned.first[:] = learned.before[size : 2 * size]
            learned.second[:] = learned.before[2 * size :]
            return e, place
        row[TRAIN_HITS] = count_hits(out, labels.train, labels.classes)
        row[VAL_HITS] = count_hits(out, labels.val, labels.classes)
        row[TEST_HITS] = count_hits(out, labels.test, labels.classes)
        add_gradients(learned, diversity)
        row[DIVERSITY] = close_window(learned, diversity) if (first + e) % window == 0 else np.nan
        value = row[VAL_HITS] / labels.val.size * 100 if labels.val.size else np.nan
        # Of those that count the first of the best; the last where nothing validates, or nothing did so far.
        if counts and not (value <= best):
            learned.best[:] = learned.theta
            best, place = value, e
    return rates.size, place
