"""Which kernel sums codes is measured once a machine, kept and read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.integers import dispatch
from engine.integers.dispatch import WIDTHS, Dispatch, dispatch_file, dispatch_for, measured
from engine.settings import Settings

RATIOS = {str(width): width / 100 for width in WIDTHS}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_here", {})


def test_the_faster_kernel_at_the_nearest_width_is_chosen():
    found = Dispatch({16: 1.2, 64: 0.5}, {16: 1.0, 64: 1.1})
    assert [found.pays(False, width) for width in (16, 32, 48, 1024)] == [False, False, True, True]
    assert [found.pays(True, width) for width in (16, 64)] == [True, False]


def test_what_was_measured_is_kept_and_read(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    threads = str(torch.get_num_threads())
    asked: list[int] = []

    def measure() -> dict[str, dict[str, float]]:
        asked.append(1)
        return {"codes": RATIOS, "weighted": RATIOS}

    monkeypatch.setattr(dispatch, "measured", measure)
    found = dispatch_for(settings)
    assert found.ratio(False, 64) == 0.64
    assert json.loads(dispatch_file(settings).read_text()) == {threads: {"codes": RATIOS, "weighted": RATIOS}}
    monkeypatch.setattr(dispatch, "_here", {})
    assert dispatch_for(settings) == found
    assert len(asked) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"1": {}}', '{"1": {"codes": {"16": 1}, "weighted": {}}}', "\x00"])
def test_a_file_of_another_form_is_measured_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch, text: str):
    path = dispatch_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    monkeypatch.setattr(dispatch, "measured", lambda: {"codes": RATIOS, "weighted": RATIOS})
    assert dispatch_for(settings).ratio(True, 256) == 2.56
    assert json.loads(path.read_text()).keys() == {str(torch.get_num_threads())}


def test_where_nothing_can_be_written_it_is_measured_and_not_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    path = dispatch_file(settings)
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.write_text("a file where the folder would be")
    monkeypatch.setattr(dispatch, "measured", lambda: {"codes": RATIOS, "weighted": RATIOS})
    assert dispatch_for(settings).ratio(False, 16) == 0.16


def test_every_width_is_measured(tmp_path: Path):
    found = measured()
    assert found.keys() == {"codes", "weighted"}
    assert all([int(width) for width in ratios] == list(WIDTHS) for ratios in found.values())
    assert all(0 < ratio < 100 for ratios in found.values() for ratio in ratios.values())
