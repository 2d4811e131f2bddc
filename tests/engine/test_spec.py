"""RunSpec: shorthand, canonical forms, and one clear sentence for whatever is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.catalogue import unknown
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.spec import RunSpec, TrainingSpec, read_toml, read_toml_file

CORA = {"dataset": "cora", "model": "gcn"}
MUTAG = {"dataset": "mutag", "model": "gin"}

specs = st.builds(
    lambda dataset, layers, scheme, epochs, lr, seed: RunSpec.parse(
        {
            "dataset": dataset,
            "model": {"name": "gcn", "layers": layers},
            "scheme": scheme,
            "training": {"epochs": epochs, "lr": lr},
            "seed": seed,
        }
    ),
    st.sampled_from(["cora", "karate", "sbm(nodes=500,signal=0.25)", "pubmed(normalize_features=false)", "zinc"]),
    st.integers(1, 64),
    st.sampled_from(["fp32", "int8", "msfp13", "int4:weights,inputs"]),
    st.integers(1, 100_000),
    st.floats(1e-6, 10),
    st.integers(0, 2**31 - 1),
)


def test_strings_are_shorthand_for_the_nested_spec():
    short = RunSpec(dataset="sbm(nodes=500)", model="gcn(layers=3)", scheme="int8", seed=1)  # pyright: ignore[reportArgumentType]
    nested = RunSpec.parse(
        {
            "dataset": {"name": "sbm", "nodes": 500},
            "model": {"name": "gcn", "layers": 3},
            "scheme": "int8",
            "seed": 1,
        }
    )
    assert short == nested


@given(specs)
def test_toml_and_json_come_back_equal(spec: RunSpec):
    assert RunSpec.from_toml(spec.to_toml()) == spec
    assert RunSpec.from_json(spec.to_json()) == spec
    assert RunSpec.parse(spec.model_dump()) == spec


@given(specs)
def test_the_seed_alone_is_left_out_of_the_group(spec: RunSpec):
    other = RunSpec.parse({**spec.model_dump(), "seed": (spec.seed + 1) % 2**31})
    assert other.group == spec.group
    assert other.hash != spec.hash


def test_the_fold_is_left_out_of_the_group_and_counts_in_the_hash():
    first, other = (RunSpec.parse({**MUTAG, "task": f"graph-classification(folds=5,fold={fold})"}) for fold in (0, 3))
    assert first.group == other.group
    assert first.hash != other.hash
    assert (first.fold, other.fold) == (0, 3)
    assert RunSpec.parse(MUTAG).fold is None, "the thesis' single split"
    assert RunSpec.parse({**MUTAG, "task": {"folds": 4}}).group != first.group


def test_left_out_settings_are_the_datasets_then_the_tasks_then_the_classes():
    reddit = RunSpec.parse({"dataset": "reddit-binary", "model": "gin", "training": {"epochs": 3}})
    assert reddit.training.epochs == 3, "as written"
    assert (reddit.training.lr, reddit.training.lr_step) == (0.005, 50), "the dataset's"
    assert reddit.model.model_dump()["hidden"] == 64
    assert reddit.model.model_dump()["mlp_layers"] == 2, "the task's"
    assert reddit.training.lr_factor == TrainingSpec().lr_factor
    assert RunSpec.parse(CORA).training == TrainingSpec()
    links = RunSpec.parse({**CORA, "task": "link-prediction", "model": "gcn(dropout=0.2)"}).model.model_dump()
    assert (links["hidden"], links["dropout"]) == (128, 0.2)


def test_a_part_given_as_a_value_keeps_what_it_says_and_no_more():
    spec = RunSpec.parse({"dataset": "zinc", "model": "gin", "training": TrainingSpec(epochs=7)})
    assert (spec.training.epochs, spec.training.lr) == (7, 1e-3)


@pytest.mark.parametrize("name", list(DATASETS))
@pytest.mark.parametrize("model", list(MODELS))
def test_every_dataset_trains_for_each_of_its_tasks_with_every_architecture_by_default(name: str, model: str):
    required = {key: 0 for key, field in DATASETS[name].spec.model_fields.items() if field.is_required()} | {
        "name": name
    }
    for task in DATASETS[name].tasks:
        spec = RunSpec.parse({"dataset": required, "task": task, "model": model})
        assert spec.task.name == task
        assert (getattr(spec.model, "readout", "none") != "none") == OBJECTIVES[task].pools


def test_the_hash_does_not_depend_on_how_the_spec_was_written():
    assert (
        RunSpec.parse({**CORA, "scheme": "int8:weights"}).hash == RunSpec.parse({**CORA, "scheme": "int8:weight"}).hash
    )


def test_a_spec_is_frozen():
    with pytest.raises(ValidationError):
        RunSpec.parse(CORA).seed = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {**CORA, "dataset": "coar"},
            str(unknown("dataset", "coar", list(DATASETS))),
        ),
        (
            {**CORA, "model": "gnc"},
            "unknown model 'gnc': did you mean gin or gcn or agnn? Allowed: agnn, gat, gcn, gin, sage",
        ),
        ({**CORA, "seed": -1}, "seed = -1 is not allowed: it should be greater than or equal to 0"),
        ({**CORA, "seed": 1.5}, "seed = 1.5 is not allowed: it should be a valid integer"),
        (
            {**CORA, "training": {"epochs": 0}},
            "training.epochs = 0 is not allowed: it should be greater than or equal to 1",
        ),
        (
            {**CORA, "training": {"epochs": -5, "lr": 0}},
            "training.epochs = -5 is not allowed: it should be greater than or equal to 1; "
            "training.lr = 0 is not allowed: it should be greater than 0",
        ),
        (
            {**CORA, "training": {"epoch": 5}},
            "unknown setting 'training.epoch': did you mean training.epochs or training.lr_step or training.lr? "
            "Allowed: " + ", ".join(f"training.{name}" for name in TrainingSpec.model_fields),
        ),
        (
            {**CORA, "modl": "gcn"},
            "unknown setting 'modl': did you mean model? Allowed: dataset, task, model, scheme, training, seed, device",
        ),
        (
            {**CORA, "model": {"name": "gcn", "layers": 0}},
            "model.layers = 0 is not allowed: it should be greater than or equal to 1",
        ),
        (
            {**CORA, "model": "gcn(hiden=8)"},
            "unknown setting 'model.hiden': did you mean model.hidden or model.name or model.bias? "
            "Allowed: model.name, model.layers, model.hidden, model.dropout, model.input_dropout, model.bias, "
            "model.message, model.batch_norm, model.residual, model.readout, model.readout_layers, "
            "model.readout_dropout",
        ),
        ({**CORA, "device": "tpu"}, "device = 'tpu' is not allowed: it should be 'auto', 'cpu' or 'cuda'"),
        ({"model": "gcn"}, "dataset is missing"),
        (
            {**CORA, "task": "link-predicton"},
            "unknown task 'link-predicton': did you mean link-prediction? "
            "Allowed: graph-classification, graph-regression, link-prediction, multi-label-node-classification, "
            "multi-task-graph-classification, node-classification",
        ),
        (
            {**CORA, "task": "graph-classification"},
            "cora cannot be trained for graph-classification: its tasks are node-classification, link-prediction",
        ),
        ({**CORA, "task": 3}, "a task is a name or a table with a name, not 3"),
        (
            {**CORA, "training": 3},
            "training = 3 is not allowed: it should be a valid dictionary or instance of TrainingSpec",
        ),
        (
            {**CORA, "task": "link-prediction(val=0.5,test=0.5)"},
            "task.val = 0.5 and task.test = 0.5 leave no edge to train on: their sum must be below 1",
        ),
        (
            {**CORA, "model": "gcn(readout=mean)"},
            "node-classification has an output a node, so model.readout = 'mean' is not allowed: use none",
        ),
        (
            {**MUTAG, "model": "gcn(readout=none)"},
            "graph-classification has an output a graph, so model.readout = 'none' is not allowed: "
            "use mean, sum or max",
        ),
        (
            {**MUTAG, "task": "graph-classification(folds=10,fold=10)"},
            "task.fold = 10 is not allowed: it can be 0 to 9",
        ),
        ({**MUTAG, "task": {"fold": 1}}, "task.fold = 1 is not allowed: it can be 0, as there are no folds"),
        (
            {**MUTAG, "task": {"folds": 2}},
            "task.folds = 2 is not allowed: one fold tests, one validates and the others train, so it takes 3 or more, "
            "or 0 for a single split",
        ),
        (
            {"dataset": "zinc", "model": "gin", "task": "graph-regression(val=0.5,test=0.6)"},
            "task.val = 0.5 and task.test = 0.6 leave nothing to train on: their sum must be below 1",
        ),
        ({**CORA, "dataset": 3}, "a dataset is a name or a table with a name, not 3"),
        ({**CORA, "dataset": "cora[1]"}, "cannot read the dataset 'cora[1]': a list in brackets is not allowed here"),
        ({**CORA, "scheme": "int17"}, "int17: the bits of an integer format go from 1 to 16"),
    ],
)
def test_bad_input_is_one_clear_sentence(data: dict[str, Any], message: str):
    with pytest.raises(InputError) as caught:
        RunSpec.parse(data)
    assert str(caught.value) == message


def test_broken_toml_names_the_place():
    with pytest.raises(InputError, match=r"^the run is not valid TOML: .*line 1, column 11"):
        RunSpec.from_toml("dataset = = 3")


def test_broken_json_names_the_place():
    with pytest.raises(InputError, match=r"^the run is not valid JSON: .*line 1 column"):
        RunSpec.from_json("{")
    with pytest.raises(InputError, match=r"^the run must be a JSON object$"):
        RunSpec.from_json("[]")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        read_toml_file(tmp_path / "absent.toml")
    assert str(caught.value) == f"there is no file {tmp_path / 'absent.toml'}"


def test_read_toml_names_what_it_reads():
    with pytest.raises(InputError, match=r"^the sweep is not valid TOML"):
        read_toml("= 3", "the sweep")
