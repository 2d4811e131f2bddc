"""The accumulators that a run needs against those that a cost table prices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.costs import default_table
from engine.ledger.accumulators import Accumulator, accumulator_verdict, needed_accumulators, overflowing

TABLE = replace(default_table(), accumulator_bits=16)


def row(bits: float | None, epoch: int, layer: int = 0, part: str = "", site: str = "input") -> dict[str, Any]:
    product = "aggregate" if site == "message" else "forward"
    return {"layer": layer, "part": part, "site": site, "product": product, "accumulator_bits": bits, "epoch": epoch}


ROWS = [row(15.0, 1), row(17.0, 5), row(16.0, 9), row(None, 1, site="weight"), row(20.0, 1, layer=1, part="root"),
        row(12.0, 1, layer=1, site="message")]  # fmt: skip


def test_the_widest_epoch_of_each_place_counts():
    assert needed_accumulators(ROWS) == [
        Accumulator(0, "", "input", "forward", bits=17, epoch=5),
        Accumulator(1, "", "message", "aggregate", bits=12, epoch=1),
        Accumulator(1, "root", "input", "forward", bits=20, epoch=1),
    ]


def test_what_needs_more_than_the_tables_width_overflows_it():
    assert [each.bits for each in overflowing(ROWS, TABLE)] == [17, 20]
    assert overflowing(ROWS, replace(TABLE, accumulator_bits=20)) == []
    assert overflowing(ROWS, replace(TABLE, accumulator_bits=None)) == []


def test_the_verdict_in_words():
    assert accumulator_verdict(ROWS, TABLE) == (
        "Partial sums overflow accumulators of 16 bits at layer 1 input (17 bits), layer 2 (root) input (20 bits): the "
        "table's costs do not hold there."
    )
    assert accumulator_verdict(ROWS, default_table()) == (
        "The widest partial sum needs 20 of the 32 bits of the accumulators."
    )
    assert accumulator_verdict(ROWS, replace(TABLE, accumulator_bits=None)) is None
    assert accumulator_verdict([row(None, 1)], TABLE) is None
