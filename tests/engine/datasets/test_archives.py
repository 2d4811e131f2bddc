"""Getting datasets: from a mirror or not at all, once for several processes, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.datasets.archives import SOURCE, _extract, caveat, whereabouts
from engine.datasets.progress import reporting
from engine.errors import RunError
from engine.graph import load_graph
from engine.settings import Settings
from tests.engine.datasets.specs import dataset


@pytest.fixture
def fresh(settings: Settings, tmp_path: Path) -> Settings:
    """An empty data folder."""
    return settings.model_copy(update={"data": tmp_path / "data"})


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a port that nobody listens on."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # made once, with the proxies of then
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


ABSENT = [
    "reddit",
    "yelp",
    "amazon-products",
    "flickr",
    "ppi",
    "amazon-photo",
    "coauthor-cs",
    "collab",
    "nci1",
    "dd",
    "qm9",
    "pcba",
    "ogbn-arxiv",
]


@pytest.mark.parametrize("name", ABSENT)
def test_a_dataset_that_cannot_be_had_says_so_at_once(fresh: Settings, no_network: None, name: str):
    began = time.monotonic()
    with pytest.raises(RunError) as caught:
        load_graph(dataset(name), fresh.model_copy(update={"mirror": None}))
    assert time.monotonic() - began < 15
    message = str(caught.value)
    assert message.startswith(f"{name} is not on this machine and could not be downloaded from http"), message
    assert message.endswith("connect to the internet, or set BITFRONT_MIRROR to a folder of archives")
    assert visible(fresh.data_root) == []


def test_a_dataset_that_the_mirror_lacks_names_the_mirror(fresh: Settings, mirror: Path, no_network: None):
    with pytest.raises(RunError, match=r"connect to the internet, or add its archive to the mirror$"):
        load_graph(dataset("flickr"), fresh)


def test_a_package_that_is_absent_is_named(fresh: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)  # as Python marks a module that cannot be imported
    with pytest.raises(RunError) as caught:
        load_graph(dataset("tox21"), fresh)
    assert str(caught.value) == "tox21 needs the package rdkit: pip install rdkit, or 'bitfront[rdkit]'"


def test_an_attribute_that_the_copy_lacks_is_named(fresh: Settings, mirror: Path):
    with pytest.raises(RunError) as caught:
        load_graph(dataset("proteins(node_attributes=true)"), fresh)
    assert str(caught.value) == "this copy of proteins has no node attributes: leave node_attributes out"


def test_where_a_copy_came_from_stays_with_it(fresh: Settings, mirror: Path):
    rows = json.loads((mirror / "index.json").read_text())
    said = next(row["caveat"] for row in rows if "imdb-binary" in row["datasets"])
    assert caveat("imdb-binary", fresh) == said, "before it is fetched"
    load_graph(dataset("imdb-binary"), fresh)
    without = fresh.model_copy(update={"mirror": None})
    assert load_graph(dataset("imdb-binary"), without).provenance["caveat"] == said


def test_a_copy_that_did_not_come_from_the_mirror_has_not_its_caveat(fresh: Settings, mirror: Path):
    load_graph(dataset("imdb-binary"), fresh)
    (fresh.data_root / "TUDataset" / "IMDB-BINARY" / SOURCE).unlink()
    assert caveat("imdb-binary", fresh) is None


def test_whereabouts(fresh: Settings, mirror: Path):
    before = whereabouts(fresh)
    assert (before["mutag"], before["karate"], before["reddit"]) == ("in the mirror", "here", "to download")
    load_graph(dataset("mutag"), fresh)
    assert whereabouts(fresh)["mutag"] == "here"
    assert whereabouts(fresh.model_copy(update={"mirror": None}))["cora"] == "to download"


def test_progress_is_reported(fresh: Settings, mirror: Path):
    heard: list[tuple[str, int, int | None]] = []
    with reporting(lambda *report: heard.append(report)):
        load_graph(dataset("mutag"), fresh)
    assert heard[0] == ("unpacking tu_mutag.tar.xz", 0, None)
    what, done, total = heard[-1]
    assert (what, total) == ("processing mutag", None)
    assert done > 50_000


LOAD = """
from engine.graph import load_graph
from engine.settings import Settings
from engine.spec import RunSpec
spec = RunSpec.parse({"dataset": "enzymes", "model": "gcn"})
print(load_graph(spec.dataset, Settings()).provenance["fingerprint"])
"""


def start(settings: Settings) -> subprocess.Popen[str]:
    environment = os.environ | {"BITFRONT_DATA": str(settings.data_root), "BITFRONT_MIRROR": settings.mirror or ""}
    return subprocess.Popen([sys.executable, "-c", LOAD], env=environment, text=True, stdout=subprocess.PIPE)


def test_several_processes_that_want_the_same_dataset_fetch_it_once(fresh: Settings, mirror: Path):
    processes = [start(fresh) for _ in range(3)]
    found = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert found == {load_graph(dataset("enzymes"), fresh).provenance["fingerprint"] + "\n"}
    assert sorted(visible(fresh.data_root)) == ["TUDataset", "loaded"]
    assert list(fresh.data_root.glob(".enzymes.part-*")) == []


def test_a_process_killed_at_any_time_leaves_nothing_half_written(fresh: Settings, mirror: Path):
    killed = start(fresh)
    deadline = time.monotonic() + 60
    while not list(fresh.data_root.glob(".enzymes.part-*/TUDataset/ENZYMES/raw/*")):
        assert killed.poll() is None, "it was to be killed while it fetches"
        assert time.monotonic() < deadline
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (fresh.data_root / "TUDataset").exists()
    graph = load_graph(dataset("enzymes"), fresh)
    assert graph.size.graphs == 600
    assert list(fresh.data_root.glob(".enzymes.part-*")) == [], "what the killed process left is gone"


def test_raw_files_that_a_person_put_there_are_used_and_kept(fresh: Settings, mirror: Path, no_network: None):
    first = load_graph(dataset("mutag"), fresh).provenance["fingerprint"]
    placed = fresh.data_root / "TUDataset" / "MUTAG"
    shutil.rmtree(placed / "processed")
    shutil.rmtree(fresh.data_root / "loaded")
    (placed / "notes.txt").write_text("mine")
    again = load_graph(dataset("mutag"), fresh.model_copy(update={"mirror": None}))
    assert again.provenance["fingerprint"] == first
    assert (placed / "notes.txt").read_text() == "mine"
    assert len(list((placed / "raw").iterdir())) == 5


def test_a_copy_that_cannot_be_read_names_its_folder(fresh: Settings, mirror: Path):
    load_graph(dataset("mutag"), fresh)
    shutil.rmtree(fresh.data_root / "loaded")
    place = fresh.data_root / "TUDataset" / "MUTAG"
    (place / "processed" / "data.pt").write_bytes(b"nonsense")
    with pytest.raises(RunError) as caught:
        load_graph(dataset("mutag"), fresh)
    assert str(caught.value).startswith(f"the copy of mutag in {place} cannot be read (")
    assert str(caught.value).endswith("delete that folder")


def damaged_mirror(mirror: Path, folder: Path) -> Path:
    """A copy of Cora's row and archive with one byte of the archive changed."""
    folder.mkdir()
    rows = [row for row in json.loads((mirror / "index.json").read_text()) if "cora" in row["datasets"]]
    (folder / "index.json").write_text(json.dumps(rows))
    archive = folder / rows[0]["archive"]
    shutil.copyfile(mirror / rows[0]["archive"], archive)
    content = bytearray(archive.read_bytes())
    content[100] ^= 1
    archive.write_bytes(content)
    return folder


