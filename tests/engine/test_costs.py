"""Cost tables: the published one, a user's own, and what is said of a file that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.costs import DEFAULT, default_table, list_tables, load_table, make_table
from engine.errors import InputError
from engine.formats import get_format, list_formats
from engine.ledger import preview
from engine.ledger.figures import run_figures
from engine.ledger.runs import expected_size, run_ledger
from engine.settings import Settings
from engine.spec import RunSpec

MINE = """
title = "Mine"
source = "measured on a chip of our own"
kind = "area"
unit = "fp32"

[mac.int]
4 = 40
8 = 10

[[pair]]
a = "int8"
b = "int4"
value = 16
"""


def write(settings: Settings, name: str, text: str) -> Path:
    settings.costs.mkdir(parents=True, exist_ok=True)
    path = settings.costs / f"{name}.toml"
    path.write_text(text)
    return path


def test_the_default_has_every_format():
    for format in list_formats():
        assert default_table().density(format) == format.arithmetic_density


def test_mixed_operands_cost_what_the_wider_one_costs():
    int4, int8, fp32 = map(get_format, ("int4", "int8", "fp32"))
    assert default_table().density(int4, int8) == default_table().density(int8)
    assert default_table().density(int8, fp32) == default_table().density(fp32)


def test_the_tables_that_come_along_are_read_and_say_what_is_recalled(settings: Settings):
    tables, faults = list_tables(settings)
    assert not faults
    assert tables[0].name == DEFAULT
    assert {"published", "energy-45nm", "h100-sxm"} <= {table.name for table in tables}
    assert all(table.recalled for table in tables if table.name != DEFAULT)
    assert not tables[0].recalled
    assert all(table.peak and table.bandwidth for table in tables if table.kind == "device")


def test_a_users_table_changes_the_densities(settings: Settings):
    write(settings, "mine", MINE)
    mine = load_table("mine", settings)
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": "w4a8"})
    published, own = preview(spec, settings)[0], preview(spec, settings, mine)[0]
    assert published.arithmetic == 7.7
    assert 10 < own.arithmetic < 16  # linear products at the pair's 16, sums of messages at int8's 10
    assert own.memory == published.memory


def test_energy_is_compared_with_fp32s():
    table = load_table("energy-45nm")
    int8, msfp = get_format("int8"), get_format("msfp13")
    assert table.energy(int8) == 0.3
    density = table.density(int8)
    assert density is not None
    assert density.value == pytest.approx(4.6 / 0.3)
    assert table.density(msfp) is None


def test_energy_of_a_run_and_of_formats_that_the_table_lacks():
    def of(scheme: str) -> dict[str, float | None]:
        spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme})
        return run_figures(run_ledger(spec, expected_size(spec)), load_table("energy-45nm"))

    found, plain = of("int8"), of("fp32")
    moved, work = found["traffic.inference"], found["macs.inference"]
    assert moved is not None
    assert work is not None
    assert found["energy.inference"] == pytest.approx((moved * 160 + work * 0.3) * 1e-12)
    assert found["energy.training"] is not None
    assert plain["energy.training"] is not None
    assert found["energy.training"] < plain["energy.training"]
    assert of("msfp13")["energy.inference"] is None
    assert of("msfp13")["arithmetic_density.training"] is None
    assert of("msfp13")["memory_density.training"] == pytest.approx(32 / 5.5)


def test_an_unknown_table_is_named(settings: Settings):
    with pytest.raises(InputError) as caught:
        load_table("publishd", settings)
    assert str(caught.value).startswith("unknown cost table 'publishd': did you mean published? Allowed: a100-80gb, ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "the table has the unknown key 'colour': allowed are title, source, kind, unit, "
         "accumulator_bits, byte, peak, bandwidth, mac, pair"),
        ({"source": ""}, "the table needs a source as text"),
        ({"unit": 5}, "the table needs a unit as text, not 5"),
        ({"kind": ["area"]}, "the table needs a kind as text, not ['area']"),
        ({"kind": "volume"}, "the table: kind is one of area, energy, device, not 'volume'"),
        ({"peak": -1}, "the table: peak is a number above 0, not -1"),
        ({"kind": "device"}, "the table: a device needs peak (fp32 multiply-accumulates a second) and bandwidth "
         "(bytes/s)"),
        ({"kind": "energy"}, "the table: the unit of energies is one of fJ, pJ, nJ, J, not ''"),
        ({"mac": {"float": {"32": 2}}}, "the table: densities are relative to fp32, so 32 of [mac.float] is 1 where it "
         "is given"),
        ({"kind": "energy", "unit": "pJ"}, "the table: energy is compared with fp32's, so [mac.float] needs 32 = …"),
        ({"mac": {"posit": {"8": 1}}}, "the table has the unknown family 'posit' in mac: allowed are int, msfp, float"),
        ({"mac": {"int": {"wide": 1}}}, "the table: [mac.int]: bits an element are a number from 0 to 64, such as 8 or "
         "\"5.5\", not 'wide'"),
        ({"mac": {"int": {"8": "7"}}}, "the table: [mac.int] 8 is a number above 0, not '7'"),
        ({"pair": [{"a": "int8"}]}, "the table: each [[pair]] has a, b (names of formats) and value"),
        ({"pair": [{"a": "int8", "b": "int99", "value": 1}]}, "the table, in a [[pair]]: int99: the bits of an integer "
         "format go from 1 to 16"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_says_why(change: dict, message: str):
    with pytest.raises(InputError) as caught:
        make_table("t", {"title": "T", "source": "s", "kind": "area", **change}, "the table")
    assert str(caught.value) == message


def test_a_file_that_does_not_fit_is_left_out_and_named(settings: Settings):
    path = write(settings, "broken", "title = ")
    tables, faults = list_tables(settings)
    assert "broken" not in {table.name for table in tables}
    assert len(faults) == 1
    assert faults[0].startswith(f"the cost table {path} is not TOML: ")


def test_a_name_of_ours_stays_ours(settings: Settings):
    write(settings, DEFAULT, MINE)
    assert load_table(DEFAULT, settings) == default_table()
