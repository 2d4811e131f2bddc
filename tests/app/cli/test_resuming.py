"""A run that is left and taken up again ends as if it had not been."""

from __future__ import annotations

import itertools

import pytest

import engine
from app.cli.resuming import Kept
from engine.errors import RunError
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training

SPEC = RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": "int8", "training": {"epochs": 6}})


def test_a_checkpoint_is_gone_on_from(settings: Settings) -> None:
    kept = Kept(SPEC, settings)
    assert kept.checkpoint() is None
    assert kept.result() is None
    left = Training(SPEC, settings)
    for _ in itertools.islice(left, 6):
        kept.save(left, now=True)
    checkpoint = Kept(SPEC, settings).checkpoint()
    assert checkpoint is not None
    assert 0 < checkpoint.epoch < 6
    *_, last = Training(SPEC, settings, resume=checkpoint)
    whole = engine.run(SPEC, settings).history.columns
    for name in ("train_loss", "val_loss", "test_metric"):
        assert last.history.columns[name] == whole[name]  # pyright: ignore[reportAttributeAccessIssue]


def test_what_has_ended_is_not_trained_again(settings: Settings) -> None:
    summary = engine.run(SPEC, settings).summary
    Kept(SPEC, settings).finish("a-run", summary)
    assert Kept(SPEC, settings).result() == ("a-run", summary)
    other = RunSpec.parse({**SPEC.model_dump(), "seed": 1})
    assert Kept(other, settings).result() is None


def test_an_old_enough_checkpoint_is_not_written_at_every_epoch(settings: Settings) -> None:
    kept, training = Kept(SPEC, settings), Training(SPEC, settings)
    for _ in itertools.islice(training, 5):
        kept.save(training)
    assert kept.checkpoint() is None, "seconds have not gone by"


def test_a_broken_checkpoint_is_named(settings: Settings) -> None:
    folder = settings.home / "resume" / SPEC.hash
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_bytes(b"no")
    with pytest.raises(RunError, match=r"^the checkpoint checkpoint\.pt cannot be read: "):
        Kept(SPEC, settings).checkpoint()
