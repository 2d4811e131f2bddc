"""Splits that the tasks make: disjoint, complete, stratified, the same for the same numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RunError
from engine.splits import SPLITS, per_class_split, random_split, shuffled, stratified_folds


def parts_once(masks: dict[str, torch.Tensor]) -> bool:
    return bool((torch.stack([masks[split] for split in SPLITS]).sum(0) == 1).all())


@given(st.integers(1, 500), st.integers(0, 2**31), st.integers(0, 1000))
def test_an_order_holds_each_number_once(count: int, seed: int, step: int):
    assert shuffled(count, seed, "shuffling", step).sort().values.tolist() == list(range(count))


def test_orders_differ_by_seed_stream_and_step():
    orders = [shuffled(50, *key).tolist() for key in ((0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2))]
    assert len({tuple(order) for order in orders}) == 4
    assert shuffled(50, 0, "a", 1).tolist() == orders[0]


@given(st.integers(20, 300), st.integers(0, 100))
def test_a_random_split_has_its_shares(count: int, seed: int):
    masks = random_split(count, 0.1, 0.2, seed)
    assert parts_once(masks)
    assert [int(masks[split].sum()) for split in ("val", "test")] == [round(count * 0.1), round(count * 0.2)]


def test_a_split_by_class_has_as_many_of_each():
    labels = torch.arange(120) % 3
    masks = per_class_split(labels, 5, 7, seed=1)
    assert parts_once(masks)
    assert torch.bincount(labels[masks["train"]]).tolist() == [5, 5, 5]
    assert torch.bincount(labels[masks["val"]]).tolist() == [7, 7, 7]
    assert not torch.equal(masks["train"], per_class_split(labels, 5, 7, seed=2)["train"])


def test_a_class_that_is_too_small_for_a_split_is_named():
    with pytest.raises(RunError) as caught:
        per_class_split(torch.tensor([0] * 60 + [1] * 50), 20, 30, seed=0)
    assert str(caught.value) == (
        "class 1 has 50 nodes, too few for 20 to train, 30 to validate and one to test: "
        "lower task.train_per_class or task.val_per_class"
    )


@pytest.mark.parametrize("folds", [3, 10])
def test_folds_test_each_thing_once_and_keep_the_classes_shares(folds: int):
    labels = (torch.arange(150) % 5 == 0).long()
    found = [stratified_folds(labels, folds, fold, seed=0) for fold in range(folds)]
    assert all(map(parts_once, found))
    assert (torch.stack([masks["test"] for masks in found]).sum(0) == 1).all()
    for fold, masks in enumerate(found):
        assert torch.equal(masks["val"], found[fold - 1]["test"]), "the fold before validates"
        assert labels[masks["test"]].double().mean().item() == pytest.approx(0.2, abs=1 / int(masks["test"].sum()))


def test_more_folds_than_a_class_has_members_are_refused():
    with pytest.raises(RunError) as caught:
        stratified_folds(torch.tensor([0] * 20 + [1] * 4), 10, 0, seed=0)
    assert str(caught.value) == "10 folds need 10 members of each class, but one has 4: lower task.folds"


def test_an_empty_part_is_refused():
    with pytest.raises(RunError) as caught:
        random_split(4, 0.1, 0.3, seed=0)
    assert str(caught.value) == "the val part of a split of 4 is empty: take larger parts, or fewer folds"
