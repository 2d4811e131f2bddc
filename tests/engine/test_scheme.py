"""Schemes as values: what a text means, and what it is refused for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.formats import get_format, list_formats
from engine.scheme import FP32, SITES, parse_scheme, site_name

INT8 = get_format("int8")
QUANTIZED_TRAINING = {
    ("input", "forward"),
    ("input", "grad_weight"),
    ("weight", "forward"),
    ("weight", "grad_input"),
    ("feature", "aggregate"),
    ("aggregate", "aggregate"),
    ("gradient", "grad_input"),
    ("gradient", "grad_weight"),
}


@pytest.mark.parametrize(("site", "product"), sorted(QUANTIZED_TRAINING))
def test_a_bare_format_is_quantized_training(site: str, product: str):
    assert parse_scheme("int8").format(site, product, layer=0) == INT8


@pytest.mark.parametrize(
    ("site", "product"),
    [("message", "aggregate"), ("update", "forward"), ("score", "forward"), ("gradient", "grad_aggregate")],
)
def test_a_bare_format_leaves_the_other_sites_alone(site: str, product: str):
    assert parse_scheme("int8").format(site, product, layer=0) == FP32


def test_fp32_has_no_rules():
    assert parse_scheme("fp32").rules == ()


def test_sites_restrict_a_scheme_and_print_singular():
    scheme = parse_scheme("int8:weights,inputs")
    assert str(scheme) == "int8:weight,input"
    assert set(scheme.sites) == {"weight", "input"}
    assert not scheme.quantizes_gradients


@given(
    st.sampled_from([f.name for f in list_formats() if f.name != "binary"]),  # a recipe of its own, without gradients
    st.lists(st.sampled_from(["weight", "input", "gradient"]), unique=True),
)
def test_the_text_of_a_scheme_parses_to_an_equal_scheme(name: str, sites: list[str]):
    if name == "fp32":
        sites = []
    scheme = parse_scheme(name + (":" + ",".join(sites) if sites else ""))
    assert parse_scheme(str(scheme)) == scheme


@pytest.mark.parametrize("site", SITES)
def test_a_site_is_known_by_its_plural_too(site: str):
    plural = site + ("es" if site.endswith("sh") else "s")
    assert site_name(plural) == site_name(site) == site


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int17", "int17: the bits of an integer format go from 1 to 16"),
        ("msfp9", "msfp9: Microsoft floating point goes from msfp10 to msfp19"),
        (
            "int8:score",
            "the scheme 'int8:score' does not quantize the site 'score'; "
            "its sites are: input, weight, feature, aggregate, gradient",
        ),
        (
            "int8+msfp13",
            "the scheme 'int8+msfp13' sets the site 'weight' twice, by 'int8' and by 'msfp13': leave one of them out",
        ),
        ("int8(x=1)", "the format 'int8' has no option 'x': its options are exact_zero"),
    ],
)
def test_bad_schemes_are_refused_in_one_sentence(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_scheme(text)
    assert str(caught.value) == message


def test_an_unknown_scheme_gets_the_nearest_names():
    with pytest.raises(InputError, match=r"^unknown scheme 'mfsp13': did you mean msfp13"):
        parse_scheme("mfsp13")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "lwq[8,4]+adq[int4,int8]",
            "the scheme 'lwq[8,4]+adq[int4,int8]': a schedule of formats is for one phase of training, and "
            "'adq[int4,int8]' or what stands before it trains in phases of its own (fp32 first): leave one of them out",
        ),
        (
            "adq[int4,int8]+lwq[8,4]",
            "what stands before 'lwq[8,4]' sets the site 'feature' already: leave one of them out, or write 'lwq[8,4]' "
            "first, so that it has that site",
        ),
        (
            "ptq-fp32+sdq[int4,int8]",
            "the scheme 'ptq-fp32+sdq[int4,int8]': a schedule of formats is for one phase of training, and "
            "'sdq[int4,int8]' or what stands before it trains in phases of its own (fp32 first): leave one of them out",
        ),
        (
            "qat-int8+dsq[int2,int2,int2,int8]",
            "the scheme 'qat-int8+dsq[int2,int2,int2,int8]' sets the site 'aggregate' twice, by "
            "'dsq[int2,int2,int2,int8]' and by what stands before it: leave one of them out",
        ),
        (
            "cpt[int3,int8]:gradient",
            "the scheme 'cpt[int3,int8]:gradient': its schedule changes the format of none of its sites (gradient)",
        ),
    ],
)
def test_what_does_not_go_with_a_schedule_is_refused(text: str, message: str):
    with pytest.raises(InputError) as error:
        parse_scheme(text)
    assert str(error.value) == message


def test_protection_goes_by_the_narrowest_format_of_a_ladder():
    for text in ("sdq[int8,int4]+dq", "cpt[int4,int8](direction=decay)+dq", "int4+dq"):
        protection = parse_scheme(text).protection
        assert protection is not None
        assert (protection.p_min, protection.p_max) == (0.1, 0.2)
