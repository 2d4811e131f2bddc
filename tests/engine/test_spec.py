"""RunSpec: shorthand, canonical forms, and one clear sentence for whatever is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import InputError
from engine.spec import RunSpec, read_toml, read_toml_file

CORA = {"dataset": "cora", "model": "gcn"}

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
    st.sampled_from(["cora", "karate", "sbm(nodes=500,signal=0.25)", "pubmed(normalize_features=false)"]),
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
            "unknown dataset 'coar': did you mean cora or collab or coauthor-cs? Allowed: amazon-computers, "
            "amazon-photo, coauthor-cs, cornell5, karate, reddit, flickr, yelp, amazon-products, esol, freesolv, lipo, bbbp, "
            "bace, sider, clintox, tox21, pcba, ogbn-arxiv, file, folder, cora, citeseer, pubmed, … (38 in all)",
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
            "unknown setting 'training.epoch': did you mean training.epochs or training.lr or training.weight_decay? "
            "Allowed: training.epochs, training.lr, training.weight_decay",
        ),
        (
            {**CORA, "modl": "gcn"},
            "unknown setting 'modl': did you mean model? Allowed: dataset, model, scheme, training, seed, device",
        ),
        (
            {**CORA, "model": {"name": "gcn", "layers": 0}},
            "model.layers = 0 is not allowed: it should be greater than or equal to 1",
        ),
        (
            {**CORA, "model": "gcn(hiden=8)"},
            "unknown setting 'model.hiden': did you mean model.hidden or model.name or model.bias? "
            "Allowed: model.name, model.layers, model.hidden, model.dropout, model.input_dropout, model.bias, "
            "model.message, model.batch_norm, model.residual",
        ),
        ({**CORA, "device": "tpu"}, "device = 'tpu' is not allowed: it should be 'auto', 'cpu' or 'cuda'"),
        ({"model": "gcn"}, "dataset is missing"),
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
