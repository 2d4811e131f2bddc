"""Names, options, bits and densities; all without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.errors import InputError
from engine.formats import get_format, is_format, list_formats


@pytest.mark.parametrize("format", list_formats(), ids=str)
def test_a_format_is_found_by_its_name(format):
    assert get_format(format.name) == format
    assert is_format(format.name)


@pytest.mark.parametrize(
    "name",
    [
        "int4(exact_zero=false)",
        "int8-pow2(thesis_exponent=true)",
        "msfp13(box=32)",
        "msfp12(thesis_exponent=true)",
        "msfp12(box=8,thesis_exponent=true)",
    ],
)
def test_options_are_part_of_the_name(name):
    assert get_format(name).name == name
    assert get_format(name) != get_format(name.partition("(")[0])


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("msfp13(box=16)", "msfp13"),
        ("int8(exact_zero=true)", "int8"),
        ("int1(exact_zero=false)", "binary"),
        ("msfp13( box = 32 )", "msfp13(box=32)"),
    ],
)
def test_a_format_has_one_name(name, same):
    assert get_format(name) == get_format(same)
    assert get_format(name).name == same


def test_every_format_of_the_issue_is_listed():
    names = {format.name for format in list_formats()}
    expected = {f"int{b}" for b in range(1, 17)} | {f"int{b}-floor" for b in range(1, 17)}
    expected |= {f"int{b}-symmetric" for b in range(2, 17)} | {f"int{b}-pow2" for b in range(2, 17)}
    expected |= {f"msfp{n}" for n in range(10, 20)} | {"log4", "apot4", "binary", "fp16", "bf16", "fp32"}
    expected |= {"mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8"}
    assert expected <= names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("int0", "int0: the bits of an integer format go from 1 to 16"),
        ("int17", "int17: the bits of an integer format go from 1 to 16"),
        ("int1-symmetric", "int1-symmetric: the bits of a symmetric integer format go from 2 to 16"),
        ("int17-floor", "int17-floor: the bits of a floor-affine integer format go from 1 to 16"),
        ("int1-pow2", "int1-pow2: the bits of a power-of-two integer format go from 2 to 16"),
        ("msfp9", "msfp9: Microsoft floating point goes from msfp10 to msfp19"),
        ("msfp13(box=4)", "the format 'msfp13': box goes from 8 to 128, not 4"),
        ("msfp13(box=true)", "the format 'msfp13': box is a whole number, not 'true'"),
        ("int8(exact_zero=1)", "the format 'int8': exact_zero is true or false, not '1'"),
        ("int8(box=16)", "the format 'int8' has no option 'box': its options are exact_zero"),
        ("bf16(box=16)", "the format 'bf16' has no option 'box': its options are none"),
        ("log9", "log9: the bits of log levels go from 2 to 6"),
        (
            "mxfp8_e4m4",
            "unknown format 'mxfp8_e4m4': did you mean mxfp8_e4m3 or mxfp8_e5m2 or mxfp6_e3m2? Allowed: int1…int16, "
            "binary, bf16, fp16, fp32, int1-floor…int16-floor, log2…log6, apot4, apot5, mxfp4_e2m1, mxfp6_e2m3, "
            "mxfp6_e3m2, mxfp8_e4m3, mxfp8_e5m2, mxint8, msfp10…msfp19, int2-pow2…int16-pow2, "
            "int2-symmetric…int16-symmetric",
        ),
    ],
)
def test_a_bad_name_is_refused_in_one_sentence(name, message):
    with pytest.raises(InputError) as error:
        get_format(name)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "memory", "arithmetic"),
    [
        ("fp32", 1.0, 1.0),
        ("fp16", 2.0, 1.8),
        ("int8", 4.0, 7.7),
        ("int4", 8.0, 20.9),
        ("msfp16", 3.8, 8.8),
        ("msfp15", 4.3, 10.8),
        ("msfp14", 4.9, 13.9),
        ("msfp13", 5.8, 18.3),
        ("msfp12", 7.1, 31.9),
        ("msfp11", 9.1, 50.9),
    ],
)
def test_densities_of_the_published_table(name, memory, arithmetic):
    format = get_format(name)
    assert round(format.memory_density, 1) == memory
    assert (format.arithmetic_density.value, format.arithmetic_density.label) == (arithmetic, "published")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("int6", "interpolated"),
        ("int3", "extrapolated"),
        ("int9", "extrapolated"),
        ("msfp13(box=32)", "interpolated"),
        ("msfp17", "extrapolated"),
        ("mxfp8_e4m3", "interpolated"),
        ("mxfp4_e2m1", "interpolated"),
        ("bf16", "interpolated"),
        ("log4", "extrapolated"),
    ],
)
def test_other_densities_say_how_they_were_found(name, label):
    assert get_format(name).arithmetic_density.label == label


def test_a_width_between_two_published_ones_lies_on_the_line_of_logarithms():
    # Half-way between 4 and 8 bits: the geometric mean of 20.9 and 7.7.
    assert get_format("int6").arithmetic_density.value == pytest.approx((20.9 * 7.7) ** 0.5)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("int5", 5), ("msfp13", 5.5), ("msfp13(box=32)", 5.25), ("mxfp6_e3m2", 6.25), ("mxint8", 8.25), ("bf16", 16)],
)
def test_bits_an_element_include_shared_exponents(name, bits):
    assert get_format(name).bits == bits


@pytest.mark.parametrize(
    ("name", "granularity", "axis", "bits"),
    [
        ("int4", "tensor", -1, 4 * 30 + 64),
        ("int4", "row", -1, 4 * 30 + 3 * 64),
        ("int4", "channel", 0, 4 * 30 + 10 * 64),
        ("int4-symmetric", "row", -1, 4 * 30 + 3 * 32),
        ("int4-pow2", "row", -1, 4 * 30 + 3 * 16),
        ("log4", "row", -1, 4 * 30 + 3 * 32),
        ("msfp13(box=8)", "tensor", -1, 5 * 30 + 3 * 2 * 8),
        ("msfp13(box=8)", "tensor", 0, 5 * 30 + 10 * 1 * 8),
        ("fp16", "tensor", -1, 16 * 30),
    ],
)
def test_a_tensors_bits_charge_its_metadata(name, granularity, axis, bits):
    assert get_format(name).charged_bits((3, 10), axis, granularity) == bits


@pytest.mark.parametrize("module", ["engine.formats", "engine.ranges", "engine.bench"])
def test_names_need_neither_torch_nor_numba(module):
    code = (
        f"import sys, {module}; from engine.formats import list_formats; "
        "[f.bits + f.arithmetic_density.value + f.charged_bits((3, 4)) for f in list_formats()]; "
        "print([m for m in ('torch', 'numba', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
