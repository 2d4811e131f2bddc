"""SGQuant's table of bits: what each part sets, what sums mean, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch

import engine
from engine.datasets import GraphSize
from engine.errors import InputError
from engine.formats import get_format
from engine.graph import load_graph
from engine.ledger import all_densities, densities, ledger_rows, linear_products, run_ledger
from engine.scheme import FP32, Phase, Scheme, parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec


def bits(scheme: Scheme, site: str, layer: int) -> list[float]:
    """Bits of a site in a layer: one number, or one a degree bucket."""
    return [rule.quantization.format.bits for rule in scheme.covering(site, "forward", layer)]


def test_each_part_sets_its_own_dimension():
    by_layer = parse_scheme("lwq[8,4]")
    assert [bits(by_layer, site, layer) for site in ("input", "feature", "attention") for layer in (0, 1)] == [
        [8], [4], [8], [4], [8], [4],
    ]  # fmt: skip
    by_component = parse_scheme("cwq(att=2,emb=8)")
    assert [bits(by_component, site, 5) for site in ("input", "feature", "attention")] == [[8], [8], [2]]
    by_degree = parse_scheme("taq[8,6,4,2]")
    assert [bits(by_degree, site, 0) for site in ("input", "feature", "attention")] == [[8, 6, 4, 2]] * 3
    everywhere = parse_scheme("sgquant(bits=3)")
    assert [bits(everywhere, site, 7) for site in ("input", "feature", "attention")] == [[3], [3], [3]]


def test_in_a_sum_an_entry_has_the_least_of_its_ceilings():
    scheme = parse_scheme("lwq[8,4]+cwq(att=2)+taq[8,6,4,2]")
    assert bits(scheme, "input", 0) == bits(scheme, "feature", 0) == [8, 6, 4, 2]
    assert bits(scheme, "input", 1) == bits(scheme, "feature", 1) == [4, 4, 4, 2]
    assert bits(scheme, "attention", 0) == bits(scheme, "attention", 1) == [2, 2, 2, 2]


def test_the_order_of_a_sum_does_not_matter():
    texts = ("lwq[8,4]", "cwq(att=2)", "taq[8,6,4,2](splits=2-4-8)", "sgquant(bits=6,tune=7)")
    schemes = [parse_scheme("+".join(order)) for order in permutations(texts)]
    assert all(set(scheme.rules) == set(schemes[0].rules) for scheme in schemes)
    assert {(scheme.splits, scheme.phases, scheme.required) for scheme in schemes} == {
        ((2, 4, 8), (Phase("fp32", quantized=False, counts=False), Phase("fine-tune", 7)), ("attention",))
    }


def test_features_have_a_range_a_row_and_attention_one_a_tensor():
    rules = parse_scheme("sgquant").rules
    assert {rule.site: (rule.quantization.format.name, rule.quantization.granularity) for rule in rules} == {
        "attention": ("int4-floor", "tensor"),
        "input": ("int4-floor", "row"),
        "feature": ("int4-floor", "row"),
    }
    assert not parse_scheme("sgquant").quantizes_gradients


def test_a_components_table_names_every_entry():
    scheme = parse_scheme("emb[8,6,4,2 -> 4]+att[3 -> 2,2,2,1]")
    assert [bits(scheme, site, 0) for site in ("input", "feature", "attention")] == [[8, 6, 4, 2]] * 2 + [[3] * 4]
    assert [bits(scheme, site, 1) for site in ("input", "feature", "attention")] == [[4] * 4] * 2 + [[2, 2, 2, 1]]
    assert (scheme.splits, scheme.required) == ((4, 8, 16), ("attention",))
    assert bits(parse_scheme("emb[4]"), "input", 7) == [4]
    assert bits(parse_scheme("emb[4 -> 8]+cwq(emb=6)+msg[3]"), "input", 1) == [6]


def test_features_after_the_weight_may_have_a_table_of_their_own():
    scheme = parse_scheme("emb[1 -> 4](per=row)+feat[6 -> 2,3,4,8](per=tensor)")
    assert [bits(scheme, site, layer) for site in ("input", "feature") for layer in (0, 1)] == [
        [1, 1, 1, 1], [4, 4, 4, 4], [6, 6, 6, 6], [2, 3, 4, 8],
    ]  # fmt: skip
    assert {(rule.site, rule.quantization.granularity) for rule in scheme.rules} == {
        ("input", "row"), ("feature", "tensor"),
    }  # fmt: skip
    assert "feature" in scheme.required
    assert bits(parse_scheme("emb[4]"), "feature", 0) == [4]
    assert bits(parse_scheme("cwq(emb=2,feat=5)"), "feature", 0) == [5]


def test_a_table_says_what_has_a_range_in_each_layer():
    scheme = parse_scheme("emb[4 -> 8](per=row-tensor)")
    found = {(rule.layer, rule.quantization.granularity) for rule in scheme.rules}
    assert found == {(0, "row"), (1, "tensor")}
    assert {rule.quantization.granularity for rule in parse_scheme("emb[4 -> 8](per=tensor)").rules} == {"tensor"}


def test_what_no_part_names_and_what_is_fp32_has_no_rule():
    assert parse_scheme("cwq(att=2)").sites == ("attention",)
    scheme = parse_scheme("lwq[fp32,4]")
    assert scheme.format("input", "forward", 0) == FP32
    assert scheme.format("input", "forward", 1) == get_format("int4-floor")


def test_messages_are_quantized_on_request():
    assert "message" not in parse_scheme("lwq[8,4]+cwq(emb=8)").sites
    scheme = parse_scheme("lwq[8,4]+cwq(msg=6)")
    assert [bits(scheme, "message", layer) for layer in (0, 1)] == [[6], [4]]
    assert scheme.required == ("message",)


def test_another_scheme_after_it_sets_the_other_sites():
    scheme = parse_scheme("lwq[8,4]+int8")
    assert scheme.format("input", "forward", 1) == get_format("int4-floor")
    assert scheme.format("weight", "forward", 1) == get_format("int8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lwq", "the scheme 'lwq' needs one list of bits in brackets, such as lwq[8,4]"),
        ("lwq[8,4->4,2]", "the scheme 'lwq[8,4 -> 4,2]' needs one list of bits in brackets, such as lwq[8,4]"),
        ("lwq[8,17]", "the scheme 'lwq[8,17]': bits go from 1 to 16, not 17"),
        ("lwq[8,0]", "the scheme 'lwq[8,0]': bits go from 1 to 16, not 0"),
        ("cwq(att=0)", "the scheme 'cwq(att=0)': bits go from 1 to 16, not 0"),
        ("cwq", "the scheme 'cwq' needs bits for att, emb, msg or feat, such as cwq(att=2,emb=8)"),
        ("cwq(mess=2)", "the scheme 'cwq(mess=2)' has no option 'mess': its options are att, emb, msg, feat, tune"),
        ("cwq[8]", "the scheme 'cwq[8]' takes no list in brackets; write 'cwq'"),
        (
            "taq[8,6,4]",
            "the scheme 'taq[8,6,4]' gives bits for 3 degree buckets: give 4, the lowest degrees first, "
            "such as taq[8,6,4,2]",
        ),
        (
            "taq[8,6,4,2](splits=8-4-16)",
            "the scheme 'taq[8,6,4,2](splits=8-4-16)': splits are three increasing degrees from 1 up, such as 4-8-16, "
            "not 8-4-16",
        ),
        (
            "taq[8,6,4,2](splits=4-8)",
            "the scheme 'taq[8,6,4,2](splits=4-8)': splits are three increasing degrees from 1 up, such as 4-8-16, "
            "not 4-8",
        ),
        (
            "emb[4,4]",
            "the scheme 'emb[4,4]' gives 2 numbers for a layer: give each layer 1 for all nodes or 4 by degree, the "
            "lowest first, such as emb[8,6,4,2 -> 4]",
        ),
        (
            "att",
            "the scheme 'att' gives no bits: give each layer 1 for all nodes or 4 by degree, the lowest first, such as "
            "att[8,6,4,2 -> 4]",
        ),
        (
            "emb[4 -> 4](per=rows)",
            "the scheme 'emb[4 -> 4](per=rows)': per is row or tensor, for all layers or for each of the 2, such as "
            "row-tensor, not rows",
        ),
        ("att[4](per=row)", "the scheme 'att[4](per=row)' has no option 'per': its options are splits, tune"),
        (
            "taq[8,6,4,2]+emb[4,4,4,4](splits=1-2-3)",
            "the degree buckets are set twice, by splits=4-8-16 and by splits=1-2-3: give one of them",
        ),
        (
            "emb[4]+emb[2]",
            "the bits of 'emb' by layer are set twice, by 'emb[4]' and by 'emb[2]': leave one of them out",
        ),
        ("lwq[8,4](tune=0)", "the scheme 'lwq[8,4](tune=0)': tune is a whole number from 1 to 100000, not 0"),
        (
            "lwq[8,4]+lwq[4,4]",
            "the bits by layer are set twice, by 'lwq[8,4]' and by 'lwq[4,4]': leave one of them out",
        ),
        (
            "cwq(att=2)+cwq(att=4,emb=8)",
            "the bits of 'att' are set twice, by 'cwq(att=2)' and by 'cwq(att=4,emb=8)': leave one of them out",
        ),
        (
            "int8+lwq[8,4]",
            "what stands before 'lwq[8,4]' sets the site 'feature' already: leave one of them out, or write "
            "'lwq[8,4]' first, so that it has that site",
        ),
        ("lwq[8,spam]", "unknown format 'spam': Allowed: "),
    ],
)
def test_bad_bits_are_refused_with_what_is_allowed(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_scheme(text)
    assert str(caught.value) == message or (message.endswith(": ") and str(caught.value).startswith(message))


def spec(scheme: str, **more: object) -> RunSpec:
    return RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": scheme, **more})


@pytest.mark.parametrize(("text", "given"), [("lwq[8,4,2]", 3), ("lwq[8]", 1)])
def test_as_many_layer_bits_as_layers(text: str, given: int):
    with pytest.raises(InputError) as caught:
        spec(text)
    assert str(caught.value) == (
        f"the scheme {text!r} gives bits for {given} layers, but this gcn has 2: give 2, or change model.layers"
    )


def test_attention_asked_for_by_name_needs_an_architecture_with_attention():
    with pytest.raises(InputError) as caught:
        spec("lwq[8,4]+cwq(att=2)")
    assert str(caught.value).startswith(
        "the scheme 'lwq[8,4]+cwq(att=2)' quantizes the site 'attention', which gcn does not have; its sites are: "
    )
    spec("lwq[8,4]+taq[8,6,4,2]")  # attention where there is some


def test_average_bits_are_those_of_the_table():
    # 10 nodes: 5 of degree 1, 3 of degree 4, 1 of degree 8, 1 of degree 16; widths 100 and 20.
    degrees = ((1, 5), (4, 3), (8, 1), (16, 1))
    products = [
        *linear_products(0, 10, 100, 20, input_gradient=False, dense=False),
        *linear_products(1, 10, 20, 3, input_gradient=True, dense=False),
    ]
    rows = ledger_rows(products, parse_scheme("lwq[8,4]+taq[8,6,4,2]"), 1, degrees)
    first, second = 5 * 8 + 3 * 6 + 4 + 2, 5 * 4 + 3 * 4 + 4 + 2
    ranges = 64 * 10 * 2
    found = densities(rows, "inference", "quantized part")
    assert found.average_bits == pytest.approx((100 * first + 20 * second + ranges) / (100 * 10 + 20 * 10), rel=1e-12)


def test_the_densities_of_a_run_are_those_of_the_fine_tuned_model(settings: Settings):
    text = "lwq[8,4]+taq[8,6,4,2](splits=2-4-8,tune=5)"
    plan = spec(text, training={"epochs": 12})
    graph = load_graph(plan.dataset, settings)
    size = replace(graph.size, degrees=graph.topology.degree_counts)
    assert isinstance(size, GraphSize)
    planned = all_densities(run_ledger(plan, size), plan.parsed_scheme)
    result = engine.run(plan, settings)
    assert result.summary.densities == planned
    assert planned[0].scope == "inference"
    assert result.summary.epochs == 17
    assert result.summary.best_epoch > 12  # fp32's epochs do not count
    assert result.history.columns["counts"] == [False] * 12 + [True] * 5


def losses(scheme: str, settings: Settings) -> Sequence[Any]:
    return engine.run(spec(scheme), settings).history.columns["train_loss"]


def test_fine_tuning_starts_from_the_trained_model(settings: Settings):
    tuned, fp32 = losses("sgquant(bits=8,tune=3)", settings), losses("fp32", settings)
    assert tuned[:150] == fp32
    assert max(tuned[150:]) < fp32[20]


def test_floor_affine_by_row_is_the_papers_formula():
    x = torch.randn(7, 12, generator=torch.Generator().manual_seed(0))
    [rule] = [rule for rule in parse_scheme("sgquant(bits=3)").rules if rule.site == "input"]
    out = rule.quantization.format.fake_quantize(x, granularity="row")
    low, high = x.double().amin(1, keepdim=True), x.double().amax(1, keepdim=True)
    step = (high - low) / 2**3
    expected = torch.floor((x.double() - low) / step).clamp(0, 7) * step + low
    assert torch.equal(out, expected.float())
