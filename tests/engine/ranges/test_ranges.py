"""Ranges: what they measure, how they follow, what they keep."""

# pyright: reportCallIssue=false, reportAttributeAccessIssue=false

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.errors import InputError, RunError
from engine.formats import get_format
from engine.kernels.finite import NonFiniteError
from engine.ranges import RANGES, make_range
from engine.ranges.percentile import take_sample

INT8 = get_format("int8-symmetric")
FOLLOWING = ("running", "ema", "percentile", "mse")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_min_max_is_that_of_the_tensor_at_hand_always():
    range = make_range("min-max")
    assert range(torch.tensor([1.0, -2.0]), INT8) == (-2.0, 1.0)
    range.eval()
    assert range(torch.tensor([5.0, 3.0]), INT8) == (3.0, 5.0)


def test_running_keeps_the_extremes():
    range = make_range("running")
    assert range(torch.tensor([1.0, -2.0]), INT8) == (-2.0, 1.0)
    assert range(torch.tensor([5.0, -1.0]), INT8) == (-2.0, 5.0)


def test_ema_moves_by_a_hundredth_from_the_first_value():
    range = make_range("ema")
    assert range(torch.tensor([1.0, -2.0]), INT8) == (-2.0, 1.0)
    low, high = range(torch.tensor([5.0, -1.0]), INT8)
    assert low == pytest.approx(-2 + 0.01 * 1, rel=1e-6)
    assert high == pytest.approx(1 + 0.01 * 4, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "p", "dq", "ranks"),
    [
        (1000, 0.001, False, (1, 1000)),
        (10_000, 0.001, False, (10, 9991)),
        (10_000, 0.01, False, (100, 9901)),
        (10_000, 0.001, True, (10, 9990)),
        # [DQ]'s code cuts the maximum even of small tensors.
        (100, 0.001, True, (1, 99)),
        (100, 0.001, False, (1, 100)),
        (1, 0.01, True, (1, 1)),
    ],
)
def test_percentile_ranks(n, p, dq, ranks):
    assert make_range("percentile", p=p, dq_percentile=dq).ranks(n) == ranks


@pytest.mark.parametrize("dq", [False, True])
def test_percentile_takes_these_ranks(dq):
    x = torch.arange(10_000.0)[torch.randperm(10_000, generator=torch.Generator().manual_seed(0))].view(100, 100)
    assert make_range("percentile", p=0.01, dq_percentile=dq)(x, INT8) == (99.0, 9899.0 if dq else 9900.0)


def test_percentile_a_line():
    x = torch.arange(200.0).view(2, 100)
    low, high = make_range("percentile", p=0.02)(x, INT8, 1)
    assert (low.tolist(), high.tolist()) == ([[1.0], [101.0]], [[98.0], [198.0]])


def test_percentile_can_run_average_or_take_the_last():
    a, b = torch.tensor([-1.0, 1.0]), torch.tensor([-3.0, 0.5])
    ends = {}
    for keep in ("running", "ema", "current"):
        range = make_range("percentile", keep=keep)
        range(a, INT8)
        ends[keep] = range(b, INT8)
    assert ends["running"] == (-3.0, 1.0)
    assert ends["ema"] == pytest.approx((-1.02, 0.995))
    assert ends["current"] == (-3.0, 0.5)


def test_percentile_samples_a_large_tensor():
    x = normal(700, 1000)
    low, high = make_range("percentile", p=0.01, sample=10_000)(x, INT8)
    # The 1 % point of a normal is −2.326; of 10,000 values it has a standard error of 0.037.
    assert low == pytest.approx(-2.326, abs=0.2)
    assert high == pytest.approx(2.326, abs=0.2)


@pytest.mark.parametrize("shape", [(500, 64), (64, 500), (1000, 30), (33_000,), (7, 11, 700)])
def test_a_sample_favours_no_column(shape):
    x = torch.arange(shape[-1]).expand(shape).contiguous()
    sample = take_sample(x, 3000)
    assert len(sample) <= 3000
    counts = torch.bincount(sample, minlength=shape[-1])
    assert counts.max() - counts.min() <= 1


