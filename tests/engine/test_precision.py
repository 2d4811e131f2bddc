"""Dynamic precision in a run: what is said, what the ledger charges, and that formats really change."""

from __future__ import annotations

import pytest
import torch

import engine
from engine.events import EpochFinished, LedgerRecorded, PrecisionChanged, RunFinished
from engine.formats import get_format
from engine.ledger import preview
from engine.quantizer import Quantizer
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training


def spec(scheme: str, epochs: int = 12, **changes) -> RunSpec:
    base = {"dataset": "karate", "model": "gcn", "training": {"epochs": epochs}, "device": "cpu", "scheme": scheme}
    return RunSpec.parse({**base, **changes})


def said(scheme: str, settings: Settings, kind, **changes) -> list:
    return [event for event in engine.train(spec(scheme, **changes), settings) if isinstance(event, kind)]


def test_an_fp32_run_says_its_precision_too(settings: Settings):
    (start,) = said("fp32", settings, PrecisionChanged)
    assert (start.epoch, start.label, start.changes, start.signal) == (1, "fp32", [], "start")


def test_a_static_run_says_each_site_once(settings: Settings):
    (start,) = said("int8", settings, PrecisionChanged)
    assert start.label == "int8"
    assert start.reason == "the run starts with int8"
    rows = {(change.site, change.product, change.layer): change.format for change in start.changes}
    assert rows["weight", "all", 0] == rows["gradient", "grad_input", 1] == "int8"
    assert len(rows) == 2 * (4 + 2)


def test_sdq_switches_by_the_clock(settings: Settings):
    events = said("sdq[int4,int6,int8]", settings, PrecisionChanged)
    assert [(event.epoch, event.label, event.signal) for event in events] == [
        (1, "int4", "start"),
        (5, "int6", "epoch clock"),
        (9, "int8", "epoch clock"),
    ]
    assert events[1].reason == "epoch 5 begins phase 2 of 3: int6"
    assert {change.format for change in events[1].changes} == {"int6"}


def test_each_epoch_trains_as_the_static_run_of_its_format_would(settings: Settings):
    """Until the first switch the run is the static one, bit for bit; at the switch it parts from it."""
    dynamic = said("sdq[int4,int8]", settings, EpochFinished)
    static = said("int4", settings, EpochFinished)
    assert [row.train_loss for row in dynamic[:6]] == [row.train_loss for row in static[:6]]
    assert dynamic[6].train_loss != static[6].train_loss


def test_a_switch_to_the_same_format_changes_no_number(settings: Settings):
    same = said("sdq[int4,int4]", settings, EpochFinished)
    static = said("int4", settings, EpochFinished)
    assert [row.test_loss for row in same] == [row.test_loss for row in static]


def test_bits_of_each_epoch(settings: Settings):
    rows = said("sdq[int4,int8,fp32]", settings, EpochFinished)
    assert [row.average_bits for row in rows] == [4.0] * 4 + [8.0] * 4 + [32.0] * 4


def test_the_ledger_charges_each_stretch(settings: Settings):
    planned, ledger = said("sdq[int4,int8]", settings, LedgerRecorded)
    assert ledger == planned
    spans = {(row.first_epoch, row.last_epoch, row.format) for row in ledger.rows if row.covered}
    assert spans == {(1, 6, "int4"), (7, 12, "int8")}


def test_densities_of_a_schedule_by_both_means(settings: Settings):
    (finished,) = said("sdq[int4,int8]", settings, RunFinished)
    headline = finished.summary.densities[0]
    assert (headline.scope, headline.coverage) == ("training", "quantized part")
    assert headline.average_bits == 6.0
    assert headline.memory == pytest.approx(32 / 6)
    assert headline.memory_thesis == pytest.approx((8 + 4) / 2)
    assert headline.peak_memory_density == 4.0
    low, high = (get_format(name).arithmetic_density.value for name in ("int8", "int4"))
    assert headline.arithmetic == pytest.approx(2 / (1 / low + 1 / high))
    assert headline.arithmetic_thesis == pytest.approx((low + high) / 2)


def test_a_static_scheme_has_one_density_by_any_mean(settings: Settings):
    (finished,) = said("msfp13", settings, RunFinished)
    for densities in finished.summary.densities:
        assert densities.arithmetic_thesis == densities.arithmetic
        assert densities.memory_thesis == densities.peak_memory_density == densities.memory


def test_adq_tells_the_ratio_that_it_decided_by(settings: Settings):
    events = said("adq[int2,int8](theta=0.5)", settings, PrecisionChanged, epochs=30)
    rows = said("adq[int2,int8](theta=0.5)", settings, EpochFinished, epochs=30)
    assert len(events) > 1
    for event in events[1:]:
        assert event.signal == "loss plateau"
        assert event.value == rows[event.epoch - 2].loss_ratio
        assert event.threshold == 0.5
        assert (event.epoch - 12) % 5 == 0
    # What the ledger says is what was said.
    last = said("adq[int2,int8](theta=0.5)", settings, LedgerRecorded, epochs=30)[-1]
    firsts = sorted({row.first_epoch for row in last.rows})
    assert firsts == [event.epoch for event in events]


def test_every_run_logs_every_signal(settings: Settings):
    for scheme in ("fp32", "int4", "sdq[int4,int8]"):
        rows = said(scheme, settings, EpochFinished, epochs=12)
        assert [row.epoch for row in rows if row.loss_ratio is not None] == [10, 11, 12]
        assert [row.epoch for row in rows if row.gradient_diversity is not None] == [3, 6, 9, 12]
        assert all(row.validation_stall is not None for row in rows)


