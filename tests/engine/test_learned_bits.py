"""A²Q's quantizer: values and gradients against numbers computed by hand, groups, the memory penalty, its state."""

from __future__ import annotations

import copy
import math
import pickle
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.errors import RunError
from engine.formats import get_format
from engine.kernels.finite import NonFiniteError
from engine.kernels.sparse import SparseOperand
from engine.learned_bits import (
    LearnedSteps,
    NodeBits,
    effective_bits,
    memory_penalty,
    nearest_group,
    quantize_entries_locally,
    quantize_nodes,
    quantize_nodes_locally,
)
from engine.schemes.a2q import Learning

# Row 0: step ½, 3 bits (q_max 3), reach 1.5. Row 1: step 1, 2 bits (q_max 1). Row 2: one bit, all zeros.
X = torch.tensor([[0.6, -0.2, 2.0, 0.0], [0.4, -3.0, 0.9, 1.0], [0.5, -0.5, 0.0, 0.25]])
STEP = torch.tensor([0.5, 1.0, 0.5])
BITS = torch.tensor([3.2, -1.6, 0.3])
OUT = torch.tensor([[0.5, -0.0, 1.5, 0.0], [0.0, -1.0, 1.0, 1.0], [0.0, -0.0, 0.0, 0.0]])
LN2 = math.log(2)


def test_bits_are_rounded_and_never_fall_below_one():
    bits = torch.tensor([0.0, 0.4, -0.6, 1.6, -3.4, 40.0])
    assert effective_bits(bits).tolist() == [1, 1, 1, 2, 3, 16]


def test_values_are_the_papers_formula():
    assert torch.equal(quantize_nodes(X, STEP, BITS), OUT)
    assert torch.equal(quantize_nodes_locally(X, STEP, BITS)[0], OUT)


def test_the_local_gradient_by_hand():
    _, to_step, to_bits = quantize_nodes_locally(X, STEP, BITS)
    # Row 0: v = 1.2, 0.4, 4 (outside), 0: |q − v| = 0.2, 0.4; −q_max = −3.
    # Row 1: v = 0.4, 3 (outside), 0.9, 1: 0.4, −1, 0.1, 0. Row 2: three elements outside, q_max = 0.
    assert to_step.tolist() == pytest.approx([(0.2 + 0.4 - 3) / 4, (0.4 - 1 + 0.1) / 4, 0.0], abs=1e-7)
    # −2^(b−1)·ln2·s for each element outside; the sign is that of b itself.
    assert to_bits.tolist() == pytest.approx([-4 * LN2 * 0.5 / 4, +2 * LN2 * 1 / 4, -3 * LN2 * 0.5 / 4], rel=1e-6)


def test_the_tasks_gradient_by_hand():
    x, step, bits = (part.clone().requires_grad_() for part in (X, STEP, BITS))
    g = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    quantize_nodes(x, step, bits).backward(g)
    assert x.grad is not None
    assert step.grad is not None
    assert bits.grad is not None
    inside = [[1, 1, 0, 1], [1, 0, 1, 1], [0, 0, 1, 0]]
    assert torch.equal(x.grad, g * torch.tensor(inside))
    # sign(x)·(q − v) inside, sign(x)·q_max outside, weighted by g.
    first = 1 * (1 - 1.2) - 2 * (0 - 0.4) + 3 * 3
    second = 1 * (0 - 0.4) - 2 * 1 + 3 * (1 - 0.9) + 4 * 0
    assert step.grad.tolist() == pytest.approx([first, second, 0.0], rel=1e-6)
    third = (1 - 2 + 4) * 1 * LN2 * 0.5
    assert bits.grad.tolist() == pytest.approx([3 * 4 * LN2 * 0.5, -(-2 * 2 * LN2), third], rel=1e-6)


def test_locally_the_gradient_of_x_is_clipped_and_reaches_nothing_else():
    x, step, bits = (part.clone().requires_grad_() for part in (X, STEP, BITS))
    out, to_step, to_bits = quantize_nodes_locally(x, step, bits)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1, 0, 1], [1, 0, 1, 1], [0, 0, 1, 0]]
    assert step.grad is bits.grad is None
    assert not to_step.requires_grad
    assert not to_bits.requires_grad


def straight_through_formula(x: Tensor, step: Tensor, bits: Tensor) -> Tensor:
    """METHODS §6 as one would write it for autograd: roundings pass their gradients."""
    v = x.abs() / step[:, None]
    rounded = v + (torch.floor(v + 0.5) - v).detach()
    b = bits.abs()
    b = b + (b.round().clamp(1, 16) - b).detach()
    last = (2 ** (b - 1) - 1)[:, None]
    return x.sign() * step[:, None] * torch.where(v > last, last.expand_as(v), rounded)


