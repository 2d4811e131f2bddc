"""The signals of every run on numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.signals import SignalLog


def parameter(*gradient: float) -> nn.Parameter:
    made = nn.Parameter(torch.zeros(len(gradient)))
    made.grad = torch.tensor(gradient)
    return made


def test_the_loss_ratio_is_of_the_last_five_over_the_five_before():
    log = SignalLog()
    losses = [9.0, 1.0, 1.0, 1.0, 1.0, 2.0, 0.5, 0.5, 0.5, 0.5, 1.0, 3.0]
    ratios = [log.after(epoch, loss, 1.0).loss_ratio for epoch, loss in enumerate(losses, 1)]
    assert ratios[:9] == [None] * 9
    # Epoch 10: (2 + 4·0.5)/(9 + 4). Epoch 11: (4·0.5 + 1)/(4 + 2) = 3/6. Epoch 12: (3·0.5 + 1 + 3)/(3 + 2 + 0.5).
    assert ratios[9:] == [pytest.approx(4 / 13), pytest.approx(0.5), pytest.approx(5.5 / 5.5)]


def test_a_loss_that_is_not_finite_leaves_no_ratio():
    log = SignalLog()
    for epoch in range(1, 10):
        log.after(epoch, 1.0, 1.0)
    assert log.after(10, None, None).loss_ratio is None
    assert log.after(11, math.inf, None).loss_ratio is None


def test_the_validation_stall_counts_epochs_since_the_least_loss():
    log = SignalLog()
    losses = [1.0, 0.9, 0.9, 0.95, 0.8, 0.8]
    assert [log.after(epoch, 1.0, loss).validation_stall for epoch, loss in enumerate(losses, 1)] == [0, 0, 1, 2, 0, 1]


def test_gradient_diversity_of_a_window_of_three():
    log = SignalLog()
    # First parameter: (25 + 25 + 0)/‖(6, 0)‖² = 50/36. Second: (4 + 4 + 4)/‖6‖² = 12/36. The third has none.
    windows = [((3.0, 4.0), 2.0), ((3.0, -4.0), 2.0), ((0.0, 0.0), 2.0)]
    found = [
        log.after(epoch, 1.0, 1.0, [parameter(*first), parameter(second), parameter(0.0)]).gradient_diversity
        for epoch, (first, second) in enumerate(windows, 1)
    ]
    assert found[:2] == [None, None]
    assert found[2] == pytest.approx((50 / 36 + 12 / 36) / 2)


def test_windows_do_not_overlap():
    log = SignalLog()
    for epoch in range(1, 4):
        log.after(epoch, 1.0, 1.0, [parameter(100.0 * (-1) ** epoch)])
    found = [log.after(epoch, 1.0, 1.0, [parameter(1.0)]).gradient_diversity for epoch in range(4, 7)]
    assert found == [None, None, pytest.approx(3 / 9)]


def test_gradients_that_cancel_out_and_none_at_all_leave_no_diversity():
    log = SignalLog(window=2)
    log.after(1, 1.0, 1.0, [parameter(1.0)])
    assert log.after(2, 1.0, 1.0, [parameter(-1.0)]).gradient_diversity is None
    log.after(3, 1.0, 1.0, [parameter(0.0)])
    assert log.after(4, 1.0, 1.0, [parameter(0.0)]).gradient_diversity is None
    log.after(5, 1.0, 1.0)
    assert log.after(6, 1.0, 1.0).gradient_diversity is None


gradients = st.lists(st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=2), min_size=3, max_size=3)


@given(gradients)
def test_diversity_is_as_defined_and_at_least_a_third(window: list[list[float]]):
    rows: Tensor = torch.tensor(window, dtype=torch.float64)
    log = SignalLog()
    found = [log.after(epoch, 1.0, 1.0, [parameter(*row)]).gradient_diversity for epoch, row in enumerate(window, 1)][2]
    total = float(rows.sum(0).square().sum())
    if total < 1e-3:
        return
    assert found == pytest.approx(float(rows.square().sum()) / total, rel=1e-4)
    assert found is not None
    assert found >= 1 / 3 - 1e-6


def test_its_state_goes_on_where_it_was():
    first, second = SignalLog(), SignalLog()
    for epoch in range(1, 12):
        first.after(epoch, 1.0 / epoch, epoch % 4, [parameter(float(epoch), 1.0)])
    second.restore(first.state())
    for epoch in range(12, 20):
        row = (epoch, 1.0 / epoch, epoch % 4, [parameter(float(epoch), -1.0)])
        assert first.after(*row) == second.after(*row)
