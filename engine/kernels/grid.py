"""Evenly spaced grids: x̂ = c·(clamp(round((x − m)/c − d), first, last) + d) + m, in float64 throughout.

Every integer format is such a grid; what differs is how m, d and c come from a range (METHODS §1).
float32 tensors on the CPU take the kernels of grid_cpu, all others the plain form below: the same bits.
The grid's ends may lie half a step outside the range: where that is beyond the type's largest value, x̂ is that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.kernels.finite import NonFiniteError, check_bits
from engine.kernels.layout import around, chunks, narrow
from engine.kernels.rounding import Rounding, round_
from engine.kernels.threads import split


@dataclass(frozen=True)
class Grid:
    """``m``, ``d``, ``c``: floats, or float64 tensors that broadcast over x with size 1 along ``axis``.

    ``divisor`` is c, or infinity where the range is a single value (then c = d = 0 and x̂ = m).
    """

    m: Any
    divisor: Any
    d: Any
    c: Any
    first: float
    last: float
    axis: int = -1

    @property
    def many(self) -> bool:
        """Whether there is a grid for each line along the axis, rather than one for the tensor."""
        return isinstance(self.c, Tensor) and self.c.dim() > 0

    def lines(self, x: Tensor) -> tuple[Any, Any, Any, Any]:
        """m, divisor, d, c for x seen as [outer, length, inner]: floats or tensors [outer, 1, inner]."""
        if not self.many:
            return self.m, self.divisor, self.d, self.c
        outer, _, inner = x.shape
        return tuple(value.reshape(outer, 1, inner) for value in (self.m, self.divisor, self.d, self.c))  # pyright: ignore[reportReturnType]


def quantize_grid(x: Tensor, grid: Grid, rounding: Rounding, *, check: bool) -> Tensor:
    """x̂ of x's shape, dtype and device; ``check`` says that the range was not taken from x itself.

    Raises NonFiniteError where x is on the CPU and holds NaN or infinity.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        return narrow(quantize_grid(x.float(), grid, rounding, check=check), x.dtype)
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    if x.numel() == 0:
        return out
    if x.device.type == "cpu" and x.dtype == torch.float32 and fits_float32(grid):
        worst = _quantize_cpu(x, out, grid, rounding, check)
        if check:
            check_bits(worst, x)
        return out
    if check and x.device.type == "cpu" and not bool(torch.isfinite(torch.stack(torch.aminmax(x))).all()):
        raise NonFiniteError(x)
    return plain_grid(x, out, grid, rounding)


def quantize_grid_mask(
    x: Tensor, grid: Grid, rounding: Rounding, *, inclusive: bool, check: bool
) -> tuple[Tensor, Tensor]:
    """x̂ and a packed mask, one bit an element: whether the code lay within the grid before the clamp.

    ``inclusive``: the codes at the grid's ends do not count as within. Bit i % 8 of byte i // 8 is element i.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        out, mask = quantize_grid_mask(x.float(), grid, rounding, inclusive=inclusive, check=check)
        return narrow(out, x.dtype), mask
    x = x.detach().contiguous()
    margin = 1 if inclusive else 0
    keep = float(grid.first + margin), float(grid.last - margin)
    single = x.device.type == "cpu" and x.dtype == torch.float32 and not grid.many
    if x.numel() and single and fits_float32(grid):
        return _quantize_mask_cpu(x, grid, rounding, keep, check)
    out = quantize_grid(x, grid, rounding, check=check)
    kept = torch.empty(x.shape, dtype=torch.bool, device=x.device)
    source, target = _view(x, grid), _view(kept, grid)
    values = grid.lines(source)
    for o, r, start in chunks(tuple(source.shape), x.device.type):  # pyright: ignore[reportArgumentType]
        m, divisor, d, _ = (v[o] if grid.many else v for v in values)
        t = _round_part(source[o, r].double(), m, divisor, d, rounding, start)
        target[o, r] = (t >= keep[0]) & (t <= keep[1])
    return out, pack_mask(kept)


def pack_mask(kept: Tensor) -> Tensor:
    """A bool tensor as bits, uint8 [⌈numel/8⌉]; bit i % 8 of byte i // 8 is element i."""
    flat = kept.reshape(-1).to(torch.uint8)
    flat = torch.nn.functional.pad(flat, (0, -flat.numel() % 8)).view(-1, 8)
    out = flat[:, 0].clone()
    for bit in range(1, 8):
        out |= flat[:, bit] << bit
    return out


