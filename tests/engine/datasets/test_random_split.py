"""Splits made here: repeatable, disjoint, of the stated sizes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.datasets.random_split import by_class, by_counts, by_shares, shuffled, stratified

LABELS = torch.arange(400) % 4


def sizes(masks: dict[str, Tensor]) -> list[int]:
    assert int(torch.stack([mask.long() for mask in masks.values()]).sum(0).max()) <= 1
    return [int(mask.sum()) for mask in masks.values()]


@given(st.integers(1, 500), st.integers(0, 2**31 - 1))
def test_a_shuffle_holds_every_number_once(count: int, seed: int):
    assert shuffled(count, seed).sort().values.tolist() == list(range(count))


def test_a_split_repeats_and_another_seed_gives_another():
    first, again, other = by_counts(400, 100, 50, 0), by_counts(400, 100, 50, 0), by_counts(400, 100, 50, 1)
    assert torch.equal(first["train_mask"], again["train_mask"])
    assert not torch.equal(first["train_mask"], other["train_mask"])


def test_sizes_are_the_stated_ones():
    assert sizes(by_counts(400, 100, 50, 0)) == [100, 50, 250]
    assert sizes(by_shares(400, 0.5, 0.25, 0)) == [200, 100, 100]
    assert sizes(by_shares(400, 0.5, 0.25, 0, usable=LABELS > 1)) == [100, 50, 50]
    by_label = by_class(LABELS, 20, 30, 0)
    assert sizes(by_label) == [80, 120, 200]
    assert LABELS[by_label["train_mask"]].bincount().tolist() == [20] * 4


def test_every_class_trains_however_small():
    labels = torch.tensor([0] * 50 + [1] * 2 + [2] + [-1] * 3)
    masks = stratified(labels, 0.6, 0.2, 0)
    assert sizes(masks) == [32, 11, 10]
    assert set(labels[masks["train_mask"]].tolist()) == {0, 1, 2}
    assert not torch.stack(list(masks.values())).any(0)[labels < 0].any()
