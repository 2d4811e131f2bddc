"""A constant whose memory may be overwritten is made again where somebody asks for it."""

from __future__ import annotations

import pytest
import torch

from engine.kernels.coded import Decoded
from engine.kernels.dense import DenseOperand
from engine.layers.linear import linear
from engine.layers.operand import OFTEN, Constant
from engine.live import LiveScheme, Sites
from engine.scheme import parse_scheme
from engine.topology import Topology


def features() -> torch.Tensor:
    return torch.rand(300, 40, generator=torch.Generator().manual_seed(3))


def attached(scheme: str) -> Sites:
    sites = Sites("input", "weight", "gradient", "stash")
    sites.attach(LiveScheme(parse_scheme(scheme)), 0, "")
    return sites


def product(x: Constant, sites: Sites, *, alone: bool) -> tuple[torch.Tensor, torch.Tensor]:
    weight = torch.randn(6, 40, generator=torch.Generator().manual_seed(4)).requires_grad_()
    out = linear(x, weight, sites, alone=alone)
    out.backward(torch.linspace(-1, 1, out.numel()).view(out.shape))
    assert weight.grad is not None
    return out.detach(), weight.grad


@pytest.mark.parametrize(
    ("scheme", "in_place"),
    [
        ("int8", True),
        ("int4", True),
        ("msfp13", True),
        ("mxfp8_e4m3", True),
        ("qat-int8", False),
        ("int8+sr", True),
        ("int16", False),
        ("bf16", False),
    ],
)
def test_a_product_alone_gives_the_same_from_the_values_own_memory(scheme: str, in_place: bool) -> None:
    made: list[int] = []

    def again() -> torch.Tensor:
        made.append(1)
        return features()

    x, plain = Constant.of(features(), again), Constant.of(features())
    sites, others = attached(scheme), attached(scheme)
    for _ in range(2):
        for found, expected in zip(product(x, sites, alone=True), product(plain, others, alone=True), strict=True):
            assert (found - expected).norm() <= 1e-5 * expected.norm()
    assert (x.source is None) == in_place
    held = sites.alone(x, "forward")
    assert (held is not None and isinstance(held.operand, Decoded)) == in_place
    assert not made
    if held is not None:
        assert torch.equal(held.dense(), others(plain, "input").dense())
    assert torch.equal(x.operand.dense(), features())
    assert len(made) == in_place


def test_what_somebody_else_reads_too_stays() -> None:
    x = Constant.of(features(), features)
    product(x, attached("int8"), alone=False)
    assert x.source is not None


def test_memory_that_is_somebody_elses_is_copied() -> None:
    values = features()
    x, sites = Constant(DenseOperand(values)), attached("int8")
    found, expected = product(x, sites, alone=True), product(Constant.of(features()), attached("int8"), alone=False)
    held = sites.alone(x, "forward")
    assert held is not None
    assert isinstance(held.operand, Decoded)
    assert torch.equal(values, features())
    for ours, plain in zip(found, expected, strict=True):
        assert (ours - plain).norm() <= 1e-5 * plain.norm()


def test_a_switched_format_starts_from_the_values_again() -> None:
    x, sites, others = Constant.of(features(), features), attached("int8"), attached("int4")
    product(x, sites, alone=True)
    for module in sites.live.quantizers.values():  # pyright: ignore[reportOptionalMemberAccess]
        module.switch("int4")  # pyright: ignore[reportCallIssue]
    sites.refresh()
    found, expected = product(x, sites, alone=True), product(Constant.of(features()), others, alone=True)
    assert torch.equal(found[0], expected[0])


def test_what_is_asked_for_often_stays() -> None:
    made: list[int] = []

    def again() -> torch.Tensor:
        made.append(1)
        return features()

    x = Constant.of(features(), again)
    x.surrender()
    for _ in range(OFTEN + 2):
        assert isinstance(x.operand, DenseOperand)
    assert len(made) == OFTEN


@pytest.mark.parametrize("scheme", ["int8+dq", "msfp13+dq", "adq[int4,int8]+dq"])
def test_what_protection_reads_is_never_what_an_evaluation_has_overwritten(scheme: str) -> None:
    def passes(x: Constant) -> list[torch.Tensor]:
        sites, topology = attached(scheme), Topology(torch.tensor([[0, 1], [1, 2]]), 300)
        live = sites.live
        assert live is not None
        found: list[torch.Tensor] = []
        weight = torch.randn(6, 40, generator=torch.Generator().manual_seed(4)).requires_grad_()
        for step in range(6):
            live.train(step % 2 == 0)
            live.begin(topology, seed=1, step=step)
            found.append(linear(x, weight, sites, alone=True).detach())
        return found

    for found, expected in zip(passes(Constant.of(features(), features)), passes(Constant.of(features())), strict=True):
        torch.testing.assert_close(found, expected)


def test_what_one_scheme_has_left_is_not_anothers_of_another_axis() -> None:
    schemes = ("thesis-msfp13(thesis_blocks=false)", "thesis-msfp13", "msfp13", "thesis-msfp13(thesis_exponent=false)")
    shared = Constant.of(features())
    for scheme in (*schemes, *reversed(schemes)):
        found = product(shared, attached(scheme), alone=False)
        expected = product(Constant.of(features()), attached(scheme), alone=False)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("scheme", ["int8", "msfp13"])
def test_a_products_bits_do_not_depend_on_who_read_the_constant_before(scheme: str) -> None:
    shared, fresh = Constant.of(features()), Constant.of(features())
    product(shared, attached(scheme), alone=False)
    for alone in (True, False):
        for found, expected in zip(
            product(shared, attached(scheme), alone=alone),
            product(fresh if alone else Constant.of(features()), attached(scheme), alone=alone),
            strict=True,
        ):
            assert torch.equal(found, expected)
