"""ReLU that keeps a bit an element for its backward pass, where torch's keeps its result."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.kernels.grid import select_kept
from engine.kernels.jit import kernel


@kernel
def _relu(x, mask):
    """x at least 0, in place (NaN stays); bit i % 8 of mask[i // 8] says that x[i] was above it."""
    for byte in range(mask.size):
        value = np.uint8(0)
        for i in range(byte * 8, min(byte * 8 + 8, x.size)):
            if x[i] > 0:
                value |= np.uint8(1 << (i % 8))
            elif x[i] <= 0:
                x[i] = np.float32(0)
        mask[byte] = value


class _PackedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        mask = torch.empty((x.numel() + 7) // 8, dtype=torch.uint8)
        _relu(x.detach().view(-1).numpy(), mask.numpy())
        ctx.mark_dirty(x)
        ctx.save_for_backward(mask)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return select_kept(gradients[0], ctx.saved_tensors[0])


def packed_relu(x: Tensor) -> Tensor:
    """ReLU of a tensor that nobody else needs, in its own memory, with a packed mask; torch's own elsewhere."""
    usual = x.device.type == "cpu" and x.dtype == torch.float32 and x.is_contiguous()
    if not usual or not x.requires_grad or x.is_leaf or x._is_view():
        return torch.relu(x)
    return _PackedRelu.apply(x)  # pyright: ignore[reportReturnType]
