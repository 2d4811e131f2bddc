"""The accumulator that an integer product needs: the largest partial sum, by the plain formula and in a run."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.accumulators import bits_of, integers, product_bits, step_of, sum_bits
from engine.kernels.aggregate import Adjacency
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import DenseOperand
from engine.quantizer import Quantizer
from tests.engine.ledger.runs import small_graph, trained


def quantized(format: str, shape: tuple[int, ...], seed: int, **options):
    """(x̂, its integers' step, the integers by the format's own codes)."""
    quantizer = Quantizer(format, **options)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    out = quantizer(x)
    return out, step_of(x, quantizer, -1, None)


@given(st.integers(0, 50), st.sampled_from(["int8", "int4", "int6-symmetric", "int8-pow2"]))
def test_a_linear_product_needs_its_largest_partial_sum(seed: int, format: str):
    x, step = quantized(format, (5, 9), seed)
    w, by = quantized(format, (4, 9), seed + 1)
    assert isinstance(step, float)
    assert isinstance(by, float)
    a, b = (x.double() / step).round(), (w.double() / by).round()
    # The order of the sum is that of the inputs.
    partial = (a.unsqueeze(1) * b.unsqueeze(0)).cumsum(-1)
    expected = bits_of(int(partial.abs().max()))
    assert product_bits(DenseOperand(x), step, integers(w, by), None) == expected
    sparse = SparseOperand.from_dense(torch.where(torch.rand(5, 9) < 0.1, x, 0.0))
    if sparse is not None:
        dense = product_bits(DenseOperand(sparse.dense()), step, integers(w, by), None)
        assert product_bits(sparse, step, integers(w, by), None) == dense


def test_a_row_has_its_own_step():
    x, step = quantized("int8-symmetric", (6, 9), 0, granularity="row")
    w, by = quantized("int8-symmetric", (4, 9), 1, granularity="channel")
    assert isinstance(step, torch.Tensor)
    numbers, weights = integers(x, step), integers(w, by)
    assert numbers is not None
    assert int(numbers.abs().max()) == 127
    assert weights is not None
    partial = (numbers.unsqueeze(1) * weights.unsqueeze(0)).cumsum(-1)
    assert product_bits(DenseOperand(x), step, weights, None) == bits_of(int(partial.abs().max()))


@pytest.mark.parametrize("format", ["msfp13", "int4-floor", "fp16", "mxfp8_e4m3"])
def test_other_products_have_no_integer_accumulator(format: str):
    assert quantized(format, (5, 9), 0)[1] is None


def test_a_sum_of_messages_needs_the_largest_on_its_way():
    """Three messages into node 0: 100, 100 and −100: 200 on the way, 9 bits with the sign."""
    edges = torch.tensor([[1, 2, 3], [0, 0, 0]])
    message = torch.tensor([[0.0], [1.0], [1.0], [-1.0]])
    assert sum_bits(message, 0.01, Adjacency.from_edges(edges, 4, loops=False), None) == bits_of(200) == 9
    kept = torch.tensor([True, True, False, True])
    assert sum_bits(message, 0.01, Adjacency.from_edges(edges, 4, loops=False), kept) == bits_of(100) == 8


def test_the_diagnostics_of_a_run_say_it():
    def found(scheme: str, model: str) -> dict[tuple[int, str, str], float | None]:
        _, _, trainer = trained(scheme, small_graph(), name=model)
        _, diagnostics = trainer.epoch(2, record=True)
        assert diagnostics is not None
        whole = [row for row in diagnostics.rows if row.bucket is None]
        return {(row.layer, row.site, row.product): row.accumulator_bits for row in whole}

    narrow, wide = found("dq-int4", "gcn"), found("dq-int8", "gcn")
    for place in ((0, "input", "forward"), (1, "input", "forward"), (0, "message", "aggregate")):
        assert 4 < (narrow[place] or 0) < (wide[place] or 0) < 24
    assert narrow[0, "update", "forward"] is None
    assert set(found("msfp13", "gcn").values()) == {None}
    assert found("int8", "gcn")[1, "input", "forward"] is not None
