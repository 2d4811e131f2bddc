"""Dropout by hashing: the same mask in the kernel and in plain torch, at its rate, repeatable."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.dropout import drop
from engine.randomness import make_key, uniform


@given(st.integers(0, 2**31), st.floats(0, 0.95), st.integers(0, 300))
def test_the_kernel_equals_the_formula(seed: int, rate: float, n: int):
    key = make_key(seed, 1, 2)
    x = torch.linspace(-3, 3, n)
    keep = uniform(key, (n,)) >= torch.tensor(rate, dtype=torch.float32)
    expected = torch.where(keep, x * torch.tensor(1 / (1 - rate), dtype=torch.float32), 0.0)
    assert torch.equal(drop(x, rate, key), expected)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped(rate: float):
    """Fixed key, 100,000 draws: off by five standard errors once in two million keys."""
    n = 100_000
    dropped = (drop(torch.ones(n), rate, make_key(0, 0, 0)) == 0).float().mean().item()
    assert abs(dropped - rate) < 5 * (rate * (1 - rate) / n) ** 0.5


def test_the_source_is_left_alone_and_the_shape_kept():
    x = torch.ones(3, 5)
    out = drop(x.t(), 0.5, make_key(0, 0, 0))
    assert out.shape == (5, 3)
    assert torch.equal(x, torch.ones(3, 5))
