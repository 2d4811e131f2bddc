"""The quantized linear product: each of the three products against its formula."""

from __future__ import annotations

import pytest
import torch

from engine.formats import get_format
from engine.kernels.dropout import drop
from engine.kernels.sparse import SparseOperand
from engine.layers.linear import linear
from engine.layers.operand import Constant, Dropout
from engine.live import LiveScheme, Sites
from engine.randomness import make_key
from engine.scheme import parse_scheme

KEY = make_key(3, 1, 4)


def operands() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(37, 20, generator=generator),
        torch.randn(9, 20, generator=generator),
        torch.randn(37, 9, generator=generator),
    )


def bound(scheme: str) -> Sites:
    sites = Sites("input", "weight", "gradient")
    sites.attach(LiveScheme(parse_scheme(scheme)), 0, "")
    return sites


def run(scheme: str, *, rate: float = 0.0, constant: bool = False):
    x, weight, gradient = operands()
    x.requires_grad_(not constant)
    weight.requires_grad_()
    out = linear(Constant.of(x) if constant else x, weight, bound(scheme), Dropout(rate, KEY) if rate else None)
    out.backward(gradient)
    assert weight.grad is not None
    return out.detach(), x.grad, weight.grad


@pytest.mark.parametrize("scheme", ["fp32", "int8", "int4", "msfp13", "msfp12:weight,gradient", "int8:input"])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_three_products_requantize_their_operands(scheme: str, rate: float):
    x, weight, gradient = operands()
    value = parse_scheme(scheme)

    def fq(tensor: torch.Tensor, site: str, product: str, axis: int) -> torch.Tensor:
        return value.format(site, product, 0).fake_quantize(tensor, axis=axis)

    def dropped(tensor: torch.Tensor) -> torch.Tensor:
        return drop(tensor, rate, KEY) if rate else tensor

    out, input_gradient, weight_gradient = run(scheme, rate=rate)
    assert input_gradient is not None
    forward = dropped(fq(x, "input", "forward", 1)) @ fq(weight, "weight", "forward", 1).t()
    assert torch.equal(out, forward)
    expected = dropped(fq(gradient, "gradient", "grad_input", 1) @ fq(weight, "weight", "grad_input", 0))
    assert torch.equal(input_gradient, expected)
    expected = fq(gradient, "gradient", "grad_weight", 0).t() @ dropped(fq(x, "input", "grad_weight", 0))
    assert torch.equal(weight_gradient, expected)


@pytest.mark.parametrize("scheme", ["int8", "msfp13"])
def test_a_constant_input_is_quantized_once_with_the_same_result(scheme: str):
    out, _, weight_gradient = run(scheme)
    again, input_gradient, same = run(scheme, constant=True)
    assert torch.equal(out, again)
    assert torch.equal(weight_gradient, same)
    assert input_gradient is None


def test_a_constant_input_keeps_one_copy_unless_an_axis_matters():
    x, weight, _ = operands()
    weight.requires_grad_()
    for scheme, copies in (("int8", 1), ("msfp13", 2)):
        constant, sites = Constant.of(x), bound(scheme)
        for _ in range(3):
            linear(constant, weight, sites).sum().backward()
        assert len([key for key in constant._kept if key != "dense"]) == copies


@pytest.mark.parametrize("scheme", ["fp32", "int8", "msfp13"])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_sparse_constant_input_gives_the_dense_products(scheme: str, rate: float):
    """Sums in another order: float tolerance on the result, the same non-zeros and the same mask."""
    _, weight, gradient = operands()
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(37, 20, generator=generator) * (torch.rand(37, 20, generator=generator) < 0.1)
    sites = bound(scheme)
    constant = Constant.of(x)
    assert isinstance(constant.operand, SparseOperand)
    assert isinstance(sites(constant, "input").operand, SparseOperand)
    found = []
    for layer_input in (constant, x):
        kernel = weight.clone().requires_grad_()
        out = linear(layer_input, kernel, sites, Dropout(rate, KEY) if rate else None)
        out.backward(gradient)
        found.append((out.detach(), kernel.grad))
    torch.testing.assert_close(found[0], found[1])


def test_block_formats_are_blocked_along_each_products_own_axis():
    """A column of ones beside a huge one: blocked by rows it is lost, blocked by columns it is kept."""
    x = torch.ones(32, 2)
    x[:, 1] = 1e6
    msfp = get_format("msfp11")
    assert msfp.fake_quantize(x, axis=1)[0, 0] == 0
    assert msfp.fake_quantize(x, axis=0)[0, 0] == 1
