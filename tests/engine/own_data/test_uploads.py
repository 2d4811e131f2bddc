"""Uploads: kept by their content, never outside their folder, never half."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError, RunError
from engine.own_data import uploads
from engine.own_data.uploads import keep_upload, list_uploads, locate, pack, read_upload, uploads_folder
from engine.settings import Settings
from tests.engine.own_data.files import edge_table, node_table


def packed(**files: str | bytes) -> io.BytesIO:
    """A zip of files; two underscores in a name stand for a dot."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    target.seek(0)
    return target


def tables() -> io.BytesIO:
    return packed(nodes__csv=node_table(), edges__csv=edge_table())


def test_an_upload_is_kept_by_its_content(settings: Settings):
    first = keep_upload(tables(), "file", "mine", "classes", settings)
    again = keep_upload(tables(), "file", "another name", "classes", settings)
    assert again == first, "the same files are one upload"
    assert (first.nodes, first.edges, first.features, first.graphs, first.files) == (12, 12, 2, 1, 2)
    assert first.dataset == f"file(upload={first.id})"
    assert list_uploads(settings) == [first]
    assert read_upload(first.id, settings) == first
    assert sorted(path.name for path in locate(first.id, settings).iterdir()) == [
        "edges.csv",
        "nodes.csv",
    ]


@pytest.mark.parametrize(
    "name", ["../nodes.csv", "/etc/nodes.csv", "a/nodes.csv", "..\\nodes.csv", ".hidden.csv", "nodes.pkl", "x" * 200]
)
def test_a_name_that_leaves_the_folder_is_refused(settings: Settings, name: str):
    files = io.BytesIO()
    with zipfile.ZipFile(files, "w") as archive:
        archive.writestr(name, node_table())
    with pytest.raises(InputError) as caught:
        keep_upload(files, "file", "", "classes", settings)
    assert str(caught.value) == (
        f"the file name {name!r} is not allowed: letters, digits, spaces, '.', '-' and '_', "
        "no folders, ending in .csv or .npz"
    )
    assert list(uploads_folder(settings).iterdir()) == []


def test_faulty_files_leave_nothing(settings: Settings):
    broken = packed(nodes__csv=node_table(), edges__csv="source,target\nn0,n77\n")
    with pytest.raises(InputError) as caught:
        keep_upload(broken, "file", "", "classes", settings)
    assert str(caught.value) == "edges.csv, line 2: the target 'n77' is no node of nodes.csv"
    assert list(uploads_folder(settings).iterdir()) == []


def test_what_is_no_zip_is_refused(settings: Settings):
    with pytest.raises(InputError) as caught:
        keep_upload(io.BytesIO(b"nonsense"), "file", "", "classes", settings)
    assert str(caught.value) == "the upload cannot be read: File is not a zip file"


def test_what_unpacks_to_too_much_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "LARGEST_UPLOAD", 2**20)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nodes.csv", b"0" * 2**22)
    with pytest.raises(InputError) as caught:
        keep_upload(bomb, "file", "", "classes", settings)
    assert str(caught.value) == (
        "the upload has 4 MiB: at most 1 MiB; train larger data by its path with `bitfront run`"
    )


def test_nodes_that_only_a_number_names_are_counted(settings: Settings):
    """Without features a graph's nodes take no room in its file, and all the more at training."""
    members = io.BytesIO()
    with zipfile.ZipFile(members, "w") as archive:
        for index, nodes in enumerate((10**18, 4)):
            with archive.open(f"g{index}.npz", "w") as file:
                np.savez(file, edge_index=np.array([[0], [1]]), y=np.array([index]), num_nodes=np.array(nodes))
    with pytest.raises(InputError) as caught:
        keep_upload(members, "folder", "", "classes", settings)
    assert str(caught.value) == (
        "the upload has 1000000000000000004 nodes: at most 20000000; train larger data by its path with `bitfront run`"
    )


@pytest.mark.parametrize("shape", ["(4, 99999999999999999999)", "(0, 99999999999999999999)", "(1099511627776, 4)"])
def test_an_array_of_an_impossible_shape_is_refused(settings: Settings, shape: str):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(InputError) as caught:
        keep_upload(packed(g__npz=inner.getvalue()), "file", "", "classes", settings)
    assert str(caught.value).startswith("g.npz: the array x cannot be read: ")


def test_a_label_of_thousands_of_digits_is_refused(settings: Settings):
    nodes = f"id,y\n0,{'9' * 5000}\n1,0\n"
    with pytest.raises(InputError) as caught:
        keep_upload(packed(nodes__csv=nodes, edges__csv="source,target\n0,1\n"), "file", "", "classes", settings)
    assert str(caught.value) == f"nodes.csv, line 2: the label {'9' * 40} is out of range: labels go from 0 up"


def test_an_id_that_is_none_is_refused(settings: Settings):
    with pytest.raises(InputError) as caught:
        locate("../../etc", settings)
    assert str(caught.value) == "upload = '../../etc' is not allowed: an upload's id is u and 16 hex digits"


def test_an_upload_that_is_nowhere_says_so(settings: Settings):
    with pytest.raises(RunError) as caught:
        locate("u0123456789abcdef", settings)
    assert str(caught.value) == (
        "the upload u0123456789abcdef is not on this machine, and no store is known that has it"
    )


def test_packing_gives_the_same_files_back(settings: Settings, tmp_path: Path):
    kept = keep_upload(tables(), "file", "mine", "classes", settings)
    target = io.BytesIO()
    pack(kept.id, settings, target)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    target.seek(0)
    assert keep_upload(target, "file", "mine", "classes", other).id == kept.id


def test_a_manifest_that_is_broken_is_passed_over(settings: Settings):
    kept = keep_upload(tables(), "file", "mine", "classes", settings)
    manifest = uploads_folder(settings) / kept.id / "upload.json"
    manifest.write_text(json.dumps({"id": kept.id}))
    assert list_uploads(settings) == []