def keep_rows(mask: Tensor, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The packed mask of a tensor of this shape with all bits of ``rows`` (bool [shape[0]]) set; the CPU's in place."""
    if mask.device.type == "cpu":
        from engine.kernels import grid_cpu

        grid_cpu.set_rows(mask.numpy(), rows.numpy(), math.prod(shape[1:]))
        return mask
    return mask | pack_mask(rows.view(-1, *[1] * (len(shape) - 1)).expand(shape))


def select_kept(gradient: Tensor, mask: Tensor) -> Tensor:
    """The gradient where the packed mask's bit is set, else 0: one new tensor."""
    gradient = gradient.contiguous()
    if gradient.device.type == "cpu" and gradient.dtype == torch.float32:
        from engine.kernels import grid_cpu

        out = torch.empty_like(gradient)
        source, kept, target = gradient.view(-1).numpy(), mask.numpy(), out.view(-1).numpy()

        def run(a: int, z: int) -> None:
            part = slice(a * 8, z * 8)
            grid_cpu.select(source[part], kept[a:z], target[part])

        split(len(kept), gradient.numel(), run)
        return out
    bits = torch.arange(8, dtype=torch.uint8, device=mask.device)
    kept = ((mask[:, None] >> bits) & 1).view(-1)[: gradient.numel()].view(gradient.shape)
    return torch.where(kept.bool(), gradient, 0)


def plain_grid(
    x: Tensor, out: Tensor, grid: Grid, rounding: Rounding, *, codes: bool = False, poison: bool | None = None
) -> Tensor:
    """The definition in torch, on any device, without waiting for it; a few chunks of float64 at a time.

    ``codes=True`` fills ``out`` (an integer tensor) with code − first instead of x̂. ``poison``: an infinite
    element comes out as NaN, not as the grid's end; by default where nothing is raised, off the CPU.
    """
    poison = x.device.type != "cpu" if poison is None else poison
    source, target = _view(x, grid), _view(out, grid)
    values = grid.lines(source)
    largest = torch.finfo(x.dtype).max
    for o, r, start in chunks(tuple(source.shape), x.device.type):  # pyright: ignore[reportArgumentType]
        m, divisor, d, c = (v[o] if grid.many else v for v in values)
        part = source[o, r].double()
        t = _round_part(part, m, divisor, d, rounding, start).clamp_(grid.first, grid.last)
        if codes:
            target[o, r] = t.sub_(grid.first)
            continue
        t = t.add_(d).mul_(c).add_(m).clamp_(-largest, largest)
        target[o, r] = t.add_(source[o, r], alpha=0) if poison else t
    return out


def _round_part(part: Tensor, m: Any, divisor: Any, d: Any, rounding: Rounding, start: int) -> Tensor:
    # A float64 source is x itself, not a copy: the subtraction makes the buffer.
    return round_(part.sub(m).div_(divisor).sub_(d), rounding, start)


def dequantize_grid(codes: Tensor, grid: Grid, dtype: torch.dtype) -> Tensor:
    """x̂ from code − first (any integer dtype)."""
    out = torch.empty(
        codes.shape, dtype=torch.float64 if dtype == torch.float64 else torch.float32, device=codes.device
    )
    source, target = _view(codes.contiguous(), grid), _view(out, grid)
    values = grid.lines(source)
    largest = torch.finfo(out.dtype).max
    for o, r, _ in chunks(tuple(source.shape), codes.device.type):  # pyright: ignore[reportArgumentType]
        m, _divisor, d, c = (v[o] if grid.many else v for v in values)
        target[o, r] = source[o, r].double().add_(grid.first).add_(d).mul_(c).add_(m).clamp_(-largest, largest)
    return narrow(out, dtype)


def count_outside(x: Tensor, grid: Grid, rounding: Rounding) -> Tensor:
    """How many codes the clamp moves, as an int64 tensor without dimensions."""
    source = _view(x.detach().contiguous(), grid)
    values = grid.lines(source)
    count = torch.zeros((), dtype=torch.int64, device=x.device)
    for o, r, start in chunks(tuple(source.shape), x.device.type):  # pyright: ignore[reportArgumentType]
        m, divisor, d, _ = (v[o] if grid.many else v for v in values)
        t = _round_part(source[o, r].double(), m, divisor, d, rounding, start)
        count += ((t < grid.first) | (t > grid.last)).sum()
    return count


def fits_float32(grid: Grid) -> bool:
    """Whether the grid's ends, which may lie half a step outside the range, are float32's."""
    ends = [(code + grid.d) * grid.c + grid.m for code in (grid.first, grid.last)]
    largest = torch.finfo(torch.float32).max
    if isinstance(ends[0], Tensor):
        return bool((torch.maximum(ends[0].abs(), ends[1].abs()) <= largest).all())
    return max(abs(ends[0]), abs(ends[1])) <= largest


def _view(x: Tensor, grid: Grid) -> Tensor:
    return around(x, grid.axis) if grid.many else x.view(1, -1, 1)


def _quantize_mask_cpu(
    x: Tensor, grid: Grid, rounding: Rounding, keep: tuple[float, float], check: bool
) -> tuple[Tensor, Tensor]:
    from engine.kernels import grid_cpu

    floor, key = rounding.kernel_arguments
    out = torch.empty_like(x)
    mask = torch.empty((x.numel() + 7) // 8, dtype=torch.uint8)
    flat, into, bits = x.view(-1).numpy(), out.view(-1).numpy(), mask.numpy()
    magnitudes = flat.view(np.int32) if check else None
    values = (float(grid.m), float(grid.divisor), float(grid.d), float(grid.c), float(grid.first), float(grid.last))

    def run(a: int, z: int) -> int:
        part = slice(a * 8, z * 8)
        field = magnitudes[part] if magnitudes is not None else None
        return grid_cpu.quantize_flat_mask(flat[part], field, into[part], bits[a:z], a * 8, *values, *keep, floor, key)

    worst = max(split(len(bits), x.numel(), run))
    if check:
        check_bits(worst, x)
    return out, mask


def _quantize_cpu(x: Tensor, out: Tensor, grid: Grid, rounding: Rounding, check: bool) -> int:
    from engine.kernels import grid_cpu, grid_narrow

    floor, key = rounding.kernel_arguments
    source, target = _view(x, grid).numpy(), _view(out, grid).numpy()
    bits = source.view(np.int32) if check else None
    first, last = float(grid.first), float(grid.last)
    if not grid.many:
        values = (float(grid.m), float(grid.divisor), float(grid.d), float(grid.c))
        flat, into = source.reshape(-1), target.reshape(-1)
        flat_bits = bits.reshape(-1) if bits is not None else None

        narrow = grid_narrow.narrow_settings(values[0], values[2], values[3], first, last) if floor is None else None

        def run(a: int, z: int) -> int:
            part = flat_bits[a:z] if flat_bits is not None else None
            if narrow is not None:
                return grid_narrow.quantize_flat_narrow(
                    flat[a:z], part, into[a:z], a, values[2], values[3], first, last, *narrow, key
                )
            return grid_cpu.quantize_flat(flat[a:z], part, into[a:z], a, *values, first, last, floor, key)

        return max(split(x.numel(), x.numel(), run))
    outer, length, inner = source.shape
    lines = [np.ascontiguousarray(value.numpy()) for value in grid.lines(_view(x, grid))]
    if inner == 1:
        rows, into_rows = source[..., 0], target[..., 0]
        row_bits = bits[..., 0] if bits is not None else None

        def run_rows(a: int, z: int) -> int:
            part = row_bits[a:z] if row_bits is not None else None
            values = (value[a:z, 0, 0] for value in lines)
            return grid_cpu.quantize_rows(rows[a:z], part, into_rows[a:z], a * length, *values, first, last, floor, key)

        return max(split(outer, x.numel(), run_rows))
    worst = 0
    for o in range(outer):
        values = [value[o, 0] for value in lines]

        def run_columns(a: int, z: int, o: int = o, values: list[Any] = values) -> int:
            part = bits[o, a:z] if bits is not None else None
            begin = (o * length + a) * inner
            return grid_cpu.quantize_columns(
                source[o, a:z], part, target[o, a:z], begin, *values, first, last, floor, key
            )

        worst = max(worst, *split(length, length * inner, run_columns))
    return worst
