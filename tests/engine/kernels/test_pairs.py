"""Scores of pairs: the plain formula's, and its gradient, for any number of threads."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.pairs import dot_pairs


def plain(x: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    return (x[pairs[0]] * x[pairs[1]]).sum(1)


def gradient(form, x: torch.Tensor, pairs: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    scores = form(x, pairs)
    scores.backward(weights)
    assert x.grad is not None
    return scores.detach(), x.grad


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 300), st.integers(0, 2**31))
def test_scores_and_gradient_are_the_plain_formulas(nodes: int, width: int, count: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, width, generator=generator, dtype=torch.float64)
    pairs = torch.randint(nodes, (2, count), generator=generator)  # the same node twice, the same pair twice
    weights = torch.randn(count, generator=generator, dtype=torch.float64)
    for found, expected in zip(gradient(dot_pairs, x, pairs, weights), gradient(plain, x, pairs, weights), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_two_threads_give_the_bits_of_one():
    generator = torch.Generator().manual_seed(0)
    x, weights = torch.randn(500, 64, generator=generator), torch.randn(20_000, generator=generator)
    pairs = torch.randint(500, (2, 20_000), generator=generator)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(gradient(dot_pairs, x, pairs, weights))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_pairs_that_do_not_lie_row_by_row_are_taken_too():
    x, pairs = torch.randn(9, 5), torch.tensor([[0, 1], [3, 3], [8, 2]]).t()
    assert not pairs.is_contiguous()
    torch.testing.assert_close(dot_pairs(x.t().contiguous().t(), pairs), plain(x, pairs))


@pytest.mark.parametrize("number", [-1, 9])
def test_a_node_that_there_is_not_is_refused(number: int):
    with pytest.raises(ValueError, match=r"^a pair names a node that there is not: the numbers go from 0 to 8$"):
        dot_pairs(torch.randn(9, 5), torch.tensor([[0, 1], [2, number]]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_pairs_on_cuda():
    x, pairs = torch.randn(9, 5), torch.randint(9, (2, 30))
    torch.testing.assert_close(dot_pairs(x.cuda(), pairs.cuda()).cpu(), dot_pairs(x, pairs))
