"""Batch normalization over nodes, unfolded: its input and output lie at the sites of the layers around it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class BatchNorm(nn.BatchNorm1d):
    """torch's BatchNorm1d [rows, width], save that a single row is normalized by the running statistics.

    A single row has no variance; PyG's BatchNorm(allow_single_element=True) does the same.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[0] > 1:
            return super().forward(input)
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )
