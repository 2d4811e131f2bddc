"""The link that fills the Launch form with a run's configuration."""

from __future__ import annotations

from app.clone import clone_parameters
from engine.spec import RunSpec


def parameters(seeds: tuple[int, ...] = (7,), **changes) -> dict[str, str]:
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": "int8"} | changes)
    return clone_parameters(spec.model_dump(mode="json"), seeds, "r0")


def test_what_has_its_default_is_left_out() -> None:
    assert parameters() == {
        "dataset": "cora",
        "task": "node-classification",
        "model": "gcn",
        "schemes": "int8",
        "seeds": "7,",
        "parent": "r0",
    }


def test_what_differs_is_in_the_link_as_the_form_writes_it() -> None:
    found = parameters((0, 3), training={"lr": 0.05, "epochs": 20}, model={"name": "gcn", "hidden": 64}, device="cpu")
    asked = ("seeds", "training.lr", "training.epochs", "model.gcn.hidden", "device")
    assert {name: found[name] for name in asked} == {
        "seeds": "0, 3",
        "training.lr": "0.05",
        "training.epochs": "20",
        "model.gcn.hidden": "64",
        "device": "cpu",
    }


def test_a_scheme_of_ones_own_stands_in_its_field() -> None:
    found = parameters(scheme="int5:weight")
    assert (found["own"], found["schemes"]) == ("int5:weight", "")