def test_dsq_moves_four_points(settings: Settings):
    ladder = "dsq[int4,int4,int4,int16 -> int8,int6,int7,int16](patience=3)"
    events = said(ladder, settings, PrecisionChanged, epochs=60, training={"epochs": 60, "lr": 0.2})
    assert events[0].label == "int4,int4,int4,int16"
    assert [event.label for event in events[1:]] == ["int8,int6,int7,int16"]
    changed = {(change.site, change.product): change.format for change in events[1].changes}
    assert changed["stash", "grad_weight"] == "int6"
    assert (changed["input", "forward"], changed["input", "grad_weight"]) == ("int8", "int7")
    assert ("gradient", "grad_layer") not in changed


def test_the_stash_is_what_the_weights_gradient_reads(settings: Settings):
    """Two formats of the stash alone give the same forward pass and other weights."""
    runs = [
        said(f"dsq[int8,{stash},int16,int16]", settings, EpochFinished, epochs=3, model="gcn(dropout=0.0)")
        for stash in ("int2", "int16")
    ]
    assert runs[0][0].train_loss == runs[1][0].train_loss
    assert runs[0][1].train_loss != runs[1][1].train_loss


def test_phases_of_a_scheme_say_their_precision(settings: Settings):
    events = said("sgquant(bits=4,tune=3)", settings, PrecisionChanged, epochs=5)
    assert [(event.epoch, event.label, event.signal) for event in events] == [
        (1, "fp32", "start"),
        (6, "int4-floor", "epoch clock"),
    ]
    assert events[1].reason == "the phase 'fine-tune' begins: int4-floor"


@pytest.mark.parametrize("model", ["gcn", "gat", "sage", "gin", "agnn"])
@pytest.mark.parametrize(
    "scheme", ["adq[msfp12 -> msfp13 -> int8 -> fp32](theta=0.1)+dq+sr", "cpt[int2,int6](cycles=3)+sr"]
)
def test_every_architecture_trains_with_the_formats_that_were_said(settings: Settings, model: str, scheme: str):
    training = Training(spec(scheme, epochs=28, model=model, training={"epochs": 28}), settings)
    now: dict[tuple[str, str, int], str] = {}
    changes = 0
    for event in training:
        if isinstance(event, PrecisionChanged):
            now |= {(change.site, change.product, change.layer): change.format for change in event.changes}
            changes += 1
            live = training.trainer.live
            assert {(site, product, layer): format.name for site, product, layer, format in live.formats()} == now
            made = {part.format.name for part in live.quantizers.modules() if isinstance(part, Quantizer)}
            assert made == set(now.values())
    assert changes >= 4


def test_an_fp32_step_counts_in_every_density(settings: Settings):
    (finished,) = said("sdq[int8,fp32]", settings, RunFinished)
    headline = next(each for each in finished.summary.densities if each.scope == "training")
    assert headline.coverage == "quantized part"
    assert headline.average_bits == 20.0
    assert headline.memory == pytest.approx(32 / 20)
    assert headline.memory_thesis == pytest.approx((4 + 1) / 2)
    assert headline.peak_memory_density == 1.0
    assert headline.arithmetic == pytest.approx(2 / (1 / 7.7 + 1))


def test_inference_is_charged_at_the_formats_of_the_best_epoch(settings: Settings):
    (finished,) = said("sdq[int8,int2]:weight,feature", settings, RunFinished, epochs=20)
    headline, best = finished.summary.densities[0], finished.summary.best_epoch
    assert headline.scope == "inference"
    assert headline.average_bits == (8.0 if best <= 10 else 2.0)
    assert best <= 10  # so that the last epoch's formats would be the wrong answer


def test_the_preview_is_the_least_that_a_run_has(settings: Settings):
    ladder = "adq[msfp12 -> msfp13 -> int8 -> fp32](theta=0.9)"
    run = spec(ladder, epochs=40, training={"epochs": 40})
    (finished,) = said(ladder, settings, RunFinished, epochs=40)
    for real, least in zip(finished.summary.densities, preview(run, settings), strict=True):
        assert (real.scope, real.coverage) == (least.scope, least.coverage)
        if real.scope == "training":
            assert real.arithmetic >= least.arithmetic
            assert real.memory >= least.memory


def test_each_of_dsqs_points_is_charged(settings: Settings):
    def bits(ladder: str) -> float:
        (finished,) = said(f"dsq[{ladder}]", settings, RunFinished, epochs=2)
        return finished.summary.densities[0].average_bits

    same = bits("int8,int8,int8,int8")
    for narrower in ("int2,int8,int8,int8", "int8,int2,int8,int8", "int8,int8,int2,int8", "int8,int8,int8,int2"):
        assert bits(narrower) < same
    # The stash has a range a row, which is charged too.
    assert same > 8


@pytest.mark.parametrize("model", ["gcn", "gat", "sage", "gin", "agnn"])
def test_the_gradient_between_layers_is_quantized(settings: Settings, model: str):
    """It reaches the layers before, and leaves the last layer's own gradients alone."""

    def gradients(between: str) -> list[torch.Tensor]:
        training = Training(spec(f"dsq[int16,int16,int16,{between}]", epochs=1, model=model), settings)
        list(training)
        return [p.grad.clone() for p in training.trainer.model.parameters() if p.grad is not None]

    wide, narrow = gradients("int16"), gradients("int2")
    assert not torch.equal(wide[0], narrow[0])
    assert torch.equal(wide[-1], narrow[-1])
