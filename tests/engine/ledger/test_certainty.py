"""How a figure's prices are known: by the least certain of them."""

from __future__ import annotations

import pytest

from engine.costs import CostTable, default_table, load_table, make_table
from engine.ledger import expected_size, run_ledger
from engine.ledger.certainty import certainty, lacking
from engine.ledger.figures import FIGURES, Ledger
from engine.spec import RunSpec

ARITHMETIC, ENERGY = FIGURES["arithmetic_density.inference"], FIGURES["energy.inference"]


def ledger(scheme: str, table: CostTable | None = None) -> Ledger:
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme})
    return Ledger(run_ledger(spec, expected_size(spec)), table or default_table())


@pytest.mark.parametrize(
    ("scheme", "known"),
    [("int8", "published"), ("int6", "interpolated"), ("int3", "extrapolated"), ("w2a8:weight,input", "published")],
)
def test_the_least_certain_density_counts(scheme: str, known: str):
    assert certainty(ARITHMETIC, ledger(scheme)) == known


def test_a_pair_that_the_table_has_is_published():
    pair = {"a": "int6", "b": "int6", "value": 9.0}
    mine = make_table("mine", {"title": "Mine", "source": "a test", "kind": "area", "pair": [pair]}, "it")
    found = ledger("int6:weight,input", mine)
    assert certainty(ARITHMETIC, found) == "published"
    assert certainty(ARITHMETIC, ledger("int6:weight,input")) == "interpolated"


def test_energies_and_what_their_table_lacks():
    table = load_table("energy-45nm")
    assert certainty(ENERGY, ledger("int8", table)) == "published"
    assert certainty(ENERGY, ledger("int4", table)) == "extrapolated"
    assert certainty(ENERGY, ledger("msfp13", table)) is None
    assert certainty(ARITHMETIC, ledger("msfp13", table)) is None
    assert lacking(ledger("msfp13", table).inference, table) == ["msfp13"]
    assert lacking(ledger("int8", table).inference, table) == []


def test_what_no_cost_table_decides_has_none():
    assert certainty(FIGURES["memory_density.inference"], ledger("int6")) is None
