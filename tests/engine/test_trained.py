"""The model of the best epoch: the rule that selects it, and that nothing of later epochs comes into it."""

from __future__ import annotations

import pytest
import torch

import engine
from engine.checkpoint import Checkpoint
from engine.counted_size import counted_size
from engine.errors import RunError
from engine.events import EpochFinished
from engine.ledger import run_ledger
from engine.ledger.figures import run_figures
from engine.live import LiveScheme
from engine.predicting import Predictor
from engine.settings import Settings
from engine.spec import RunSpec
from engine.trained import BestModel, TrainedModel
from engine.training import Training


def spec(scheme: str = "int8", epochs: int = 12, **changes) -> RunSpec:
    base = {"dataset": "karate", "model": "gcn", "scheme": scheme, "training": {"epochs": epochs}, "device": "cpu"}
    return RunSpec.parse({**base, **changes})


def equal(first: TrainedModel, second: TrainedModel) -> bool:
    def same(a: object, b: object) -> bool:
        return torch.equal(a.nan_to_num(-1.0), b.nan_to_num(-1.0)) if isinstance(a, torch.Tensor) else a == b  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]

    pairs = [(first.model, second.model), (first.live, second.live)]
    return first.epoch == second.epoch and all(
        a.keys() == b.keys() and all(same(a[k], b[k]) for k in a) for a, b in pairs
    )


def heard(values: list[float | None], *, higher: bool, counts: list[bool] | None = None) -> int:
    """The epoch whose model is kept after these validation metrics."""
    model, live = torch.nn.Linear(1, 1), LiveScheme(spec().parsed_scheme)
    best = BestModel(higher_is_better=higher)
    for epoch, value in enumerate(values, 1):
        row = EpochFinished(epoch=epoch, val_metric=value, counts=counts[epoch - 1] if counts else True)
        best.after(row, model, live)
    return best.state()["epoch"]


@pytest.mark.parametrize(
    ("values", "higher", "expected"),
    [
        ([1.0, 3.0, 3.0, 2.0], True, 2),
        ([1.0, 3.0, 1.0, 2.0], False, 1),
        ([None, None, None], True, 3),
        ([None, 2.0, None, 1.0], True, 2),
    ],
)
def test_the_first_epoch_of_the_best_validation_is_kept(values: list[float | None], higher: bool, expected: int):
    assert heard(values, higher=higher) == expected


def test_epochs_that_do_not_count_are_passed_over():
    assert heard([9.0, 1.0, 2.0], higher=True, counts=[False, True, True]) == 3


@pytest.mark.parametrize(
    "scheme", ["fp32", "dq-int4", "sdq[int2,int16]", "a2q", "sgquant(bits=4,tune=6)", "int4+sr", "ptq-int8(range=mse)"]
)
def test_the_model_is_the_one_that_was_selected(settings: Settings, scheme: str):
    """Evaluated again, it gives the metrics of the best epoch."""
    run = spec(scheme)
    result = engine.run(run, settings)
    trained = result.model
    assert trained.epoch == result.summary.best_epoch
    model, live = trained.build()
    predictor = Predictor(run, trained.size, model, live, settings=settings)
    labels, graph = predictor.predict(), predictor._problem
    _, scores = graph.evaluate(lambda x, topology: predictor.scores())
    assert scores["val"] == result.summary.val_best
    assert scores["test"] == result.summary.test_at_best_val
    assert labels.shape == (34,)


def test_a_later_switch_of_formats_does_not_reach_it(settings: Settings):
    """The controller decides after the epoch, and before the next one is said."""
    run = spec("sdq[int2,int16]", epochs=8)
    training = Training(run, settings)
    for event in training:
        if isinstance(event, EpochFinished) and event.epoch == 4:
            assert {format.name for *_, format in training.trainer.live.formats()} == {"int16"}, "switched already"
            kept = training.best.state()
            assert kept["epoch"] <= 4
            formats = {state["format"] for name, state in kept["live"].items() if name.endswith("_extra_state")}
            assert formats == {"int2"}


@pytest.mark.parametrize("scheme", ["dq-int8(range=ema)", "a2q"])
def test_a_resumed_run_leaves_the_same_model(settings: Settings, scheme: str):
    run = spec(scheme, epochs=10)
    training, kept = Training(run, settings), list[Checkpoint]()
    for event in training:
        if isinstance(event, EpochFinished):
            kept.append(training.checkpoint())
    whole = training.result().model
    for checkpoint in (kept[0], kept[4], kept[9]):
        again = Training(run, settings, resume=checkpoint)
        assert list(again)
        assert equal(again.result().model, whole)


def test_there_is_no_result_before_the_end(settings: Settings):
    with pytest.raises(RunError) as error:
        Training(spec(), settings).result()
    assert str(error.value) == "there is no result before the run has finished: ask after its last event"


def test_the_ledger_has_the_bits_of_the_best_epochs_model_and_after_it_those_of_the_last(settings: Settings):
    run = spec("a2q", epochs=40)
    training = Training(run, settings)
    for _ in training:
        pass
    result = training.result()
    best = result.model.epoch
    assert best < 40
    size = counted_size(run, training.problem)
    _, of_best = result.model.build()
    for first, last, live in ((1, best, of_best), (best + 1, 40, training.trainer.live)):
        rows = [row for row in result.ledger if row.first_epoch == first]
        expected = [
            row.model_copy(update={"first_epoch": first, "last_epoch": last}) for row in run_ledger(run, size, live)
        ]
        assert rows == expected
    # The two are not alike, and the summary's inference figures are the first's.
    found = run_figures([row for row in result.ledger if row.first_epoch == 1])
    assert result.summary.figures["average_bits.inference"] == found["average_bits.inference"]
    assert found["average_bits.inference"] != run_figures(result.ledger)["average_bits.inference"]
