"""One's own data as a dataset: by path, by upload, refused where a service reads it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import engine
from engine import recipe_files
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.graph import load_graph
from engine.own_data.uploads import keep_upload
from engine.settings import Settings
from engine.spec import RunSpec
from tests.engine.datasets.specs import dataset
from tests.engine.own_data.files import NODES, write_arrays, write_set, write_tables


def test_a_graph_by_its_path(settings: Settings, tmp_path: Path):
    spec = dataset(f'file(path="{write_tables(tmp_path / "my data")}",undirected=true)')
    graph = load_graph(spec, settings)
    assert graph.size == DATASETS["file"].size(spec)
    assert (graph.size.nodes, graph.size.edges, graph.size.classes) == (NODES, 2 * NODES, 2)
    assert [int(mask.sum()) for mask in graph.masks.values()] == [6, 3, 3]
    assert graph.provenance["about"] == "files of my data"


def test_the_same_graph_as_tables_and_as_npz_is_one(settings: Settings, tmp_path: Path):
    tables = load_graph(dataset(f'file(path="{write_tables(tmp_path / "t")}")'), settings)
    arrays = load_graph(dataset(f'file(path="{write_arrays(tmp_path / "a.npz")}")'), settings)
    assert tables.provenance["fingerprint"] == arrays.provenance["fingerprint"]


def test_a_changed_file_is_read_anew(settings: Settings, tmp_path: Path):
    file = write_arrays(tmp_path / "a.npz")
    spec = dataset(f'file(path="{file}")')
    before = load_graph(spec, settings)
    write_arrays(file, x=np.zeros((NODES, 5)))
    assert load_graph(spec, settings).size.features == 5
    assert DATASETS["file"].size(spec).features == 5
    assert before.size.features == 2


def test_without_a_split_each_class_is_split(settings: Settings, tmp_path: Path):
    file = write_arrays(tmp_path / "a.npz", train_mask=None, val_mask=None, test_mask=None)
    graph = load_graph(dataset(f'file(path="{file}")'), settings)
    assert graph.y[graph.masks["train"]].bincount().tolist() == [4, 4]
    assert graph.y[graph.masks["val"]].bincount().tolist() == [1, 1]


def test_without_features_degrees_are_the_features(settings: Settings, tmp_path: Path):
    graph = load_graph(dataset(f'file(path="{write_arrays(tmp_path / "a.npz", x=None)}",degree_cap=3)'), settings)
    assert torch.equal(graph.x, torch.tensor([[0.0, 1.0, 0.0, 0.0]]).expand(NODES, 4))


def test_a_folder_of_graphs(settings: Settings, tmp_path: Path):
    spec = dataset(f'folder(path="{write_set(tmp_path / "set")}")')
    graph = load_graph(spec, settings)
    assert (graph.size.graphs, graph.size.nodes) == (12, sum(range(3, 15)))
    assert graph.size == DATASETS["folder"].size(spec)
    assert graph.y.tolist() == [0, 1] * 6
    assert graph.masks == {}


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("file", "node-classification"),
        ("file(labels=several)", "multi-label-node-classification"),
        ("folder", "graph-classification"),
        ("folder(labels=several)", "multi-task-graph-classification"),
        ("folder(labels=numbers)", "graph-regression"),
    ],
)
def test_the_labels_decide_the_task(text: str, task: str):
    name, _, options = text.partition("(")
    upload = "upload=u0123456789abcdef" + ("," + options.removesuffix(")") if options else "")
    assert RunSpec.parse({"dataset": f"{name}({upload})", "model": "gcn"}).task.name == task


@pytest.mark.parametrize("labels", ["classes", "numbers"])
def test_own_data_trains(settings: Settings, tmp_path: Path, labels: str):
    folder = write_set(tmp_path / "set", graphs=24)
    text = f'folder(path="{folder}",labels={labels})'
    spec = RunSpec.parse({"dataset": text, "model": "gin(hidden=8)", "scheme": "int8", "training": {"epochs": 2}})
    last = engine.run(spec, settings).summary.test_last
    assert last is not None
    assert np.isfinite(float(last))
    file = write_tables(tmp_path / "one")
    spec = RunSpec.parse({"dataset": f'file(path="{file}")', "model": "gcn", "training": {"epochs": 2}})
    assert engine.run(spec, settings).summary.metric == "accuracy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "folder(path=a,upload=u0123456789abcdef)",
            'the dataset folder needs either a path, such as folder(path="./mine"), or an upload\'s id',
        ),
        ("file(upload=mine)", "upload = 'mine' is not allowed: an upload's id is u and 16 hex digits"),
    ],
)
def test_a_source_that_is_none_is_refused(text: str, message: str):
    with pytest.raises(InputError) as caught:
        dataset(text)
    assert str(caught.value) == message


def test_a_dataset_without_files_says_what_it_needs(settings: Settings):
    needed = 'the dataset file needs either a path, such as file(path="./mine"), or an upload\'s id'
    for read in (lambda: load_graph(dataset("file"), settings), lambda: DATASETS["file"].size(dataset("file"))):
        with pytest.raises(InputError) as caught:
            read()
        assert str(caught.value) == needed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder", "the dataset folder has no files yet: upload them on the Launch page"),
        (
            "folder(path=mine)",
            "the dataset folder names the path mine, which other machines do not have: "
            "train it here with `bitfront run`, or upload the files on the Launch page",
        ),
    ],
)
def test_what_other_machines_do_not_have_is_not_queued(text: str, message: str):
    with pytest.raises(InputError) as caught:
        dataset(text).check_elsewhere()
    assert str(caught.value) == message


def test_a_service_reads_no_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipe_files, "allowed", False)
    with pytest.raises(InputError) as caught:
        dataset('file(path="/etc")')
    assert str(caught.value) == "the path '/etc' is not read here: a service takes uploads only"


def test_an_uploaded_set_is_found_in_the_home(settings: Settings, tmp_path: Path):
    files = io.BytesIO()
    folder = write_set(tmp_path / "set")
    with zipfile.ZipFile(files, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    files.seek(0)
    kept = keep_upload(files, "folder", "mine", "classes", settings)
    graph = load_graph(dataset(kept.dataset), settings)
    direct = load_graph(dataset(f'folder(path="{folder}")'), settings)
    assert graph.provenance["fingerprint"] == direct.provenance["fingerprint"]


def test_an_upload_is_found_in_the_home(settings: Settings, tmp_path: Path):
    files = io.BytesIO()
    with zipfile.ZipFile(files, "w") as archive:
        archive.write(write_arrays(tmp_path / "a.npz"), "a.npz")
    files.seek(0)
    kept = keep_upload(files, "file", "mine", "classes", settings)
    graph = load_graph(dataset(kept.dataset), settings)
    direct = load_graph(dataset(f'file(path="{tmp_path / "a.npz"}")'), settings)
    assert graph.provenance["fingerprint"] == direct.provenance["fingerprint"]
    assert graph.provenance["about"] == f"upload {kept.id}"
