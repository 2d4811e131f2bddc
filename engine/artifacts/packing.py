"""Tensors one after the other in a run of bytes, and back; nothing but bytes, types and shapes."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from engine.artifacts.manifest import Segment
from engine.errors import InputError
from engine.kernels.bitplanes import pack, unpack


class Writer:
    """Collects segments; ``packed`` is all of them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def put(self, tensor: Tensor) -> Segment:
        """The tensor's bytes as they are."""
        return self._add(tensor, list(tensor.shape), tensor.dtype, None)

    def put_codes(self, codes: Tensor) -> Segment:
        """Codes of a small unsigned type in the fewest bits that hold the largest."""
        width = max(int(codes.max()) if codes.numel() else 0, 1).bit_length()
        return self._add(pack(codes, width), list(codes.shape), codes.dtype, width)

    def _add(self, tensor: Tensor, shape: list[int], dtype: torch.dtype, bits: int | None) -> Segment:
        data = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        segment = Segment(at=self._size, bytes=len(data), dtype=Reader.NAMES[dtype], shape=shape, bits=bits)
        self._parts.append(data)
        self._size += len(data)
        return segment

    @property
    def packed(self) -> bytes:
        return b"".join(self._parts)


class Reader:
    """Gives the tensors of segments. Raises InputError where one does not lie within the bytes, or is no tensor."""

    TYPES: ClassVar[dict[str, torch.dtype]] = {
        name: getattr(torch, name)
        for name in ("uint8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "bool")
    }
    NAMES: ClassVar[dict[torch.dtype, str]] = {dtype: name for name, dtype in TYPES.items()}

    def __init__(self, packed: bytes, source: str) -> None:
        self.packed, self.source = packed, source

    def get(self, segment: Segment) -> Tensor:
        if segment.dtype not in self.TYPES:
            raise self._broken(f"a tensor of the unknown type {segment.dtype!r}")
        dtype, count = self.TYPES[segment.dtype], math.prod(segment.shape)
        size = -(-count // 8) * segment.bits if segment.bits else count * dtype.itemsize
        if size != segment.bytes or segment.at + segment.bytes > len(self.packed):
            raise self._broken(f"a tensor of shape {segment.shape} in {segment.bytes} bytes at {segment.at}")
        if not segment.bytes:
            return torch.empty(segment.shape, dtype=dtype)
        data = torch.frombuffer(bytearray(self.packed[segment.at : segment.at + segment.bytes]), dtype=torch.uint8)
        if segment.bits:
            return unpack(data.view(segment.bits, -1), count).to(dtype).view(segment.shape)
        return data.view(dtype).view(segment.shape)

    def _broken(self, what: str) -> InputError:
        return InputError(f"{self.source} is damaged: its manifest names {what}, which the file does not hold")
