"""Features divided by their row's sum, as most papers train on bags of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.datasets.entry import DatasetSpec
from engine.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

ROUNDED = 1e-5
"""By how much the sum of a divided row may differ from 1."""


class RowSumsSpec(DatasetSpec):
    """A dataset whose features are counts."""

    normalize_features: bool = True
    """Whether each node's features are divided by their sum."""

    def as_trained(self, x: Tensor) -> Tensor:
        """Rows whose sum is above 1 are divided by it (torch_geometric's NormalizeFeatures); divided rows stay.

        So raw and prepared features [nodes, F] give the same. Raises InputError for negative numbers.
        """
        if not self.normalize_features:
            return x
        if x.numel() and float(x.min()) < 0:
            raise InputError(
                f"the data's features x hold negative numbers, but the model was trained on the counts of {self.name}, "
                "each row divided by its sum: give them raw, or so divided"
            )
        sums = x.sum(dim=-1, keepdim=True)
        return x / sums.where(sums > 1 + ROUNDED, sums.new_ones(()))
