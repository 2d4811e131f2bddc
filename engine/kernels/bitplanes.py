"""Bit planes: codes of b bits in b planes of one bit an element, within 1 % of b·numel/8 bytes.

Plane k holds bit k of eight consecutive codes in a byte, the first code in the highest bit.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pack(codes: Tensor, width: int) -> Tensor:
    """Codes in [0, 2^width), any shape, to uint8 [width, ⌈numel/8⌉]."""
    flat = codes.reshape(-1).to(torch.int32)
    flat = torch.nn.functional.pad(flat, (0, -flat.numel() % 8)).view(-1, 8)
    out = torch.empty(width, len(flat), dtype=torch.uint8, device=codes.device)
    weights = _weights(codes.device)
    for k in range(width):
        out[k] = ((flat >> k) & 1).mul_(weights).sum(1, dtype=torch.int32)
    return out


def unpack(planes: Tensor, count: int) -> Tensor:
    """The ``count`` codes of packed planes, as int32 [count]."""
    shifts = torch.arange(7, -1, -1, dtype=torch.int32, device=planes.device)
    codes = torch.zeros(planes.shape[1], 8, dtype=torch.int32, device=planes.device)
    for k, plane in enumerate(planes):
        codes |= ((plane.to(torch.int32)[:, None] >> shifts) & 1) << k
    return codes.view(-1)[:count]


def _weights(device: torch.device) -> Tensor:
    return 1 << torch.arange(7, -1, -1, dtype=torch.int32, device=device)
