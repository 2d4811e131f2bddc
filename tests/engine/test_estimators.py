"""Gradient estimators against torch's own and against the formulas of METHODS §3."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.estimators import clipped, learned_step, straight_through
from engine.formats import get_format
from engine.randomness import make_key


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def record_saved(work) -> list[torch.Tensor]:
    """The tensors that ``work`` saves for its backward pass."""
    saved: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return saved


def test_straight_through_passes_the_gradient_and_saves_nothing():
    x = normal(30, 40).requires_grad_()
    format = get_format("msfp12")
    saved = record_saved(lambda: straight_through(x, format.fake_quantize))
    assert saved == []
    out = straight_through(x, format.fake_quantize)
    gradient = normal(30, 40, seed=1)
    out.backward(gradient)
    assert torch.equal(out, format.fake_quantize(x))
    assert torch.equal(x.grad, gradient)


def test_straight_through_of_fp32_is_the_identity():
    x = normal(3, 4).requires_grad_()
    straight_through(x, get_format("fp32").fake_quantize).sum().backward()
    assert torch.equal(x.grad, torch.ones(3, 4))


@pytest.mark.parametrize("zero_point", [0, -3, 5])
def test_strict_clipping_equals_torchs_fake_quantize(zero_point):
    step = 2.0**-3
    low, high = (-8 - zero_point) * step, (7 - zero_point) * step
    gradient = normal(50, 40, seed=1)
    x, peer_x = normal(50, 40).requires_grad_(), normal(50, 40).requires_grad_()
    out = clipped(x, get_format("int4"), range=(low, high))
    peer = torch.fake_quantize_per_tensor_affine(peer_x, step, zero_point, -8, 7)
    out.backward(gradient)
    peer.backward(gradient)
    assert torch.equal(out, peer)
    assert torch.equal(x.grad, peer_x.grad)
    assert 0 < (x.grad == 0).sum() < x.numel()


def test_clipping_worked_out_by_hand():
    # [−1, 2] on 2 bits: c = 1, codes of −1.4, −1.6, 0, 2.4, 2.6 before the clamp: −2, −3, −1, 1, 2.
    x = torch.tensor([-1.4, -1.6, 0.0, 2.4, 2.6], requires_grad=True)
    clipped(x, get_format("int2"), range=(-1.0, 2.0)).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
    x.grad = None
    clipped(x, get_format("int2"), range=(-1.0, 2.0), inclusive=True).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_clipping_changes_no_value(granularity, rounding):
    x = normal(30, 41)
    settings = {"range": (-0.5, 0.7), "granularity": granularity, "rounding": rounding, "generator": make_key(0, 0, 0)}
    for name in ("int4", "int4-symmetric", "int4-floor", "log4", "msfp12"):
        format = get_format(name)
        if not format.ranged:
            settings = {"rounding": rounding, "generator": make_key(0, 0, 0)}
        assert torch.equal(clipped(x, format, **settings), format.fake_quantize(x, **settings))


def test_clipping_a_range_a_row():
    x = torch.tensor([[0.4, 9.0], [14.0, 90.0]], requires_grad=True)
    limits = torch.zeros(2, 1), torch.tensor([[3.0], [30.0]])
    clipped(x, get_format("int2"), range=limits, granularity="row").sum().backward()
    assert x.grad.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_levels_clip_beyond_the_largest():
    x = torch.tensor([0.4, 1.0, 1.1], requires_grad=True)
    clipped(x, get_format("log4"), range=(-1.0, 1.0)).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0]


def test_clipping_saves_one_bit_an_element():
    x = normal(30, 41).requires_grad_()
    saved = record_saved(lambda: clipped(x, get_format("int4"), range=(-1.0, 1.0)))
    assert [(tensor.dtype, tensor.numel()) for tensor in saved] == [(torch.uint8, math.ceil(30 * 41 / 8))]


def test_a_format_without_a_range_clips_nothing():
    x = normal(3, 40).requires_grad_()
    clipped(x, get_format("msfp12")).sum().backward()
    assert torch.equal(x.grad, torch.ones(3, 40))


def lsq(x: torch.Tensor, step: torch.Tensor, last: int) -> torch.Tensor:
    """LSQ as in its paper: round passes the gradient straight through, the step's is scaled."""
    scale = 1 / math.sqrt(x.numel() / step.numel() * last)
    step = step * scale + (step - step * scale).detach()
    v = (x / step).clamp(-last, last)
    return (v + (v.round() - v).detach()) * step


@pytest.mark.parametrize("lines", [False, True])
def test_a_learned_step_has_lsqs_gradients(lines):
    first = torch.full((30, 1), 0.2) + torch.arange(30).view(-1, 1) / 100 if lines else torch.tensor(0.25)
    gradient = normal(30, 40, seed=1)
    x, step = normal(30, 40).requires_grad_(), first.clone().requires_grad_()
    out = learned_step(x, step, get_format("int3-symmetric"), axis=1)
    out.backward(gradient)
    peer_x, peer_step = normal(30, 40).double().requires_grad_(), first.double().requires_grad_()
    peer = lsq(peer_x, peer_step, 3)
    peer.backward(gradient.double())
    assert torch.allclose(out, peer.float(), rtol=1e-6)
    assert torch.allclose(step.grad, peer_step.grad.float(), rtol=1e-5)
    assert torch.equal(x.grad, peer_x.grad.float())


def test_a_learned_step_needs_a_symmetric_integer():
    with pytest.raises(InputError) as error:
        learned_step(normal(3), torch.tensor(1.0), get_format("msfp13"))
    assert str(error.value) == "a learned step needs a symmetric integer format, such as int4-symmetric, not msfp13"


def test_a_step_at_zero_does_not_divide_by_it():
    step = torch.tensor(0.0, requires_grad=True)
    x = normal(10).requires_grad_()
    learned_step(x, step, get_format("int4-symmetric")).sum().backward()
    assert torch.isfinite(step.grad)
    assert torch.isfinite(x.grad).all()


def test_an_empty_tensor_has_an_empty_gradient():
    x = torch.empty(0, 4, requires_grad=True)
    clipped(x, get_format("int4")).sum().backward()
    assert x.grad.shape == (0, 4)


@pytest.mark.parametrize("estimator", ["ste", "clipped", "clipped-inclusive"])
@pytest.mark.parametrize("format", ["int4", "apot4", "msfp13"])
@pytest.mark.parametrize("width", [1, 7, 8, 20])
def test_protected_rows_are_put_back_with_all_of_their_gradient(estimator: str, format: str, width: int) -> None:
    generator = torch.Generator().manual_seed(width)
    x, incoming = (torch.randn(30, width, generator=generator) for _ in range(2))
    protected = torch.rand(30, generator=generator) < 0.4

    def passed(protected: Tensor | None) -> tuple[Tensor, Tensor]:
        entered = x.clone().requires_grad_()
        settings = {"range": (-0.5, 0.5)} if get_format(format).ranged else {}
        if estimator == "ste":
            quantize = partial(get_format(format).fake_quantize, axis=1, **settings)
            out = straight_through(entered, quantize, protected)
        else:
            inclusive = estimator == "clipped-inclusive"
            out = clipped(entered, get_format(format), 1, inclusive=inclusive, protected=protected, **settings)
        (gradient,) = torch.autograd.grad(out, entered, incoming)
        return out.detach(), gradient

    (out, gradient), (plain, clipped_gradient) = passed(protected), passed(None)
    rows = protected.unsqueeze(1)
    assert torch.equal(out, torch.where(rows, x, plain))
    assert torch.equal(gradient, torch.where(rows, incoming, clipped_gradient))
