"""qat-, dq-, nqat- and their options: what a text means, and what is refused."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.scheme import DegreeProtection, Quantization, get_format, parse_scheme

FORWARD = ("input", "weight", "feature", "message", "aggregate", "update", "score")


def quantization(text: str) -> Quantization:
    [found] = {rule.quantization for rule in parse_scheme(text).rules}
    return found


@pytest.mark.parametrize("prefix", ["qat", "dq", "nqat"])
def test_the_forward_sites_are_quantized_and_no_gradient(prefix: str):
    scheme = parse_scheme(f"{prefix}-int8")
    assert scheme.sites == FORWARD
    assert not scheme.quantizes_gradients


def test_qat_has_running_ranges_and_straight_through_gradients():
    assert quantization("qat-int8") == Quantization(get_format("int8"), range="running")
    assert parse_scheme("qat-int8").protection is None


def test_dq_has_percentiles_clipped_gradients_and_a_mask_by_its_bits():
    for text, p, protection in (
        ("dq-int8", 0.001, DegreeProtection(0.0, 0.1)),
        ("dq-int4", 0.01, DegreeProtection(0.1, 0.2)),
        ("dq-int4(p_min=0.05,p_max=0.3,mask=forward)", 0.01, DegreeProtection(0.05, 0.3, "forward")),
        ("dq-int4(mask=none,p=0.002)", 0.002, None),
    ):
        format = get_format(text[3:7])
        expected = Quantization(format, range="percentile", range_options=(("p", p),), estimator="clipped")
        assert quantization(text) == expected
        assert parse_scheme(text).protection == protection


def test_every_choice_is_an_option():
    found = quantization("qat-int4(range=ema,momentum=0.1,estimator=clipped-inclusive,granularity=row)")
    assert found == Quantization(get_format("int4"), "row", "ema", (("momentum", 0.1),), None, "clipped-inclusive")
    assert parse_scheme("nqat-int8(probability=0.7)").weight_probability == 0.7


def test_dq_alone_protects_what_stands_before_it():
    scheme = parse_scheme("int4+dq(p_min=0.0,p_max=0.5)")
    assert scheme.protection == DegreeProtection(0.0, 0.5)
    assert scheme.rules == parse_scheme("int4").rules
    assert str(scheme) == "int4+dq(p_min=0.0,p_max=0.5)"


def test_stochastic_gradients_change_the_gradients_rule_alone():
    rules = parse_scheme("int8+sr").rules
    assert {rule.site: rule.quantization.rounding for rule in rules} == {
        "weight": None, "input": None, "feature": None, "aggregate": None, "gradient": "stochastic",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dq-int4(p_min=0.5,p_max=0.2)",
            "the scheme 'dq-int4(p_min=0.5,p_max=0.2)': p_min = 0.5 is above p_max = 0.2; "
            "nodes of high in-degree are protected more, so give p_min ≤ p_max",
        ),
        ("dq-int4(p_max=2)", "the scheme 'dq-int4(p_max=2)': p_max is a probability from 0 to 1, not 2"),
        (
            "qat-int8(p_min=0.1)",
            "the scheme 'qat-int8(p_min=0.1)' has no option 'p_min': its options are "
            "range, estimator, p, momentum, keep, dq_percentile, granularity",
        ),
        (
            "qat-int8(range=max)",
            "the scheme 'qat-int8(range=max)': range is one of "
            "min-max, running, ema, percentile, entropy, mse, not max",
        ),
        ("qat-int8(p=0.1)", "the range 'running' has no option 'p': its options are none"),
        (
            "dq-int8(p=0.7)",
            "the range 'percentile': p is the share of a tail, from 0 to below 0.5, not 0.7",
        ),
        ("qat-int8[4]", "the scheme 'qat-int8[4]' takes no list; write 'qat-int8'"),
        ("dq", "'dq' protects nodes in what stands before it, and that quantizes nothing: write int8+dq"),
        ("sr", "'sr' rounds gradients, and nothing before it quantizes them: write, for example, int8+sr"),
        (
            "int8+qat-int8",
            "the scheme 'int8+qat-int8' sets the site 'input' twice, by 'int8' and by 'qat-int8': "
            "leave one of them out",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_scheme(text)
    assert str(caught.value) == message
