"""The quantizer: one object a site."""

# pyright: reportCallIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import InputError, RunError
from engine.formats import get_format
from engine.kernels.finite import NonFiniteError
from engine.quantizer import Quantizer, check_finite
from engine.randomness import make_key, stream_id


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["int8", "msfp13", "mxfp6_e3m2", "log4", "bf16", "fp32"])
def test_it_gives_what_its_format_gives(name):
    x = normal(20, 30)
    assert torch.equal(Quantizer(name)(x), get_format(name).fake_quantize(x))
    assert torch.equal(Quantizer(name, axis=0)(x), get_format(name).fake_quantize(x, 0))
    assert torch.equal(Quantizer(name)(x, axis=0), get_format(name).fake_quantize(x, 0))


def test_its_draws_are_numbered_by_the_seed_the_site_and_the_call():
    x = normal(20, 30)
    quantizer = Quantizer("int4", rounding="stochastic", site="layer 1 gradient", seed=5)
    for step in range(3):
        key = make_key(5, stream_id("rounding/layer 1 gradient"), step)
        assert torch.equal(quantizer(x), get_format("int4").fake_quantize(x, rounding="stochastic", generator=key))


@pytest.mark.parametrize(
    "settings",
    [
        {"range": "running", "rounding": "stochastic"},
        {"range": "ema", "granularity": "row"},
        {"range": "percentile", "range_options": {"p": 0.01}, "estimator": "clipped"},
        {"range": "entropy"},
        {"range": "mse", "estimator": "clipped-inclusive", "rounding": "stochastic"},
        {"range": "learned", "estimator": "lsq", "rounding": "stochastic"},
    ],
    ids=lambda settings: settings["range"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(settings, tmp_path):
    def make() -> Quantizer:
        return Quantizer("int4-symmetric", site="layer 0 feature", **settings)

    whole, first, second = make(), make(), make()
    outs = [whole(normal(20, 30, seed=seed)) for seed in range(6)]
    for seed in range(3):
        first(normal(20, 30, seed=seed))
    torch.save(first.state_dict(), tmp_path / "checkpoint.pt")
    second.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    for seed in range(3, 6):
        assert torch.equal(second(normal(20, 30, seed=seed)), outs[seed])


def test_a_new_format_keeps_the_range():
    quantizer = Quantizer("int4", range="running")
    quantizer(torch.tensor([-8.0, 8.0]))
    quantizer.switch("int8")
    x = torch.tensor([0.1, 0.2])
    assert torch.equal(quantizer(x), get_format("int8").fake_quantize(x, range=(-8.0, 8.0)))
    # There and back over a format that has no range.
    quantizer.switch("msfp13")
    assert torch.equal(quantizer(100 * x), get_format("msfp13").fake_quantize(100 * x))
    quantizer.switch("int4")
    assert torch.equal(quantizer(x), get_format("int4").fake_quantize(x, range=(-8.0, 8.0)))


def test_a_new_format_keeps_the_reach_of_a_learned_step():
    quantizer = Quantizer("int3-symmetric", range="learned", estimator="lsq")
    quantizer(normal(100))
    reach = quantizer.range.step.item() * 3
    quantizer.switch("int8-symmetric")
    assert quantizer.range.step.item() * 127 == pytest.approx(reach, rel=1e-6)


def test_a_new_format_moves_entropys_threshold_and_keeps_its_histogram():
    quantizer = Quantizer("int8-symmetric", range="entropy")
    quantizer(normal(10_000))
    wide = quantizer.range.threshold(quantizer.format)
    quantizer.switch("int3-symmetric")
    assert quantizer.range.counts.sum() == 10_000
    assert quantizer.range.threshold(quantizer.format) < wide


def test_a_new_format_starts_the_mse_range_anew():
    quantizer = Quantizer("int8-symmetric", range="mse")
    quantizer(normal(1000))
    quantizer.switch("int2-symmetric")
    fresh = Quantizer("int2-symmetric", range="mse")
    assert torch.equal(quantizer(normal(1000, seed=1)), fresh(normal(1000, seed=1)))


def test_protected_rows_stay_and_do_not_count():
    x = normal(20, 30)
    x[0] = 1000
    protected = torch.zeros(20, dtype=torch.bool)
    protected[0] = True
    for name in ("min-max", "running"):
        out = Quantizer("int4", range=name)(x, protected=protected)
        assert torch.equal(out[0], x[0])
        assert torch.equal(out[1:], get_format("int4").fake_quantize(x[1:]))


def test_a_first_step_in_which_all_are_protected():
    x = normal(20, 30)
    quantizer = Quantizer("int4", range="running")
    assert torch.equal(quantizer(x, protected=torch.ones(20, dtype=torch.bool)), x)
    assert torch.equal(quantizer(x), get_format("int4").fake_quantize(x))


def test_gradients_pass_for_protected_rows_and_are_clipped_for_others():
    x = torch.tensor([[9.0], [0.5], [9.0]], requires_grad=True)
    quantizer = Quantizer("int4", range="running", estimator="clipped").eval()
    quantizer.train()
    quantizer(torch.tensor([[-1.0], [1.0]]))
    quantizer.eval()
    quantizer(x, protected=torch.tensor([True, False, False])).sum().backward()
    assert x.grad.flatten().tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("first", [0.1, 5.0])
def test_a_learned_step_learns(first):
    x = normal(1000)
    quantizer = Quantizer("int2-symmetric", range="learned", estimator="lsq")
    quantizer(x)
    with torch.no_grad():
        quantizer.range.step.fill_(first)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    errors = []
    for _ in range(200):
        optimizer.zero_grad()
        error = (quantizer(x) - x).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    # Three levels hold a normal with an error of 0.19 at best (Max, 1960); a step too small or large has 0.8 or more.
    assert errors[0] > 0.8
    assert errors[-1] < 0.25


@pytest.mark.parametrize("estimator", ["ste", "clipped"])
def test_nan_is_an_error_that_names_the_site(estimator):
    x = torch.ones(2, 3)
    x[1, 2] = float("nan")
    with pytest.raises(NonFiniteError) as error:
        Quantizer("int8", site="layer 1 aggregate", estimator=estimator)(x)
    assert str(error.value) == (
        "layer 1 aggregate holds NaN or infinity in 1 of 6 elements, the first at (1, 2): "
        "lower the learning rate, or use a wider format"
    )


def test_evaluating_without_a_range_names_the_site():
    with pytest.raises(RunError) as error:
        Quantizer("int8", site="layer 1 aggregate", range="ema").eval()(normal(3))
    assert str(error.value) == (
        "layer 1 aggregate: the range has seen no tensor: train, or calibrate in training mode, before evaluating"
    )


def test_a_flag_on_the_device_names_the_site_afterwards():
    model = nn.ModuleList([Quantizer("int8", site="layer 0 feature"), Quantizer("int8", site="layer 1 feature")])
    model[1].bad.fill_(True)
    with pytest.raises(RunError) as error:
        check_finite(model)
    assert str(error.value) == ("layer 1 feature holds NaN or infinity: lower the learning rate, or use a wider format")


def test_the_flag_is_kept_on_the_device():
    # A meta tensor has no values: whatever waits for one raises.
    model = nn.ModuleList([Quantizer("int8", site="layer 0 feature"), Quantizer("int8", site="layer 1 feature")]).to(
        "meta"
    )
    for quantizer in model:
        quantizer(torch.empty(3, 4, device="meta"))
        assert quantizer.bad.device.type == "meta"


def test_all_is_well_on_the_cpu():
    model = nn.ModuleList([Quantizer("int8")])
    model[0](normal(3))
    check_finite(model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"estimator": "dorefa"},
            "unknown gradient estimator 'dorefa': allowed are ste, clipped, clipped-inclusive, lsq",
        ),
        ({"rounding": "up"}, "unknown rounding 'up': allowed are nearest, floor, stochastic"),
        ({"granularity": "node"}, "unknown granularity 'node': allowed are tensor, row, channel"),
        (
            {"estimator": "lsq"},
            "the learned range and the estimator lsq belong together: give both or neither",
        ),
        (
            {"estimator": "lsq", "range": "learned"},
            "a learned step needs a symmetric integer format, such as int4-symmetric, not int8",
        ),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message):
    with pytest.raises(InputError) as error:
        Quantizer("int8", **settings)
    assert str(error.value) == message


def test_its_text_says_what_it_does():
    assert repr(Quantizer("int4", site="layer 0 feature", range="ema")) == (
        "Quantizer(\n"
        "  int4, site='layer 0 feature', range='ema', granularity='tensor', rounding='nearest', estimator='ste'\n"
        "  (range): Ema(momentum=0.01)\n"
        ")"
    )
