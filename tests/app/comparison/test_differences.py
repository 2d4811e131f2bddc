"""Where configurations differ."""

from __future__ import annotations

import json

from app.comparison.differences import spec_differences
from engine.spec import RunSpec


def spec(**changes) -> str:
    return RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": "int8"} | changes).to_json()


def test_fields_that_differ_stand_side_by_side() -> None:
    rows = spec_differences({"a": spec(), "b": spec(scheme="int4", training={"lr": 0.5})})
    assert rows == [
        {"Field": "scheme", "a": "int8", "b": "int4"},
        {"Field": "training.lr", "a": "0.01", "b": "0.5"},
    ]
    assert spec_differences({"a": spec(), "b": spec()}) == []
    assert {"Field": "dataset.name", "a": "cora", "b": "cora"} in spec_differences(
        {"a": spec(), "b": spec()}, everything=True
    )


def test_what_an_older_spec_does_not_say_is_its_default() -> None:
    old = json.loads(spec())
    del old["training"]["lr"]
    assert spec_differences({"a": json.dumps(old), "b": spec()}) == []


def test_a_field_that_one_architecture_has_alone_is_a_dash_in_the_other() -> None:
    rows = {row["Field"]: row for row in spec_differences({"a": spec(), "b": spec(model="gat")})}
    assert rows["model.heads"]["a"] == "–"


def test_a_spec_of_another_installation_is_taken_as_it_stands() -> None:
    rows = spec_differences({"a": '{"scheme": "int8"}', "b": '{"scheme": "quantum"}'})
    assert rows == [{"Field": "scheme", "a": "int8", "b": "quantum"}]