def test_a_damaged_archive_is_refused_and_leaves_nothing(settings: Settings, mirror: Path, tmp_path: Path):
    bad = damaged_mirror(mirror, tmp_path / "mirror")
    root = tmp_path / "data"
    with pytest.raises(
        RunError, match=r"^the archive planetoid_cora\.tar\.xz of the mirror .* is damaged: its SHA-256"
    ):
        load_graph(dataset("cora"), settings.model_copy(update={"mirror": str(bad), "data": root}))
    assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == []


def test_a_mirror_that_is_not_there_is_named(settings: Settings, tmp_path: Path):
    gone = tmp_path / "gone"
    with pytest.raises(RunError) as caught:
        load_graph(dataset("cora"), settings.model_copy(update={"mirror": str(gone), "data": tmp_path / "data"}))
    assert str(caught.value).startswith(f"the mirror's {gone}/index.json cannot be read: ")
    assert str(caught.value).endswith("set BITFRONT_MIRROR right or unset it")


def test_a_data_folder_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RunError, match=r"^the data folder .* cannot be written: .*; set BITFRONT_DATA$"):
        load_graph(dataset("cora"), settings.model_copy(update={"data": blocked / "data"}))


@pytest.fixture
def address(mirror: Path) -> Iterator[str]:
    """The mirror behind a real HTTP server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(mirror)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_mirror_by_its_address_is_fetched_with_progress(fresh: Settings, mirror: Path, address: str):
    heard: list[tuple[str, int, int | None]] = []
    with reporting(lambda *report: heard.append(report)):
        graph = load_graph(dataset("proteins"), fresh.model_copy(update={"mirror": address}))
    size = (mirror / "tu_proteins.tar.xz").stat().st_size
    assert ("fetching tu_proteins.tar.xz", size, size) in heard
    direct = load_graph(dataset("proteins"), fresh.model_copy(update={"data": fresh.data_root / "other"}))
    assert graph.provenance == direct.provenance


@pytest.mark.parametrize("has_filter", [True, False])
def test_nothing_is_unpacked_outside_of_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_filter: bool
) -> None:
    if not has_filter:  # Python before 3.11.4
        monkeypatch.delattr("tarfile.data_filter", raising=False)
    root, data = tmp_path / "root", tmp_path / "graph.txt"
    root.mkdir()
    data.write_text("0 1")
    for name, allowed in (("planetoid/graph.txt", True), ("../beside.txt", False)):
        with tarfile.open(tmp_path / "archive.tar", "w") as tar:
            tar.add(data, name)
        with tarfile.open(tmp_path / "archive.tar") as tar:
            if allowed:
                _extract(tar, root)
            else:
                with pytest.raises(tarfile.TarError):
                    _extract(tar, root)
    assert (root / "planetoid" / "graph.txt").read_text() == "0 1"
    assert not (tmp_path / "beside.txt").exists()
