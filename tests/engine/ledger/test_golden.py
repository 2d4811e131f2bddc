"""A two-layer GCN on a graph of five nodes, worked by hand: every number of its ledger and what follows from it.

Five nodes; eight directed edges, with five self-loops 13 messages; six features → 4 → 3 classes. Dropout between the
layers. MACs are rows·inputs·outputs of a linear product, messages·width of an aggregate:

                       layer 1 (6 → 4)             layer 2 (4 → 3)
    forward            5·6·4 = 120                 5·4·3 = 60
    aggregate          13·4  = 52                  13·3  = 39
    backward           dW 120, A^T 52, no dX       dW 60, dX 60, A^T 39

In int8 (quantized training) the input, weight, feature, aggregate and the incoming gradient of linear products are
int8; the gradient that flows back through the sum over neighbours stays fp32, and so do dW and dX as they are written.
"""

from __future__ import annotations

import pytest

from engine.datasets import GraphSize
from engine.events import LedgerRow
from engine.ledger import ledger_rows
from engine.ledger.figures import run_figures
from engine.models import MODELS
from engine.models.gcn import GCNSpec
from engine.scheme import parse_scheme

SIZE = GraphSize(nodes=5, edges=8, features=6, classes=3, degrees=((1, 3), (4, 2)))
SPEC = GCNSpec(layers=2, hidden=4)


def rows_of(scheme: str) -> list[LedgerRow]:
    gcn = MODELS["gcn"]
    kept = list(gcn.kept(SPEC, SIZE))
    return ledger_rows(gcn.products(SPEC, SIZE), parse_scheme(scheme), 1, SIZE.degrees, kept=kept)


GOLDEN = [
    # layer, product, site, format, partner, MACs, read, written
    (0, "forward", "input", "int8", None, 120, 30, 0),  # X: 5·6
    (0, "forward", "weight", "int8", None, 0, 24, 0),  # W: 4·6
    (0, "forward", "feature", "int8", None, 0, 0, 20),  # X·Wᵀ: 5·4, quantized at the feature
    (0, "grad_weight", "gradient", "int8", None, 120, 20, 0),  # dY: 5·4
    (0, "grad_weight", "input", "int8", None, 0, 30, 0),
    (0, "grad_weight", "weight", "fp32", None, 0, 0, 24),  # dW: 4·6, never quantized
    (0, "aggregate", "feature", "int8", None, 52, 20, 0),
    (0, "aggregate", "aggregate", "int8", None, 0, 20, 20),  # 5·4, a site of its own, read back
    (0, "grad_aggregate", "gradient", "fp32", None, 52, 20, 0),
    (0, "grad_aggregate", "gradient", "int8", None, 0, 0, 20),  # is the dY of the linear product
    (1, "forward", "input", "int8", None, 60, 20, 0),  # 5·4
    (1, "forward", "weight", "int8", None, 0, 12, 0),  # 3·4
    (1, "forward", "feature", "int8", None, 0, 0, 15),  # 5·3
    (1, "grad_weight", "gradient", "int8", None, 60, 15, 0),
    (1, "grad_weight", "input", "int8", None, 0, 20, 0),
    (1, "grad_weight", "weight", "fp32", None, 0, 0, 12),
    (1, "grad_input", "gradient", "int8", None, 60, 15, 0),
    (1, "grad_input", "weight", "int8", None, 0, 12, 0),
    (1, "grad_input", "gradient", "fp32", None, 0, 0, 20),  # dX: 5·4, goes on to layer 1's sum over neighbours
    (1, "aggregate", "feature", "int8", None, 39, 15, 0),
    (1, "aggregate", "aggregate", "int8", None, 0, 15, 15),
    (1, "grad_aggregate", "gradient", "fp32", None, 39, 15, 0),
    (1, "grad_aggregate", "gradient", "int8", None, 0, 0, 15),
]

STASH = [
    # layer, site, format, elements, bytes held
    (0, "activation", "int1", 20, 80),  # a bit for each of ReLU's 5·4; held: its result in float32
    (1, "input", "int8", 20, 80),  # what dW reads, dropped: 5·4; X of layer 1 is the dataset's, and not kept
    (1, "weight", "fp32", 0, 48),  # a machine has the weights; held: the quantized copy that dX reads, 3·4 float32
    (1, "dropout", "int1", 20, 0),  # a bit for each of 5·4; held: nothing, the mask is hashed again
]


def test_each_row_by_hand():
    rows = [row for row in rows_of("int8") if row.product != "stash"]
    found = [(r.layer, r.product, r.site, r.format, r.partner, r.macs, r.elements, r.written) for r in rows]
    assert sorted(found, key=str) == sorted(GOLDEN, key=str)
    assert all(row.covered == (row.format == "int8") for row in rows)
    assert not any(row.metadata_bits or row.protected or row.held_bytes for row in rows)