def test_entropy_keeps_a_range_that_has_no_tail():
    range = make_range("entropy")
    # Uniform: nothing is gained by cutting.
    low, high = range(torch.linspace(-1, 1, 100_001), INT8)
    assert (low, high) == (-1.0, 1.0)


def test_entropy_cuts_a_long_tail():
    x = torch.cat([normal(100_000), torch.tensor([60.0])])
    low, high = make_range("entropy")(x, INT8)
    assert 3 < high < 10
    assert low == -high


def test_entropy_is_the_least_of_a_search_in_numpy():
    x = normal(20_000).abs()
    range = make_range("entropy")
    range(x, get_format("int4-symmetric"))
    counts, width, levels = range.counts.numpy(), range.width.item(), 8
    divergences = {}
    for size in np.arange(levels, 2049):
        tail = counts[size:].sum()
        p, q = counts[:size].copy(), np.zeros(size)
        p[-1] += tail
        if counts[size - 1] == 0 and tail > 0:
            continue
        for level in np.arange(levels):
            part = slice(level * size // levels, (level + 1) * size // levels)
            some = counts[part] > 0
            if some.any():
                q[part][some] = counts[part].sum() / some.sum()
        on = counts[:size] > 0
        p, q = p / p.sum(), q / q.sum()
        divergences[size] = (p[on] * np.log(p[on] / q[on])).sum()
    best = min(divergences.values())
    found = round(range.threshold(get_format("int4-symmetric")) / width)
    assert divergences[found] == pytest.approx(best, rel=1e-9)


def test_entropys_histogram_loses_nothing_when_it_grows():
    range = make_range("entropy")
    for factor in (1.0, 3.0, 100.0):
        range(normal(1000) * factor, INT8)
    assert range.counts.sum() == 3000
    assert range.width.item() * 2048 >= (normal(1000) * 100).abs().max()


def test_mse_takes_the_best_shrink_factor():
    x = normal(5000)
    format = get_format("int3-symmetric")
    low, high = make_range("mse")(x, format)
    ends = [x.min().item() * (1 - i / 100) for i in range(81)], [x.max().item() * (1 - i / 100) for i in range(81)]
    errors = [(format.fake_quantize(x, range=pair) - x).square().mean().item() for pair in zip(*ends, strict=True)]
    error = (format.fake_quantize(x, range=(low, high)) - x).square().mean().item()
    assert error == pytest.approx(min(errors), rel=1e-3)
    assert error < 0.7 * errors[0]


def test_learned_begins_with_twice_the_mean_over_root_q_max():
    x = normal(100)
    low, high = make_range("learned")(x, INT8)
    step = 2 * x.abs().mean() / math.sqrt(127)
    assert high.item() == pytest.approx(step.item() * 127, rel=1e-6)
    assert low == -high


@pytest.mark.parametrize("name", FOLLOWING)
def test_evaluation_changes_nothing(name):
    range = make_range(name)
    range(normal(100), INT8)
    range.eval()
    before = range(normal(100), INT8)
    assert range(100 * normal(100, seed=1), INT8) == before


@pytest.mark.parametrize("name", [*FOLLOWING, "entropy"])
def test_evaluation_needs_something_seen(name):
    with pytest.raises(RunError) as error:
        make_range(name).eval()(normal(10), INT8)
    assert str(error.value) == ("the range has seen no tensor: train, or calibrate in training mode, before evaluating")


@pytest.mark.parametrize(
    ("name", "axis"),
    [*((name, None) for name in RANGES), *((name, 1) for name in RANGES if name not in ("entropy", "mse"))],
)
def test_the_state_is_saved_and_restored(name, axis):
    options = {"lines": (20, 1)} if name == "learned" and axis is not None else {}
    first, second = make_range(name, **options), make_range(name, **options)
    for seed in range(3):
        first(normal(20, 30, seed=seed), INT8, axis)
    second.load_state_dict(first.state_dict())
    for x in (normal(20, 30, seed=7), 3 * normal(20, 30, seed=8)):
        for a, b in zip(first(x, INT8, axis), second(x, INT8, axis), strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


@pytest.mark.parametrize("name", ["running", "ema", "percentile"])
@pytest.mark.parametrize("axis", [None, 1])
def test_rows_that_are_left_out_do_not_count(name, axis):
    x = normal(20, 30)
    kept = torch.arange(20) % 3 != 0
    loud = torch.where(kept.view(-1, 1), x, 1000.0)
    found = make_range(name)(loud, INT8, axis, kept)
    if axis is None:
        assert found == make_range(name)(x[kept], INT8)
    else:
        expected = make_range(name)(x, INT8, 1)
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a[kept], b[kept])


@pytest.mark.parametrize("name", FOLLOWING)
def test_where_every_row_is_left_out_the_range_stays(name):
    range = make_range(name)
    before = range(normal(20, 30), INT8)
    assert range(100 * normal(20, 30), INT8, None, torch.zeros(20, dtype=torch.bool)) == before
    assert range(torch.empty(0, 30), INT8) == before


@pytest.mark.parametrize("name", ["running", "percentile", "entropy"])
def test_nan_is_refused(name):
    with pytest.raises(NonFiniteError):
        make_range(name)(torch.tensor([1.0, float("nan")]), INT8)


@pytest.mark.parametrize("name", ["min-max", *FOLLOWING])
def test_nothing_waits_for_the_device(name):
    # A meta tensor has no values: whatever waits for one raises.
    range = make_range(name).to("meta")
    low, high = range(torch.empty(20, 30, device="meta"), INT8)
    assert (low.device.type, high.device.type) == ("meta", "meta")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "percentil",
            {},
            "unknown range 'percentil': did you mean percentile? Allowed: min-max, running, ema, percentile, entropy, "
            "mse, learned",
        ),
        ("running", {"p": 1}, "the range 'running' has no option 'p': its options are none"),
        (
            "percentile",
            {"p": 0.7},
            "the range 'percentile': p is the share of a tail, from 0 to below 0.5, not 0.7",
        ),
        ("percentile", {"keep": "all"}, "the range 'percentile': keep is one of running, ema, current, not 'all'"),
    ],
)
def test_bad_ranges_are_refused_in_one_sentence(name, options, message):
    with pytest.raises(InputError) as error:
        make_range(name, **options)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["entropy", "mse"])
def test_some_ranges_are_one_a_tensor(name):
    with pytest.raises(InputError) as error:
        make_range(name)(normal(3, 4), INT8, 1)
    assert str(error.value) == f"the {name} range is one a tensor: choose the granularity tensor"


def test_tails_that_swallow_all_that_differs_leave_the_extremes():
    x = torch.zeros(1000)
    x[3], x[4] = 0.5, -0.25
    for p, expected in ((0.01, (-0.25, 0.5)), (0.0005, (-0.25, 0.5))):
        range = make_range("percentile", p=p)
        assert range(x, INT8) == expected
    x[5:40] = 0.1
    assert make_range("percentile", p=0.01)(x, INT8) == pytest.approx((0.0, 0.1))


@pytest.mark.parametrize("kind", ["min-max", "running", "ema", "percentile"])
def test_zeros_may_be_told_by_their_number(kind):
    x = normal(30, 1).flatten()
    x[:9] = x[:9].abs() + 1
    options = {"p": 0.05} if kind == "percentile" else {}
    whole = torch.cat([x, torch.zeros(200)])
    assert make_range(kind, **options)(x, INT8, zeros=200) == make_range(kind, **options)(whole, INT8)
