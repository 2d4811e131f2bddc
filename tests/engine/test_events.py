"""Events: typed, numbered, and the same after a trip over the wire."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import InputError
from engine.events import VERSION, Envelope, EpochFinished, History, RunFailed, new_run_id

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
epochs = st.builds(EpochFinished, epoch=st.integers(1, 1000), train_loss=numbers, val_metric=numbers, seconds=numbers)


@given(st.lists(epochs, max_size=5))
def test_a_history_gives_back_its_rows(rows: list[EpochFinished]):
    assert History.of(rows).rows() == rows


@given(epochs, st.integers(1, 9), st.integers(1, 10**6))
def test_an_envelope_survives_the_wire(body: EpochFinished, attempt: int, seq: int):
    envelope = Envelope(run="r", attempt=attempt, seq=seq, at=1.5, body=body)
    assert Envelope.from_json(envelope.to_json()) == envelope


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_becomes_none(value: float):
    assert EpochFinished(epoch=1, train_loss=value).train_loss is None


def test_a_failed_run_keeps_its_history():
    history = History.of([EpochFinished(epoch=1, train_loss=0.5)])
    envelope = Envelope(run="r", attempt=1, seq=3, at=0, body=RunFailed(reason="why", history=history))
    back = Envelope.from_json(envelope.to_json())
    assert isinstance(back.body, RunFailed)
    assert back.body.history.rows() == history.rows()


def test_a_newer_version_is_refused_by_name():
    text = (
        Envelope(run="r", at=0, body=EpochFinished(epoch=1)).to_json().replace(f'"version":{VERSION}', '"version":99')
    )
    with pytest.raises(InputError) as caught:
        Envelope.from_json(text)
    assert str(caught.value) == f"event version 99 is newer than {VERSION}: update the store"


def test_an_unknown_event_is_refused():
    with pytest.raises(ValidationError):
        Envelope.from_json('{"run":"r","at":0,"body":{"type":"run_teleported"}}')


def test_run_ids_sort_by_time_and_differ():
    ids = [new_run_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(run) == 14 for run in ids)
    assert [run[:9] for run in ids] == sorted(run[:9] for run in ids)