def test_what_is_kept_for_the_backward_pass_by_hand():
    rows = [row for row in rows_of("int8") if row.product == "stash"]
    assert [(r.layer, r.site, r.format, r.elements, r.held_bytes) for r in rows] == STASH


def test_each_figure_by_hand():
    """Bytes: inference reads 30+24+20+20 and 20+12+15+15, writes 20+20 and 15+15 int8 elements: 226. The backward pass
    moves 20+30+20 and 15+20+15+12+15 in int8 and 24+20 and 12+20+15 in fp32: 147 + 4·91, in all 737."""
    found = run_figures(rows_of("int8"))
    expected = {
        "memory_density.training": 4.0,
        "arithmetic_density.training": 7.7,
        "arithmetic_density.training.whole_step": 602 / (511 / 7.7 + 91),
        "macs.inference": 120 + 52 + 60 + 39,
        "macs.training": 271 + 120 + 52 + 60 + 60 + 39,
        "traffic.inference": 226,
        "traffic.training": 737,
        "intensity.inference": 271 / 226,
        "intensity.training": 602 / 737,
        "bit_operations.inference": 271 * 8 * 8,
        "bit_operations.training": 511 * 8 * 8 + 91 * 32 * 32,
        "average_bits_sgquant": 8,
        "average_bits_a2q": 7,
        "average_bits_mixq": 8,
        "feature_memory": 30 + 20,
        "feature_saving": 4,
        "node_memory": 30 + 20 + 20 + 15,
        "node_saving": 4,
        "weight_memory": 24 + 12,
        "weight_saving": 4,
        "feature_share": 100 * 50 / 86,
        "attention_memory": None,
        "stash": 20 + 20 / 8 + 20 / 8,
        "held_for_backward": 80 + 80 + 48,
        "peak_footprint": 30 + 36 + 25,
        "energy.training": None,
    }
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value)), name


def test_the_whole_steps_bits_by_hand():
    """Read in int8: 30+24+20+20 forward and 20+30 backward of layer 1, 20+12+15+15 and 15+20+15+12 of layer 2: 268;
    in fp32: the gradients of both sums, 20+15."""
    found = run_figures(rows_of("int8"))["average_bits.training.whole_step"]
    assert found == pytest.approx((268 * 8 + 35 * 32) / 303)


def test_mixed_operands_by_hand():
    """w4a8: the input (8 bits) is wider than the weight (4): the work stands on its row, with the weight as partner."""
    rows = [row for row in rows_of("w4a8") if row.layer == 0 and row.product == "forward"]
    assert [(r.site, r.format, r.partner, r.macs, r.elements, r.written) for r in rows] == [
        ("input", "int8", "int4", 120, 30, 0),
        ("weight", "int4", None, 0, 24, 0),
        ("feature", "int8", None, 0, 0, 20),
        ("update", "int8", None, 0, 20, 0),
    ]
    # Forward 120 and 60 at 8·4 bits, the sums 52 and 39 at 8·8.
    assert run_figures(rows_of("w4a8"))["bit_operations.inference"] == 180 * 32 + 91 * 64


def test_protected_nodes_by_hand():
    """Degrees 1 (three nodes) and 4 (two): F = 3/5 and 1, p = 0.1·F, in the mean 0.1·(3·0.6 + 2·1)/5 = 0.076."""
    rows = rows_of("dq-int8")
    first = [row for row in rows if (row.layer, row.product) == (0, "forward")]
    assert [(r.site, r.elements, r.macs, round(r.protected, 9)) for r in first] == [
        ("input", 30, 120, 0.076),
        ("weight", 24, 0, 0.0),
        ("feature", 0, 0, 0.0),
        ("update", 20, 0, 0.076),
    ]
    # A bit a node and layer, in training.
    assert [(r.layer, r.site, r.metadata_bits) for r in rows if r.product == "mask"] == [(0, "node", 5), (1, "node", 5)]
    found = run_figures(rows)
    assert found["memory_density.inference"] == 4.0
    assert found["arithmetic_density.inference"] == 7.7
    # Covered work: forward and sums, 271 MACs, of which 7.6 % run in fp32; backward products have an fp32 gradient.
    assert found["arithmetic_density.training"] == pytest.approx(1 / (0.924 / 7.7 + 0.076))


def test_protected_weights_by_hand():
    """nQAT, half of the weights' elements: the work of a linear product runs half in fp32, the inputs stay int8."""
    rows = [row for row in rows_of("nqat-int8") if (row.layer, row.product) == (0, "forward")]
    assert [(r.site, r.elements, r.macs, r.protected) for r in rows if r.macs or r.site == "weight"] == [
        ("input", 0, 120, 0.5),
        ("weight", 24, 0, 0.5),
    ]
    masks = [row for row in rows_of("nqat-int8") if row.product == "mask"]
    assert [(r.layer, r.site, r.metadata_bits) for r in masks] == [(0, "weight", 24), (1, "weight", 12)]
