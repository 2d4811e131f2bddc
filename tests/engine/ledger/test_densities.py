"""The ledger: a hand-worked two-layer GCN, and the densities that follow from it."""

from __future__ import annotations

import pytest

from engine.datasets import GraphSize
from engine.errors import InputError
from engine.events import LedgerRow
from engine.ledger import (
    all_densities,
    arithmetic_mean,
    densities,
    harmonic_mean,
    ledger_rows,
    preview,
    run_ledger,
)
from engine.models import MODELS
from engine.models.gcn import GCNSpec
from engine.scheme import Quantization, Rule, Scheme, get_format, parse_scheme
from engine.spec import RunSpec

FIVE_NODES = GraphSize(nodes=5, edges=8, features=6, classes=3)
SMALL = GCNSpec(layers=2, hidden=4)


def rows_of(scheme: str, epochs: int = 10) -> list[LedgerRow]:
    return ledger_rows(MODELS["gcn"].products(SMALL, FIVE_NODES), parse_scheme(scheme), epochs)


def test_the_products_of_a_two_layer_gcn_by_hand():
    """5 nodes, 8 edges + 5 self-loops, 6 → 4 → 3."""
    macs = {(row.layer, row.product): 0 for row in rows_of("int8")}
    for row in rows_of("int8"):
        macs[row.layer, row.product] += row.macs
    assert macs == {
        (0, "forward"): 5 * 6 * 4,
        (0, "grad_weight"): 5 * 6 * 4,
        (0, "aggregate"): 13 * 4,
        (0, "grad_aggregate"): 13 * 4,
        (1, "forward"): 5 * 4 * 3,
        (1, "grad_weight"): 5 * 4 * 3,
        (1, "grad_input"): 5 * 4 * 3,
        (1, "aggregate"): 13 * 3,
        (1, "grad_aggregate"): 13 * 3,
    }


def test_the_operands_of_the_first_layer_by_hand():
    read = [row for row in rows_of("int8") if row.layer == 0 and row.elements]
    found = [(row.product, row.site, row.format, row.elements) for row in read]
    assert sorted(found) == sorted(
        [
            ("forward", "input", "int8", 30),
            ("forward", "weight", "int8", 24),
            ("grad_weight", "gradient", "int8", 20),
            ("grad_weight", "input", "int8", 30),
            ("aggregate", "feature", "int8", 20),
            ("aggregate", "aggregate", "int8", 20),
            ("grad_aggregate", "gradient", "fp32", 20),
        ]
    )


@pytest.mark.parametrize(
    ("scheme", "memory", "arithmetic"),
    [
        ("fp32", 1.0, 1.0),
        ("int8", 4.0, 7.7),
        ("int4", 8.0, 20.9),
        ("msfp16", 32 / 8.5, 8.8),
        ("msfp13", 32 / 5.5, 18.3),
        ("msfp12", 32 / 4.5, 31.9),
    ],
)
def test_a_static_scheme_has_its_formats_own_densities(scheme: str, memory: float, arithmetic: float):
    headline = all_densities(rows_of(scheme), parse_scheme(scheme))[0]
    assert headline.memory == pytest.approx(memory)
    assert headline.arithmetic == pytest.approx(arithmetic)
    assert headline.coverage == "quantized part"
    assert headline.arithmetic_label == "published"


def test_the_headline_scope_is_training_only_where_gradients_are_quantized():
    assert all_densities(rows_of("int8"), parse_scheme("int8"))[0].scope == "training"
    forward = "int8:weight,input,feature,aggregate"
    assert all_densities(rows_of(forward), parse_scheme(forward))[0].scope == "inference"


def test_each_scope_and_coverage_is_given_once():
    found = [(d.scope, d.coverage) for d in all_densities(rows_of("int8"), parse_scheme("int8"))]
    assert len(found) == len(set(found)) == 4


def test_the_whole_step_counts_what_stays_in_fp32():
    whole = densities(rows_of("int8"), "training", "whole step")
    quantized = sum(row.elements for row in rows_of("int8") if row.format == "int8")
    full = sum(row.elements for row in rows_of("int8") if row.format == "fp32")
    assert whole.average_bits == pytest.approx((8 * quantized + 32 * full) / (quantized + full))
    assert whole.memory == pytest.approx(32 / whole.average_bits)


def test_mixed_operands_run_at_the_wider_ones_density():
    assert densities(rows_of("int8:weight"), "inference", "whole step").arithmetic == 1.0
    assert densities(rows_of("int8:weight"), "inference", "quantized part").memory == 4.0


def test_widths_between_the_published_ones_are_labelled():
    assert all_densities(rows_of("int6"), parse_scheme("int6"))[0].arithmetic_label == "interpolated"
    assert all_densities(rows_of("int2"), parse_scheme("int2"))[0].arithmetic_label == "extrapolated"


