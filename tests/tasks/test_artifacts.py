"""A worker on another machine: its files are the store's."""

from __future__ import annotations

from pathlib import Path

import engine
from engine.settings import Settings
from tasks.artifacts import Remote
from tests.tasks.stack import TOKEN, Stack, karate


def test_a_remote_workers_model_lies_with_the_store(stack: Stack) -> None:
    stack.end("worker@a")
    stack.start("remote@c")
    try:
        spec = karate(epochs=20, scheme="dq-int8")
        [run] = stack.launch(spec)
        assert stack.until(run, "finished", "failed")["worker"] == "remote@c"
    finally:
        stack.end("remote@c")
    folder = stack.settings.artifacts / run / "1"
    result = engine.run(spec, stack.settings)
    assert engine.load(folder / "model.safetensors", settings=stack.settings).compare(result).share == 1.0
    assert list((stack.home_of("remote@c") / "artifacts").rglob("*.*")) == []


def test_who_shares_the_folder_sends_nothing(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"no checkpoint, which the store would refuse")
    settings = stack.settings.model_copy(update={"store_token": TOKEN})
    assert Remote(settings, "r", 1, "").put(path) is False
    assert Remote(Settings(home=tmp_path), "r", 1, "").put(path) is False
