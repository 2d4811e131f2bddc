"""Splits for data that brings none, as masks over what the labels are over; the same for the same numbers.

Made on the CPU from a split's own seed, so that they do not change with the run's seed, device or scheme.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.errors import RunError
from engine.randomness import make_key, stream_id, uniform

SPLITS = ("train", "val", "test")


def shuffled(count: int, seed: int, stream: str, step: int = 0) -> Tensor:
    """The numbers below ``count`` in an order hashed from (seed, stream, step), int64 [count]."""
    return uniform(make_key(seed, stream_id(stream), step), (count,)).argsort(stable=True)


def masks_of(parts: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Masks over ``count`` things from the numbers of each part. Raises RunError for an empty part."""
    masks = {}
    for split in SPLITS:
        if not parts[split].numel():
            raise RunError(f"the {split} part of a split of {count} is empty: take larger parts, or fewer folds")
        masks[split] = torch.zeros(count, dtype=torch.bool)
        masks[split][parts[split]] = True
    return masks


def random_split(count: int, val: float, test: float, seed: int) -> dict[str, Tensor]:
    """Shares ``val`` and ``test`` of ``count`` things, the rest trains."""
    order = shuffled(count, seed, "split")
    held, tested = round(count * val), round(count * test)
    parts = {"test": order[:tested], "val": order[tested : tested + held], "train": order[tested + held :]}
    return masks_of(parts, count)


def per_class_split(labels: Tensor, train: int, val: int, seed: int) -> dict[str, Tensor]:
    """``train`` and ``val`` things of each class [n], the rest tests (Shchur et al., 2018: 20 and 30).

    Raises RunError where a class is too small to be in all three parts.
    """
    order = shuffled(labels.numel(), seed, "split")
    parts: dict[str, list[Tensor]] = {split: [] for split in SPLITS}
    for label in range(int(labels.max()) + 1):
        members = order[labels[order] == label]
        if members.numel() <= train + val:
            raise RunError(
                f"class {label} has {members.numel()} nodes, too few for {train} to train, {val} to validate and one "
                "to test: lower task.train_per_class or task.val_per_class"
            )
        for split, part in zip(SPLITS, members.tensor_split([train, train + val]), strict=True):
            parts[split].append(part)
    return masks_of({split: torch.cat(found) for split, found in parts.items()}, labels.numel())


def stratified_folds(labels: Tensor, folds: int, fold: int, seed: int) -> dict[str, Tensor]:
    """Fold ``fold`` of a stratified cross-validation tests, the one before it validates, the others train.

    scikit-learn's StratifiedKFold, shuffled by ``seed``; the folds' roles are those of PyG's kernel benchmark.
    Raises RunError where a class has fewer members than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    least = torch.bincount(labels).min().item()
    if least < folds:
        raise RunError(f"{folds} folds need {folds} members of each class, but one has {least}: lower task.folds")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    held = [torch.from_numpy(test) for _, test in splitter.split(torch.zeros(labels.numel(), 1), labels.numpy())]
    before = (fold - 1) % folds
    rest = [part for number, part in enumerate(held) if number not in (fold, before)]
    return masks_of({"train": torch.cat(rest), "val": held[before], "test": held[fold]}, labels.numel())
