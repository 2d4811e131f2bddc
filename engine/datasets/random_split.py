"""Splits for datasets that were published without one: hashed from a seed, so the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from engine.datasets.entry import DatasetSpec
from engine.randomness import make_key, stream_id, uniform

if TYPE_CHECKING:
    from torch import Tensor


class RandomSplitSpec(DatasetSpec):
    """Options of a dataset whose split is made here."""

    split_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Which of the random splits; runs that are compared must share it."""


def shuffled(count: int, seed: int) -> Tensor:
    """The numbers 0 … count − 1 in hashed order, int64 [count]."""
    return uniform(make_key(seed, stream_id("split"), 0), (count,)).argsort(stable=True)


def by_shares(count: int, train: float, val: float, seed: int, usable: Tensor | None = None) -> dict[str, Tensor]:
    """Masks, bool [count], over what is ``usable`` (default: all): these shares train and validate, the rest tests."""
    order = shuffled(count, seed)
    if usable is not None:
        order = order[usable[order]]
    first, second = round(len(order) * train), round(len(order) * (train + val))
    return _masks(count, order[:first], order[first:second], order[second:])


def by_counts(count: int, train: int, val: int, seed: int) -> dict[str, Tensor]:
    """Masks, bool [count]: this many train and validate, the rest tests."""
    order = shuffled(count, seed)
    return _masks(count, order[:train], order[train : train + val], order[train + val :])


def by_class(labels: Tensor, train: int, val: int, seed: int) -> dict[str, Tensor]:
    """Masks, bool [N]: of each class this many train and validate, the rest tests.

    Shchur et al., "Pitfalls of Graph Neural Network Evaluation", 2018, take 20 and 30.
    """
    import torch

    order = shuffled(len(labels), seed)
    members = [order[labels[order] == label] for label in range(int(labels.max()) + 1)]
    return _masks(
        len(labels),
        torch.cat([of[:train] for of in members]),
        torch.cat([of[train : train + val] for of in members]),
        torch.cat([of[train + val :] for of in members]),
    )


def stratified(labels: Tensor, train: float, val: float, seed: int) -> dict[str, Tensor]:
    """Masks, bool [N]: these shares of each class train (one at least) and validate, the rest tests; −1 is in none."""
    import torch

    order = shuffled(len(labels), seed)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in range(int(labels.max()) + 1):
        of = order[labels[order] == label]
        first = max(1, round(len(of) * train))
        second = max(first, round(len(of) * (train + val)))
        for part, members in zip(parts, (of[:first], of[first:second], of[second:]), strict=True):
            part.append(members)
    return _masks(len(labels), *(torch.cat(part) for part in parts))


def _masks(count: int, *parts: Tensor) -> dict[str, Tensor]:
    import torch

    masks = {}
    for name, members in zip(("train_mask", "val_mask", "test_mask"), parts, strict=True):
        masks[name] = torch.zeros(count, dtype=torch.bool)
        masks[name][members] = True
    return masks