@given(st.integers(0, 2**16), st.floats(0.05, 2.0), st.floats(0.1, 8.0), st.sampled_from([1, -1]))
def test_both_gradients_are_those_of_the_straight_through_formula(seed: int, step: float, bits: float, sign: int):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(5, 40, generator=generator, dtype=torch.float64)
    g = torch.randn(5, 40, generator=generator, dtype=torch.float64)
    s = torch.full((5,), step, dtype=torch.float64, requires_grad=True)
    b = torch.full((5,), sign * bits, dtype=torch.float64, requires_grad=True)
    expected = straight_through_formula(x, s, b)
    by_task = torch.autograd.grad((expected * g).sum(), (s, b), retain_graph=True)
    error = ((expected - x).sign().detach() * expected).mean(1).sum()
    locally = torch.autograd.grad(error, (s, b))
    out, *found = quantize_nodes_locally(x, s, b)
    assert torch.allclose(out, expected.detach(), rtol=1e-12)
    ours = torch.autograd.grad((quantize_nodes(x, s, b) * g).sum(), (s, b))
    for one, other in zip((*found, *ours), (*locally, *by_task), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_a_sparse_tensor_needs_its_entries_alone():
    x = torch.zeros(6, 50)
    x[torch.arange(6), torch.arange(6) * 7] = torch.tensor([0.3, 0.9, -2.0, 0.05, 1.1, -0.7])
    sparse = SparseOperand.from_dense(x)
    assert sparse is not None
    step, bits = torch.full((6,), 0.2), torch.tensor([4.0, 3.0, 2.0, 2.0, -2.0, 1.0])
    dense_out, *dense = quantize_nodes_locally(x, step, bits)
    out, *found = quantize_entries_locally(sparse, step, bits)
    assert torch.equal(out.dense(), dense_out)
    for a, b in zip(found, dense, strict=True):
        assert torch.allclose(a, b, rtol=1e-6)


def test_a_node_takes_the_group_of_the_nearest_reach():
    step, bits = torch.tensor([1.0, 0.1, 0.5]), torch.tensor([3.0, 2.0, 2.0])  # reaches 3, 0.1 and 0.5
    most = torch.tensor([0.0, 0.29, 0.31, 1.74, 1.76, 99.0])
    assert nearest_group(most, step, bits).tolist() == [1, 1, 2, 2, 0, 0]


LEARNING = Learning(lr_step=0.04, lr_bits=0.1, target=2.0, weight=3.0)


def make(nodes: int = 3, *, learning: Learning = LEARNING, **more: object) -> NodeBits:
    return NodeBits(nodes, 4, site="the input of layer 2", learning=learning, **more)  # pyright: ignore[reportArgumentType]


def test_steps_start_from_the_data():
    module = make().train()
    x = torch.tensor([[1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [-4.0, 0.0, 0.0, 0.0]])
    module(x)
    # 2·mean/√q_max over the non-zero values; the row of zeros has the mean of the others.
    first, last = 2 * 2 / math.sqrt(7), 2 * 4 / math.sqrt(7)
    assert module.step.tolist() == pytest.approx([first, (first + last) / 2, last], rel=1e-6)
    module(10 * x)
    assert module.step.tolist() == pytest.approx([first, (first + last) / 2, last], rel=1e-6)


def test_the_penalty_brings_the_local_gradient_and_adds_only_the_memorys_value():
    module = make().train()
    module(X)
    step, bits = module.step.detach().clone(), module.bits.detach().clone()
    _, to_step, to_bits = quantize_nodes_locally(X, step, bits)
    term = module.penalty()
    assert term is not None
    kilobytes = 3 * 4 * 4 / 8192
    assert term.item() == pytest.approx(3.0 * (kilobytes - 2) ** 2, rel=1e-6)
    term.backward()
    memory = 2 * 3.0 * (kilobytes - 2) * 4 / 8192
    assert module.factor.grad is not None
    assert module.bits.grad is not None
    assert torch.allclose(module.factor.grad, to_step)
    assert torch.allclose(module.bits.grad, to_bits + memory)


def test_the_memory_is_one_sum_over_the_layers_that_count():
    peers: list[NodeBits] = []
    first, second, third = (make(peers=peers, counted=counted).train() for counted in (False, True, True))
    for module, width in ((first, 100), (second, 16), (third, 8)):
        module(torch.ones(3, width))
    terms = [module.penalty() for module in (first, second, third)]
    values = [term.item() for term in terms if term is not None]
    assert sum(values) == pytest.approx(3.0 * (3 * 4 * (16 + 8) / 8192 - 2) ** 2, rel=1e-6)


def test_the_one_sided_penalty_lets_the_memory_stay_below():
    sizes = [torch.tensor(0.5), torch.tensor(1.0)]
    assert memory_penalty(sizes, LEARNING).item() == 3.0 * 0.5**2
    one_sided = Learning(target=2.0, weight=3.0, one_sided=True)
    assert memory_penalty(sizes, one_sided).item() == 0
    assert memory_penalty([torch.tensor(4.0)], one_sided).item() == 12.0


def test_protected_rows_stay_and_learn_nothing():
    module = make().train()
    protected = torch.tensor([True, False, False])
    out = module(X, protected=protected)
    assert torch.equal(out[0], X[0])
    assert not torch.equal(out[1], X[1])
    term = module.penalty()
    assert term is not None
    term.backward()
    assert module.factor.grad is not None
    assert module.factor.grad[0] == 0
    assert module.factor.grad[1] != 0


def test_the_spread_is_that_of_the_rows_in_evaluation():
    module = make(4)
    with torch.no_grad():
        module.bits.copy_(torch.tensor([0.2, 2.4, 1.6, 3.0]))
    module.eval()(torch.ones(4, 2))
    assert module.spread() == [
        (get_format("int1"), Fraction(1, 4)),
        (get_format("int2-symmetric"), Fraction(1, 2)),
        (get_format("int3-symmetric"), Fraction(1, 4)),
    ]


def test_other_rows_than_learned_need_groups():
    with pytest.raises(RunError) as caught:
        make(3)(torch.ones(5, 2))
    assert str(caught.value) == (
        "the input of layer 2 has 5 rows, but A²Q has the bits of 3 nodes: "
        "give a2q(groups=1000) for batches and for graphs that were not seen in training"
    )
    grouped = make(3, learning=Learning(groups=8)).train()
    x = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) + 0.01
    grouped(x)
    # The reaches are the quantiles of the rows' maxima, so that no row is far from its group's.
    reach = (grouped.step * 7).detach()
    nearest = (x.amax(1)[:, None] - reach[None]).abs().amin(1)
    assert float(nearest.max()) < 0.2
    assert grouped.eval()(torch.rand(7, 4)).shape == (7, 4)
    assert sum(share for _, share in grouped.spread()) == 1


def test_values_that_are_not_finite_are_named():
    with pytest.raises(NonFiniteError) as caught:
        make()(X.masked_fill(X == 2.0, torch.nan))
    assert str(caught.value).startswith("the input of layer 2 holds NaN or infinity in 1 of 12 elements")


def learned(module: torch.nn.Module, x: Tensor) -> Tensor:
    return module.eval()(x)


@pytest.mark.parametrize("kind", ["nodes", "steps"])
def test_state_copies_and_pickles(kind: str):
    def new() -> torch.nn.Module:
        return make() if kind == "nodes" else LearnedSteps(get_format("int4-symmetric"), site="w", axis=-1, lr=0.1)

    module = new().train()
    module(X)
    other = new()
    other.load_state_dict(module.state_dict())
    same = [other, copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    assert all(torch.equal(learned(found, X), learned(module, X)) for found in same)
    new().load_state_dict(new().state_dict())  # before the first tensor


def test_steps_of_a_matrix_are_learned_by_line():
    module = LearnedSteps(get_format("int4-symmetric"), site="the weight of layer 1", axis=-1, lr=0.1)
    [group] = module.parameter_groups()
    optimizer = torch.optim.SGD([group])  # made before the first tensor, as in training
    out = module(X)
    means = X.abs().mean(1)
    assert module.step.squeeze(1).tolist() == pytest.approx((2 * means / math.sqrt(7)).tolist(), rel=1e-6)
    before = module.step.detach().clone()
    (out - X).square().sum().backward()
    optimizer.step()
    assert bool((module.step != before).any())
    columns = LearnedSteps(get_format("int4-symmetric"), site="the feature of layer 1", axis=0, lr=0.1)
    columns(X)
    assert columns.step.shape == (1, 4)
    # A vector at the weight's site has its own range.
    assert torch.equal(module(X[:1]), get_format("int4-symmetric").fake_quantize(X[:1]))