def test_rows_are_weighted_by_their_epochs():
    """57 % MSFP12 and 43 % MSFP13 of the work: 24.17× by the harmonic mean (METHODS §9).

    The memory density is from the exact bits an element, not from the table's rounded densities.
    """
    shared = {"layer": 0, "product": "forward", "site": "input", "macs": 100, "elements": 100}
    rows = [
        LedgerRow(first_epoch=1, last_epoch=57, format="msfp12", **shared),
        LedgerRow(first_epoch=58, last_epoch=100, format="msfp13", **shared),
    ]
    found = densities(rows, "training", "quantized part")
    assert found.arithmetic == pytest.approx(24.17, abs=0.005)
    assert found.memory == pytest.approx(32 / (0.57 * 4.5 + 0.43 * 5.5))


def test_the_preview_equals_the_ledger_of_the_run():
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": "int4:input,weight"})
    size = GraphSize(nodes=2708, edges=10556, features=1433, classes=7)
    assert preview(spec) == all_densities(run_ledger(spec, size), spec.parsed_scheme)


def test_degree_buckets_are_charged_by_the_graphs_degrees():
    """Five nodes of in-degree 1 (three) and 4 (two), split at 2: 8 bits below, 2 above."""
    by_degree = tuple(
        Rule("feature", Quantization(get_format(name)), bucket=bucket) for bucket, name in enumerate(("int8", "int2"))
    )
    scheme = Scheme(by_degree, "mine", splits=(2,))
    products = MODELS["gcn"].products(SMALL, FIVE_NODES)
    rows = [row for row in ledger_rows(products, scheme, 1, ((1, 3), (4, 2))) if row.site == "feature"]
    rows = [row for row in rows if row.elements]
    assert [(row.layer, row.format, row.elements, row.macs) for row in rows] == [
        (0, "int8", 3 * 4, 31), (0, "int2", 2 * 4, 21), (1, "int8", 3 * 3, 23), (1, "int2", 2 * 3, 16),
    ]  # fmt: skip
    found = densities(rows, "inference", "quantized part")
    assert found.average_bits == pytest.approx((21 * 8 + 14 * 2) / 35)


def test_without_the_degrees_they_are_not_guessed():
    scheme = Scheme((Rule("feature", Quantization(get_format("int8")), bucket=0),), "mine", splits=(2,))
    with pytest.raises(InputError) as caught:
        ledger_rows(MODELS["gcn"].products(SMALL, FIVE_NODES), scheme, 1)
    assert str(caught.value) == (
        "the densities of 'mine' depend on the graph's degrees, which are known once the dataset "
        "was loaded: train on it once, or name formats that do not go by degree"
    )


def test_a_range_a_row_is_charged():
    """int4 with two float32 a row of 4: 4 + 64/4 bits an element."""
    scheme = Scheme((Rule("feature", Quantization(get_format("int4"), "row"), layer=0),), "mine")
    rows = ledger_rows(MODELS["gcn"].products(SMALL, FIVE_NODES), scheme, 1)
    assert densities(rows, "inference", "quantized part").average_bits == 4 + 64 / 4


def test_a_phase_in_full_precision_is_charged_in_training_and_not_in_inference():
    quantization = Quantization(get_format("int8"))
    scheme = Scheme(tuple(Rule(site, quantization) for site in ("input", "weight", "feature", "aggregate")))
    products = MODELS["gcn"].products(SMALL, FIVE_NODES)
    rows = ledger_rows(products, Scheme(), 30) + ledger_rows(products, scheme, 10, first_epoch=31)
    assert densities(rows, "inference", "whole step").average_bits == 8
    assert 24 < densities(rows, "training", "whole step").average_bits < 32


def test_the_example_of_both_means():
    """METHODS §9: 57 % MSFP12 + 43 % MSFP13, from the published table's densities."""
    arithmetic, memory = [(57, 31.9), (43, 18.3)], [(57, 7.1), (43, 5.8)]
    assert round(float(arithmetic_mean(arithmetic)), 2) == 26.05
    assert round(float(arithmetic_mean(memory)), 2) == 6.54
    assert round(float(harmonic_mean(arithmetic)), 2) == 24.17
    assert round(float(harmonic_mean(memory)), 2) == 6.48


def test_the_example_as_a_runs_ledger():
    """The same mix over 100 epochs of a real ledger; its memory is of exact bits (4.5 and 5.5), not of rounded ones."""
    spec = RunSpec.parse(
        {"dataset": "cora", "model": "gcn", "scheme": "sdq[msfp12,msfp13](starts=58)", "training": {"epochs": 100}}
    )
    headline = preview(spec)[0]
    assert headline.scope == "training"
    assert headline.arithmetic_thesis is not None
    assert headline.memory_thesis is not None
    assert round(headline.arithmetic, 2) == 24.17
    assert round(headline.arithmetic_thesis, 2) == 26.05
    assert headline.memory == pytest.approx(32 / (0.57 * 4.5 + 0.43 * 5.5))
    assert headline.memory_thesis == pytest.approx(0.57 * 32 / 4.5 + 0.43 * 32 / 5.5)
    assert headline.peak_memory_density == pytest.approx(32 / 5.5)


def test_a_preview_of_signals_is_the_least_density_that_a_run_can_have():
    def at(scheme: str) -> float:
        return preview(RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme}))[0].arithmetic

    assert at("int8") < at("adq[int4,int8]") < at("int4")
