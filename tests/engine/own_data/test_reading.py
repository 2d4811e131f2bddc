"""A person's own files: what is read, and every fault with its row or its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError
from engine.own_data import read_many, read_one
from tests.engine.own_data.files import NODES, edge_table, node_table, write_arrays, write_set, write_tables


def fault(read, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        read(*arguments)
    return str(caught.value)


def test_two_tables_and_an_npz_hold_the_same_graph(tmp_path: Path):
    tables = read_one(write_tables(tmp_path / "tables"))
    arrays = read_one(write_arrays(tmp_path / "mine.npz"))
    assert tables.classes == ("blue", "red")
    assert tables.features == ("age", "size")
    for found in (tables, arrays):
        assert found.nodes == NODES
        assert found.x is not None
        assert found.x.dtype == np.float32
        assert found.y.tolist() == [0, 1] * 6
        assert found.edges.tolist() == [list(range(NODES)), [*range(1, NODES), 0]]
        assert [int(mask.sum()) for mask in found.masks.values()] == [6, 3, 3]
    np.testing.assert_array_equal(tables.x, arrays.x)


def test_ids_features_and_splits_may_be_left_out(tmp_path: Path):
    found = read_one(write_tables(tmp_path, nodes="y\n0\n1\n\n1\n0\n", edges="source,target\n0,3\n2,1\n"))
    assert found.x is None
    assert found.masks == {}
    assert found.y.tolist() == [0, 1, 1, 0], "an empty line is no node"


def test_a_node_without_a_label_is_unlabelled(tmp_path: Path):
    found = read_one(write_tables(tmp_path, nodes="id,y\na,0\nb,\nc,1\n", edges="source,target\na,b\n"))
    assert found.y.tolist() == [0, -1, 1]


def test_several_labels_a_node(tmp_path: Path):
    folder = write_tables(tmp_path / "t", nodes="y_a,y_b,f\n0,1,2\n1,1,3\n", edges="source,target\n0,1\n")
    assert read_one(folder, "several").y.tolist() == [[0, 1], [1, 1]]
    assert fault(read_one, folder) == "nodes.csv has several labels a node: set labels=several"
    file = write_arrays(tmp_path / "m.npz", y=np.eye(NODES)[:, :3], train_mask=None, val_mask=None, test_mask=None)
    assert read_one(file, "several").y.shape == (NODES, 3)


NODE_FAULTS = {
    "": "nodes.csv is empty: its first line names the columns",
    "id,y\n": "nodes.csv holds an empty graph: at least one node is needed",
    "id,f\nn0,1\n": "nodes.csv has neither a column y nor columns y_NAME: give y (one class a node) or y_NAME "
    "(0 or 1 each)",
    "id,y,y\nn0,1,1\n": "nodes.csv, line 1: the column 'y' is there twice",
    "id,y,f\nn0,0,1\nn1,1\n": "nodes.csv, line 3: 2 cells, but the header has 3",
    "id,y,f\nn0,0,1\nn0,1,1\n": "nodes.csv, line 3: the id 'n0' is on line 2 already",
    "id,y,f\nn0,0,1\n,1,1\n": "nodes.csv, line 3: the id is empty",
    "id,y,f\nn0,0,1\nn1,1,tall\n": "nodes.csv, line 3: 'tall' in the column f is not a number",
    "id,y,f\nn0,0,1\nn1,1,nan\n": "nodes.csv, line 3: the feature f is nan; every feature is a finite number",
    "id,y,f\nn0,0,1\nn1,1,-inf\n": "nodes.csv, line 3: the feature f is -inf; every feature is a finite number",
    "id,y,f\nn0,0,1\nn1,-2,1\n": "nodes.csv, line 3: the label -2 is out of range: labels go from 0 up",
    "id,y,f\nn0,0,1\nn1,1.5,1\n": "nodes.csv, line 2: the label '0' is neither a whole number nor a name",
    "id,y,f\nn0,0,1\nn1,7,1\n": "nodes.csv, line 3: the label 7 is out of range: 2 different labels are used, "
    "so they go from 0 to 1",
    "id,y,f\nn0,0,1\nn1,0,1\n": "nodes.csv, line 2: all labels are the same class; at least two classes are needed",
    "id,y,split\nn0,0,train\nn1,1,exam\n": "nodes.csv, line 3: the split 'exam' is unknown. "
    "Allowed: train, val, test, or empty",
    "id,y,split\nn0,0,train\nn1,1,test\n": "the split val is empty: give it at least one row, or leave all splits out",
    "id,y,split\nn0,0,train\nn1,1,test\nn2,1,val\n": "nodes.csv, line 3: the split leaves class 1 out: train has no "
    "row of it; put at least one in train",
    "id,y,split\nn0,0,train\nn1,1,train\nn2,,val\nn3,1,test\n": "nodes.csv, line 4: it is in val, but has no label",
    'id,y,f\nn0,0,1\nn1,1,"2\n': "nodes.csv, line 3: it is not CSV: unexpected end of data",
}


@pytest.mark.parametrize("text", NODE_FAULTS)
def test_faults_of_a_node_table_name_the_line(tmp_path: Path, text: str):
    folder = write_tables(tmp_path, nodes=text, edges="source,target\nn0,n1\n" if "n1" in text else "source,target\n")
    assert fault(read_one, folder) == NODE_FAULTS[text]


EDGE_FAULTS = {
    "": "edges.csv is empty: its first line names the columns",
    "source,target\n": "nodes.csv has no edges: at least one is needed",
    "from,to\nn0,n1\n": "edges.csv has the columns from, to: it needs source and target, and reads no others",
    "source,target\nn0,n1\nn0,n99\n": "edges.csv, line 3: the target 'n99' is no node of nodes.csv",
    "source,target\nn0,n1\n\nn50,n1\n": "edges.csv, line 4: the source 'n50' is no node of nodes.csv",
    "source,target\nn0\n": "edges.csv, line 2: 1 cells, but the header has 2",
}


@pytest.mark.parametrize("text", EDGE_FAULTS)
def test_faults_of_an_edge_table_name_the_line(tmp_path: Path, text: str):
    assert fault(read_one, write_tables(tmp_path, edges=text)) == EDGE_FAULTS[text]


def test_what_is_no_text_is_named(tmp_path: Path):
    folder = write_tables(tmp_path)
    (folder / "nodes.csv").write_bytes(b"id,y\n\xff\xfe,1\n")
    assert fault(read_one, folder) == "nodes.csv cannot be read: it is not UTF-8 text (byte 5)"


NAN = np.ones((NODES, 2))
NAN[4, 1] = np.nan
TRAIN_EVEN = np.arange(NODES) % 2 == 0
ARRAY_FAULTS = [
    ({"edge_index": None}, "m.npz has no array edge_index"),
    ({"y": None}, "m.npz has no array y: the labels of its nodes"),
    ({"z": np.ones(3)}, "m.npz has an unknown array 'z'. Allowed: x, edge_index, y, train_mask, val_mask, test_mask, "
     "num_nodes"),
    ({"x": NAN}, "m.npz, row 4 of x and y: the feature number 1 is nan; every feature is a finite number"),
    ({"x": np.ones((0, 2)), "y": np.ones(0, int)}, "m.npz holds an empty graph: at least one node is needed"),
    ({"x": np.ones(NODES)}, "m.npz: x is float64 of the shape [12]; it should be numbers [nodes, features]"),
    ({"edge_index": np.array([[0, 1], [1, 12]])}, "m.npz, column 1 of edge_index: the edge 1 → 12 names node 12, "
     "but there are 12 nodes (0 to 11)"),
    ({"edge_index": np.array([[0, -1], [1, 2]])}, "m.npz, column 1 of edge_index: the edge -1 → 2 names node -1, "
     "but there are 12 nodes (0 to 11)"),
    ({"edge_index": np.ones((3, 4), int)}, "m.npz: edge_index has the shape [3, 4]; it should be [2, edges]"),
    ({"edge_index": np.ones((2, 4))}, "m.npz: edge_index is float64; it should be whole numbers"),
    ({"edge_index": np.ones((2, 0), int)}, "m.npz has no edges: at least one is needed"),
    ({"y": np.arange(NODES) % 2 + 1}, "m.npz, row 1 of x and y: the label 2 is out of range: 2 different labels are "
     "used, so they go from 0 to 1"),
    ({"y": np.arange(NODES) % 2 - 2}, "m.npz, row 0 of x and y: the label -2 is out of range: labels go from "
     "0 up"),
    ({"y": np.arange(NODES) / 2}, "m.npz, row 1 of y: the label 0.5 is not a whole number"),
    ({"y": np.array(["a"] * NODES)}, "m.npz: y is <U1; it should be numbers"),
    ({"y": np.array([0, np.inf] * 6)}, "m.npz, row 1 of y: the label inf is not a whole number"),
    ({"x": np.ones((NODES, 0))}, "m.npz: x has no columns: leave x out, and features are made of the nodes' degrees"),
    ({"y": np.ones((NODES, 0))}, "m.npz: y has no columns: give one for each label"),
    ({"x": None, "num_nodes": np.ones(0, int)}, "m.npz: num_nodes has the shape [0]; it should be one number"),
    ({"x": None, "num_nodes": -5, "y": np.ones(0, int)}, "m.npz holds an empty graph: at least one node is needed"),
    ({"y": np.ones(5, int)}, "m.npz: y has 5 rows, but there are 12 nodes"),
    ({"y": np.full((NODES, 2), 3)}, "m.npz, row 0 of y: the label 3 of several is not 0 or 1"),
    ({"val_mask": None}, "m.npz has train_mask, but no val_mask: give all three masks, or none"),
    ({"val_mask": np.arange(NODES) < 1}, "m.npz, row 0 of x and y: it is in train and in val; every row is in one "
     "split at most"),
    ({"val_mask": np.zeros(NODES, bool)}, "the split val is empty: give it at least one row, or leave all splits out"),
    ({"val_mask": np.ones(3, bool)}, "m.npz: val_mask has 3 rows, but there are 12 nodes"),
    ({"val_mask": np.full(NODES, 2)}, "m.npz: val_mask should be true or false for each node"),
    ({"train_mask": TRAIN_EVEN, "val_mask": np.arange(NODES) == 1, "test_mask": np.arange(NODES) == 3},
     "m.npz, row 1 of x and y: the split leaves class 1 out: train has no row of it; put at least one in train"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), ARRAY_FAULTS)
def test_faults_of_an_npz_name_the_row(tmp_path: Path, changes: dict, message: str):
    assert fault(read_one, write_arrays(tmp_path / "m.npz", **changes)) == message


def test_python_objects_are_never_loaded(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    file = write_arrays(tmp_path / "m.npz", x=np.array([[Trap()]] * NODES, dtype=object))
    assert fault(read_one, file) == "m.npz: the array x holds Python objects, which are never loaded"
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_none_are_named(tmp_path: Path):
    for content in (b"", b"not a zip", b"\x80\x04N."):
        (tmp_path / "m.npz").write_bytes(content)
        assert fault(read_one, tmp_path / "m.npz") == "m.npz cannot be read: it is not an .npz file"
    whole = write_arrays(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(whole[:200] + b"\0" * 40 + whole[240:])
    assert fault(read_one, tmp_path / "m.npz").startswith("m.npz: the array x cannot be read: ")
    assert fault(read_one, tmp_path / "gone.npz") == f"there is no file or folder {tmp_path / 'gone.npz'}"
    (tmp_path / "m.txt").write_text("")
    assert fault(read_one, tmp_path / "m.txt") == (
        "m.txt is not read: give an .npz file, or a folder with nodes.csv and edges.csv"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert fault(read_one, empty) == "the folder empty has no nodes.csv: give nodes.csv and edges.csv, or one .npz"


def test_a_folder_of_many_graphs(tmp_path: Path):
    found = read_many(write_set(tmp_path), "classes")
    assert [graph.nodes for graph in found.graphs] == list(range(3, 15))
    assert found.y.tolist() == [0, 1] * 6
    assert found.masks == {}


def test_graphs_of_a_folder_may_be_tables(tmp_path: Path):
    write_set(tmp_path, graphs=2, table="graph,y,split\ng0,0.5,train\ng1,-1,val\nh,2e3,test\n")
    (tmp_path / "h.nodes.csv").write_text("f,g\n1,2\n3,4\n")
    (tmp_path / "h.edges.csv").write_text("source,target\n0,1\n")
    found = read_many(tmp_path, "numbers")
    assert found.y.tolist() == [[0.5], [-1.0], [2000.0]]
    assert [mask.tolist() for mask in found.masks.values()] == np.eye(3, dtype=bool).tolist()


def test_several_labels_a_graph_may_be_missing(tmp_path: Path):
    found = read_many(write_set(tmp_path, graphs=2, table="graph,y_a,y_b\ng0,1,\ng1,0,1\n"), "several")
    np.testing.assert_array_equal(found.y, np.array([[1, np.nan], [0, 1]], np.float32))


def test_labels_may_stand_in_each_npz(tmp_path: Path):
    for index in range(4):
        np.savez(tmp_path / f"g{index}.npz", edge_index=np.array([[0], [1]]), y=index % 2)
    assert read_many(tmp_path, "classes").y.tolist() == [0, 1, 0, 1]


SET_FAULTS = [
    ("graph,y\ng0,0\n", "classes", "graphs.csv has no row for the graph 'g1'"),
    ("graph,y\ng0,0\ng1,1\ng7,1\n", "classes", "graphs.csv, line 4: there is no graph 'g7' in the folder"),
    ("graph,y\ng0,0\ng0,1\n", "classes", "graphs.csv, line 3: the graph 'g0' is on line 2 already"),
    ("name,y\ng0,0\ng1,1\n", "classes", "graphs.csv has no column graph: the names of the graphs"),
    ("graph,y,w\ng0,0,1\ng1,1,1\n", "classes", "graphs.csv has the unknown column 'w'. "
     "Allowed: graph, y or y_NAME, split"),
    ("graph,y\ng0,0\ng1,\n", "classes", "graphs.csv, line 3: the label is empty"),
    ("graph,y\ng0,0\ng1,3\n", "classes", "graphs.csv, line 3: the label 3 is out of range: 2 different labels are "
     "used, so they go from 0 to 1"),
    ("graph,y\ng0,1\ng1,nan\n", "numbers", "graphs.csv, line 3: y is nan; leave a missing one empty"),
    ("graph,y\ng0,1\ng1,\n", "numbers", "graphs.csv, line 3: no label is given"),
    ("graph,y_a\ng0,1\ng1,2\n", "several", "graphs.csv, line 3: y_a = 2; a label is 0, 1 or empty"),
    ("graph,y_a\ng0,1\ng1,0\n", "classes", "graphs.csv has several labels a graph: set labels=several "
     "(or numbers for a regression)"),
    ("graph,y\ng0,1\ng1,0\n", "several", "graphs.csv has the column y: for several labels a graph give columns y_NAME"),
    ("graph,y,split\ng0,0,train\ng1,1,test\n", "classes", "the split val is empty: give it at least one row, "
     "or leave all splits out"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "labels", "message"), SET_FAULTS)
def test_faults_of_a_set_name_the_graph(tmp_path: Path, table: str, labels: str, message: str):
    assert fault(read_many, write_set(tmp_path, graphs=2, table=table), labels) == message


def test_faults_of_the_graphs_of_a_set_name_the_file(tmp_path: Path):
    folder = write_set(tmp_path, graphs=2)
    np.savez(folder / "g1.npz", x=np.ones((2, 2)), edge_index=np.array([[0], [2]]))
    assert fault(read_many, folder, "classes") == (
        "g1.npz, column 0 of edge_index: the edge 0 → 2 names node 2, but there are 2 nodes (0 to 1)"
    )
    np.savez(folder / "g1.npz", x=np.ones((0, 2)), edge_index=np.zeros((2, 0), int))
    assert fault(read_many, folder, "classes") == "g1.npz holds an empty graph: at least one node is needed"
    np.savez(folder / "g1.npz", x=np.ones((2, 3)), edge_index=np.array([[0], [1]]))
    assert fault(read_many, folder, "classes") == (
        "g1.npz has 3 features, but g0.npz has 2: all graphs of a set have the same"
    )
    (folder / "notes.txt").write_text("")
    assert fault(read_many, folder, "classes") == (
        f"the folder {folder.name} holds notes.txt, which is not read: "
        "give NAME.npz, or NAME.nodes.csv and NAME.edges.csv, and graphs.csv"
    )


def test_the_tables_of_these_tests_are_fine(tmp_path: Path):
    assert node_table().count("\n") == NODES + 1
    assert edge_table().count("\n") == NODES + 1
