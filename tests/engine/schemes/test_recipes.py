"""What every recipe promises: examples that parse, print and preview; sources; errors that point at the character."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets import DATASETS
from engine.errors import InputError
from engine.formats import get_format
from engine.ledger import all_densities, run_ledger
from engine.models import MODELS
from engine.scheme import Phase, Quantization, Rule, Scheme, parse_scheme
from engine.schemes import RECIPES
from engine.schemes.quantization_aware import SITES as FORWARD_SITES
from engine.spec import RunSpec

EXAMPLES = [(recipe.name, example) for recipe in RECIPES.values() for example in recipe.examples]


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_says_what_it_is_and_where_it_comes_from(name: str):
    recipe = RECIPES[name]
    assert recipe.summary
    assert recipe.source
    assert recipe.names
    assert recipe.examples


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_parses_and_prints_itself(name: str, example: str):
    scheme = parse_scheme(example)
    assert str(scheme) == example
    assert parse_scheme(str(scheme)) == scheme


def fitting(scheme: Scheme) -> RunSpec | None:
    """A run of the scheme on an architecture that has the sites asked for by name; None where none has."""
    for name, entry in MODELS.items():
        if set(scheme.required) <= set(entry.sites):
            model = {"name": name, **({"layers": scheme.layers} if scheme.layers else {})}
            return RunSpec.parse({"dataset": "karate", "model": model, "scheme": str(scheme)})
    return None


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_previews_its_densities(name: str, example: str):
    spec = fitting(parse_scheme(example))
    if spec is None:
        assert parse_scheme(example).required == ("attention",)
        return
    size = replace(DATASETS["karate"].size(spec.dataset), degrees=((1, 1), (4, 30), (16, 3)))
    found = all_densities(run_ledger(spec, size), spec.parsed_scheme)
    assert len(found) == 4
    assert all(0 < density.average_bits <= 64 and density.memory > 0 for density in found)
    quantizes = bool(spec.parsed_scheme.rules)
    assert (found[0].average_bits == 32) != quantizes or example.startswith("fp")


bits = st.integers(1, 16)
lwq = st.lists(bits, min_size=1, max_size=5).map(lambda found: f"lwq[{','.join(map(str, found))}]")
cwq = st.dictionaries(st.sampled_from(["att", "emb"]), bits, min_size=1).map(
    lambda found: f"cwq({','.join(f'{key}={value}' for key, value in found.items())})"
)
taq = st.lists(bits, min_size=4, max_size=4).map(lambda found: f"taq[{','.join(map(str, found))}]")
widths = st.tuples(bits, bits).map(lambda found: f"w{found[0]}a{found[1]}")
ptq = st.tuples(bits, st.sampled_from(["running", "mse", "entropy", "percentile"])).map(
    lambda found: f"ptq-int{found[0]}(range={found[1]})"
)
a2q = st.dictionaries(
    st.sampled_from(["target", "penalty", "lr_bits", "lr_step"]), st.floats(1e-6, 1e6, allow_nan=False), max_size=3
).map(lambda found: "a2q" + (f"({','.join(f'{k}={v!r}' for k, v in found.items())})" if found else ""))
thesis = st.one_of(
    st.integers(2, 16).map(lambda b: f"thesis-int{b}"), st.integers(10, 19).map(lambda n: f"thesis-msfp{n}")
)
sums = st.lists(st.sampled_from(["lwq", "cwq", "taq"]), unique=True, min_size=1).flatmap(
    lambda names: st.tuples(*({"lwq": lwq, "cwq": cwq, "taq": taq}[name] for name in names)).map("+".join)
)


@given(st.one_of(sums, widths, ptq, a2q, thesis), st.sampled_from(["", " "]))
def test_texts_parse_print_and_parse_again(text: str, space: str):
    scheme = parse_scheme(text.replace("+", f"{space}+{space}").replace("[", f"{space}[{space}"))
    assert str(scheme) == text
    assert parse_scheme(str(scheme)) == scheme
    assert hash(scheme) == hash(parse_scheme(str(scheme)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lwq[8,]", "cannot read the scheme 'lwq[8,]' at character 7: expected a format or a number of bits"),
        ("lwq[8;4]", "cannot read the scheme 'lwq[8;4]' at character 6: expected ',', '->' or ']'"),
        ("cwq(att:2)", "cannot read the scheme 'cwq(att:2)' at character 8: expected '='"),
        ("lwq[8,4]taq[1]", "cannot read the scheme 'lwq[8,4]taq[1]' at character 9: expected '+', ':' or the end"),
        ("a2q(", "cannot read the scheme 'a2q(' at the end: expected the name of an option"),
    ],
)
def test_errors_point_at_the_character(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_scheme(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w4a17", "the scheme 'w4a17': bits go from 1 to 16, not 17"),
        ("w0a8", "the scheme 'w0a8': bits go from 1 to 16, not 0"),
        ("w4a8[3]", "the scheme 'w4a8[3]' takes no list in brackets; write 'w4a8'"),
        ("w4a8(weights=row)", "the scheme 'w4a8(weights=row)': weights is one of tensor, channel, not row"),
        ("thesis-int1", "the scheme 'thesis-int1': bits go from 2 to 16, not 1"),
        ("thesis-msfp9", "msfp9: Microsoft floating point goes from msfp10 to msfp19"),
        (
            "thesis-int8(thesis_blocks=1)",
            "the scheme 'thesis-int8(thesis_blocks=1)': thesis_blocks is true or false, not 1",
        ),
        ("binary(x=1)", "the scheme 'binary(x=1)' has no option 'x': its options are bare"),
        ("a2q(bits=1)", "the scheme 'a2q(bits=1)': bits is a whole number from 2 to 16, not 1"),
        ("a2q(lr_bits=0)", "the scheme 'a2q(lr_bits=0)': lr_bits is a number above 0, not 0"),
        ("a2q(target=-1)", "the scheme 'a2q(target=-1)': target is a number from 0 up, not -1"),
        ("a2q(gradient=none)", "the scheme 'a2q(gradient=none)': gradient is one of local, task, not none"),
        ("ptq-int8(range=learned)", "the scheme 'ptq-int8(range=learned)': range is one of min-max, running, ema, "
         "percentile, entropy, mse, not learned"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_with_what_is_allowed(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_scheme(text)
    assert str(caught.value) == message


def test_w4a8_is_four_bits_in_the_weights_and_eight_elsewhere():
    scheme = parse_scheme("w4a8")
    assert {rule.site: rule.quantization.format.name for rule in scheme.rules} == {
        site: "int4" if site == "weight" else "int8" for site in FORWARD_SITES
    }
    assert {rule.quantization.range for rule in scheme.rules} == {"running"}
    assert not scheme.quantizes_gradients


def test_the_thesis_code_quantizes_linear_layers_forward_and_backward():
    scheme = parse_scheme("thesis-msfp13")
    quantization = Quantization(get_format("msfp13(thesis_exponent=true)"), reuse_blocks=True)
    assert scheme.rules == (
        Rule("weight", quantization),
        Rule("input", quantization),
        Rule("gradient", quantization, ("grad_input", "grad_weight")),
    )
    assert parse_scheme("thesis-int8").format("input", "forward", 0) == get_format("int8-pow2(thesis_exponent=true)")
    plain = parse_scheme("thesis-msfp13(thesis_exponent=false,thesis_blocks=false)")
    assert plain.rules[0].quantization == Quantization(get_format("msfp13"))


def test_post_training_quantization_calibrates_once_and_does_not_train():
    scheme = parse_scheme("ptq-int8")
    assert scheme.phases == (Phase("fp32", quantized=False, counts=False), Phase("calibrate", 1, learns=False))
    assert {rule.site for rule in scheme.rules} == set(FORWARD_SITES)
    weight = next(rule for rule in parse_scheme("ptq-int4(weights=channel)").rules if rule.site == "weight")
    assert weight.quantization == Quantization(get_format("int4"), "channel")


def test_binary_has_two_levels_a_node_and_a_channel():
    scheme = parse_scheme("binary")
    assert {rule.site: rule.quantization.granularity for rule in scheme.rules} == {
        "input": "row", "feature": "row", "aggregate": "row", "weight": "channel",
    }  # fmt: skip
    assert {rule.quantization.format for rule in scheme.rules} == {get_format("binary")}
    assert not scheme.quantizes_gradients
    assert parse_scheme("binary(bare=true)").sites == ("input", "weight", "feature", "aggregate", "gradient")
