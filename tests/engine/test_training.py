"""The training loop: repeatable bit for bit, honest selections, and failures in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import engine
from engine.errors import RunError
from engine.events import EpochFinished, LedgerRecorded, PrecisionChanged, RunFinished, RunStarted
from engine.objectives import OBJECTIVES, Objective
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import choose_device, summarize


def spec(**changes) -> RunSpec:
    base = {"dataset": "karate", "model": "gcn", "training": {"epochs": 12}, "device": "cpu"}
    return RunSpec.parse({**base, **changes})


def untimed(events: list) -> list:
    """The events without what a clock or the memory says."""
    rows = [event for event in events if isinstance(event, EpochFinished)]
    return [row.model_copy(update={"seconds": None}) for row in rows]


def test_the_order_of_events(settings: Settings):
    events = list(engine.train(spec(), settings))
    expected = [RunStarted, LedgerRecorded, PrecisionChanged, *[EpochFinished] * 12, RunFinished]
    assert [type(event) for event in events] == expected
    assert [event.epoch for event in events if isinstance(event, EpochFinished)] == list(range(1, 13))


def test_the_terminal_event_carries_the_whole_table(settings: Settings):
    events = list(engine.train(spec(), settings))
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.history.rows() == events[3:-1]


@pytest.mark.parametrize("scheme", ["fp32", "int8", "int4", "msfp13", "msfp12"])
def test_the_same_spec_gives_the_same_bits(settings: Settings, scheme: str):
    first = untimed(list(engine.train(spec(scheme=scheme), settings)))
    torch.manual_seed(12345)
    torch.rand(17)
    assert untimed(list(engine.train(spec(scheme=scheme), settings))) == first


def test_another_seed_gives_other_numbers(settings: Settings):
    assert untimed(list(engine.train(spec(), settings))) != untimed(list(engine.train(spec(seed=1), settings)))


def test_every_scheme_changes_the_numbers(settings: Settings):
    losses = {
        scheme: engine.run(spec(scheme=scheme), settings).history.columns["train_loss"][-1]
        for scheme in ("fp32", "int8", "int4", "msfp13", "msfp12", "int8:gradient")
    }
    assert len(set(losses.values())) == len(losses)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_any_number_of_layers(settings: Settings, layers: int):
    result = engine.run(spec(model=f"gcn(layers={layers},hidden=8)", scheme="int8"), settings)
    widths = [34, *[8] * (layers - 1), 4]
    expected = sum(a * b + b for a, b in pairwise(widths))
    assert result.summary.parameters == expected


def test_training_learns(settings: Settings):
    losses = engine.run(spec(training={"epochs": 60}), settings).history.columns["train_loss"]
    first, last = losses[0], losses[-1]
    assert first is not None
    assert last is not None
    assert last < first / 3


def test_three_selections_from_one_table():
    rows = [
        EpochFinished(epoch=1, val_metric=60.0, test_metric=90.0),
        EpochFinished(epoch=2, val_metric=80.0, test_metric=70.0),
        EpochFinished(epoch=3, val_metric=80.0, test_metric=75.0),
        EpochFinished(epoch=4, val_metric=70.0, test_metric=65.0),
    ]
    found = summarize(rows, OBJECTIVES["node-classification"], densities=[], seconds=1.0, peak=0, parameters=1)
    assert found.best_epoch == 2, "the first of equals"
    assert found.test_at_best_val == 70.0
    assert found.test_last == 65.0
    assert found.test_max == 90.0


def measured(*, higher: bool) -> Objective:
    return replace(OBJECTIVES["node-classification"], metric="error", unit="", higher_is_better=higher)


def test_the_least_is_best_where_lower_is_better():
    rows = [
        EpochFinished(epoch=1, val_metric=0.9, test_metric=0.2),
        EpochFinished(epoch=2, val_metric=0.5, test_metric=0.7),
        EpochFinished(epoch=3, val_metric=None, test_metric=0.4),
        EpochFinished(epoch=4, val_metric=0.6, test_metric=0.6),
    ]
    found = summarize(rows, measured(higher=False), densities=[], seconds=1.0, peak=0, parameters=1)
    assert (found.best_epoch, found.val_best, found.test_at_best_val) == (2, 0.5, 0.7)
    assert (found.test_last, found.test_max) == (0.6, 0.2)
    assert (found.metric, found.unit, found.higher_is_better) == ("error", "", False)


def test_without_a_validation_the_last_epoch_is_selected():
    rows = [EpochFinished(epoch=epoch, test_metric=50.0 + epoch, also={"other": float(epoch)}) for epoch in (1, 2, 3)]
    found = summarize(rows, measured(higher=True), densities=[], seconds=1.0, peak=0, parameters=1)
    assert (found.best_epoch, found.val_best, found.test_at_best_val) == (3, None, 53.0)
    assert found.also == {"other": 3.0}


def test_a_loss_that_is_not_finite_ends_the_run_in_words(settings: Settings):
    failing = spec(training={"epochs": 50, "lr": 1e30})
    events = []
    with pytest.raises(RunError) as caught:
        events.extend(engine.train(failing, settings))
    last = events[-1]
    assert isinstance(last, EpochFinished)
    assert None in (last.train_loss, last.val_loss, last.test_loss)
    split = "train" if last.train_loss is None else "val" if last.val_loss is None else "test"
    assert str(caught.value) == (
        f"the {split} loss is no longer a finite number at epoch {last.epoch}: "
        "lower training.lr (now 1e+30) or use a wider format (now fp32)"
    )


def test_a_quantized_site_that_is_not_finite_is_named(settings: Settings):
    with pytest.raises(RunError, match=r"^the \w+ of layer [12] holds NaN or infinity in \d+ of \d+ elements"):
        list(engine.train(spec(scheme="int8", training={"epochs": 50, "lr": 1e30}), settings))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_asking_for_an_absent_cuda_device_is_said():
    with pytest.raises(RunError) as caught:
        choose_device("cuda")
    assert str(caught.value) == (
        "device = 'cuda' is asked for, but this machine has no usable CUDA device: use 'cpu' or 'auto'"
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_trains(settings: Settings):
    result = engine.run(spec(device="cuda", scheme="int8"), settings)
    assert result.summary.test_last is not None
    assert math.isfinite(result.summary.test_last)


def test_the_summary_has_every_scope_and_coverage(settings: Settings):
    summary = engine.run(spec(scheme="msfp13"), settings).summary
    assert [(d.scope, d.coverage) for d in summary.densities] == [
        ("training", "quantized part"),
        ("training", "whole step"),
        ("inference", "quantized part"),
        ("inference", "whole step"),
    ]
    assert summary.densities[0].memory == pytest.approx(32 / 5.5)
    assert summary.densities[0].arithmetic == 18.3
    assert summary.peak_memory is not None
    assert summary.peak_memory > 50e6


def mean_test_accuracy(settings: Settings, scheme: str, seeds: int = 3) -> float:
    runs = [RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme, "seed": seed}) for seed in range(seeds)]
    found = [engine.run(run, settings).summary.test_at_best_val for run in runs]
    return sum(value for value in found if value is not None) / seeds


def test_cora_reaches_the_published_accuracy_and_narrow_formats_stay_near(settings: Settings, mirror):
    """Three seeds at best validation; `bitfront run --seeds 10` gives the README's table."""
    fp32 = mean_test_accuracy(settings, "fp32")
    assert fp32 >= 80.5
    for scheme in ("int8", "msfp16", "msfp13"):
        assert mean_test_accuracy(settings, scheme) >= fp32 - 1, scheme
