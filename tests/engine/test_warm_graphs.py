"""What a process keeps between its runs is what it would load anew, and no more than a little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine import graph as graphs
from engine.graph import load_graph, warm_graph
from engine.settings import Settings
from engine.spec import RunSpec
from tests.engine.own_data.files import NODES, write_arrays


@pytest.fixture(autouse=True)
def _cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_warm", type(graphs._warm)())


def dataset(name: str):
    return RunSpec.parse({"dataset": name, "model": "gcn"}).dataset


def test_a_graph_stays_with_what_is_derived_of_it(settings: Settings):
    first = warm_graph(dataset("karate"), settings)
    features, looped = first.features, first.topology.looped
    again = warm_graph(dataset("karate"), settings)
    assert again is first
    assert again.features is features
    assert again.topology.looped is looped
    assert again.provenance == load_graph(dataset("karate"), settings).provenance


def test_other_options_and_other_folders_are_other_graphs(settings: Settings, tmp_path: Path):
    first = warm_graph(dataset("karate"), settings)
    elsewhere = settings.model_copy(update={"data": tmp_path / "elsewhere"})
    assert warm_graph(dataset("karate"), elsewhere) is not first
    assert warm_graph(dataset("karate"), settings) is first


def test_a_file_that_was_written_anew_is_read_anew(settings: Settings, tmp_path: Path):
    fresh = settings.model_copy(update={"data": tmp_path / "own"})
    first = warm_graph(dataset("karate"), fresh)
    (kept,) = (tmp_path / "own" / "loaded").glob("*.pt")
    kept.write_bytes(kept.read_bytes())
    assert warm_graph(dataset("karate"), fresh) is not first


def test_a_persons_files_are_read_in_every_run(settings: Settings, tmp_path: Path):
    spec = dataset(f'file(path="{write_arrays(tmp_path / "ring.npz")}")')
    before = warm_graph(spec, settings).y.tolist()
    write_arrays(tmp_path / "ring.npz", y=1 - np.arange(NODES) % 2)
    assert (before, warm_graph(spec, settings).y.tolist()) == ([0, 1] * 6, [1, 0] * 6)


def test_only_so_many_stay(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(graphs, "MOST_WARM", 2)
    first = warm_graph(dataset("karate"), settings)
    for seed in (0, 1):
        warm_graph(dataset(f"sbm(nodes=40,graph_seed={seed},train_per_class=2)"), settings)
    assert len(graphs._warm) == 2
    assert warm_graph(dataset("karate"), settings) is not first
