"""A run left after any epoch and taken up again ends as if nothing had happened, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.checkpoint import Checkpoint
from engine.errors import RunError
from engine.events import Body, EpochFinished, LedgerRecorded, PrecisionChanged, RunFinished, RunStarted
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training

SCHEMES = {
    "adq+dq+sr": "adq[int3,int8](theta=0.6,range=ema)+dq(p_min=0.1,p_max=0.4)+sr",
    "muppet": "muppet[int4,int8,int16](gamma=1)",
    "pfq": "pfq[int4,int6,int8](epsilon=0.5)",
    "dsq": "dsq[int4,int4,int4,int16 -> int8,int8,int8,int16](patience=2)",
    "sgquant": "sgquant(bits=4,tune=6)",
    "a2q": "a2q",
    "nqat": "nqat-int8",
    "ptq": "ptq-int8(range=percentile)",
    "mse": "sdq[int4,msfp12,int8](range=mse)",
}


def spec(scheme: str, epochs: int = 30) -> RunSpec:
    return RunSpec.parse(
        {"dataset": "karate", "model": "gcn(dropout=0.5,input_dropout=true)", "scheme": scheme,
         "training": {"epochs": epochs}, "device": "cpu"}
    )  # fmt: skip


def numbers(events: list[Body]) -> list[Body]:
    """What a run says, without what a clock or the memory says."""
    found: list[Body] = []
    for event in events:
        match event:
            case RunStarted():
                continue
            case EpochFinished():
                found.append(event.model_copy(update={"seconds": None}))
            case RunFinished():
                columns = {**event.history.columns, "seconds": []}
                summary = event.summary.model_copy(update={"seconds": 0.0, "peak_memory": 0})
                found.append(event.model_copy(update={"summary": summary, "history": {"columns": columns}}))
            case _:
                found.append(event)
    return found


def run_with_checkpoints(spec: RunSpec, settings: Settings) -> tuple[list[Body], list[Checkpoint]]:
    training, events, kept = Training(spec, settings), [], []
    for event in training:
        events.append(event)
        if isinstance(event, EpochFinished):
            kept.append(training.checkpoint())
    return events, kept


def test_adq_with_protection_stochastic_rounding_and_dropout_resumes_from_every_epoch(settings: Settings):
    run = spec(SCHEMES["adq+dq+sr"])
    events, kept = run_with_checkpoints(run, settings)
    switches = [event.epoch for event in events if isinstance(event, PrecisionChanged)]
    assert len(switches) > 2
    assert [checkpoint.epoch for checkpoint in kept] == list(range(1, 31))
    for checkpoint in kept:
        assert numbers(list(Training(run, settings, resume=checkpoint))) == numbers(events)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "adq+dq+sr"])
def test_every_kind_of_state_resumes(settings: Settings, name: str):
    run = spec(SCHEMES[name], epochs=16)
    events, kept = run_with_checkpoints(run, settings)
    for checkpoint in kept[::4]:
        assert numbers(list(Training(run, settings, resume=checkpoint))) == numbers(events)


BATCHED = {
    "gcn": {"model": "gcn(dropout=0.5)", "scheme": SCHEMES["adq+dq+sr"]},
    "muppet": {"model": "gcn", "scheme": SCHEMES["muppet"]},
    "a2q": {"model": "gcn", "scheme": "a2q(groups=4)"},
    "ptq": {"model": "gcn", "scheme": SCHEMES["ptq"]},
}
BATCHINGS = {"clusters": "clusters(parts=6,per_batch=2)", "neighbours": "neighbours(fanout=3,batch_size=1)"}


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", BATCHED)
def test_a_run_left_between_two_steps_of_an_epoch_resumes(settings: Settings, name: str, batching: str):
    run = RunSpec.parse(
        {"dataset": "karate", "training": {"epochs": 5, "batching": BATCHINGS[batching]}, "device": "cpu"}
        | BATCHED[name]
    )
    kept: list[Checkpoint] = []
    training = Training(run, settings, stepped=lambda step, of: kept.append(training.checkpoint()))
    events = list(training)
    assert len(kept) >= 12
    for checkpoint in kept[::3]:
        assert numbers(list(Training(run, settings, resume=checkpoint))) == numbers(events)


def test_a_checkpoint_taken_at_a_switch_is_whole(settings: Settings):
    run = spec("sdq[int4,int8]", epochs=6)
    training, events, kept = Training(run, settings), [], []
    for event in training:
        events.append(event)
        if isinstance(event, PrecisionChanged) and event.epoch == 4:
            kept.append(training.checkpoint())
    assert numbers(list(Training(run, settings, resume=kept[0]))) == numbers(events)


def test_a_checkpoint_taken_at_the_start_says_it_once(settings: Settings):
    run = spec("int8", epochs=3)
    training, events, kept = Training(run, settings), [], []
    for event in training:
        events.append(event)
        if isinstance(event, PrecisionChanged):
            kept.append(training.checkpoint())
    assert numbers(list(Training(run, settings, resume=kept[0]))) == numbers(events)


def test_there_is_no_checkpoint_before_the_start(settings: Settings):
    with pytest.raises(RunError) as error:
        Training(spec("int8"), settings).checkpoint()
    assert str(error.value) == "there is no checkpoint before the run has started: ask after its first event"


def test_a_checkpoint_goes_through_a_file(settings: Settings, tmp_path: Path):
    run = spec(SCHEMES["adq+dq+sr"], epochs=14)
    events, kept = run_with_checkpoints(run, settings)
    kept[11].save(tmp_path / "run.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]
    again = Checkpoint.load(tmp_path / "run.ckpt")
    assert again.epoch == 12
    assert numbers(list(Training(run, settings, resume=again))) == numbers(events)


def test_training_on_does_not_change_a_checkpoint(settings: Settings):
    run = spec("int8", epochs=6)
    _, kept = run_with_checkpoints(run, settings)
    first = list(Training(run, settings, resume=kept[2]))
    assert numbers(list(Training(run, settings, resume=kept[2]))) == numbers(first)


def test_another_runs_checkpoint_is_refused(settings: Settings):
    _, kept = run_with_checkpoints(spec("int8", epochs=2), settings)
    with pytest.raises(RunError) as error:
        Training(spec("int4", epochs=2), settings, resume=kept[0])
    assert str(error.value) == "the checkpoint belongs to another run: resume with the spec that it was made with"


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path):
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match=r"^the checkpoint run\.ckpt cannot be read: "):
        Checkpoint.load(path)


def test_the_ledger_of_a_resumed_run_is_the_whole_runs(settings: Settings):
    run = spec("sdq[int4,int8]", epochs=6)
    events, kept = run_with_checkpoints(run, settings)
    resumed = list(Training(run, settings, resume=kept[4]))
    whole, again = ([event for event in each if isinstance(event, LedgerRecorded)] for each in (events, resumed))
    assert whole == again
