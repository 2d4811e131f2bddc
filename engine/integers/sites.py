"""A saved quantizer as the runtime needs it: one evenly spaced grid for the tensor, whose codes fit into 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from engine.artifacts.codes import codes_of_encoded
from engine.formats.encoded import Encoded
from engine.formats.grid import GridFormat
from engine.kernels.grid import Grid
from engine.live import Sites
from engine.quantizer import Quantizer


class NoIntegersError(Exception):
    """A layer cannot run on integers, for the reason in words."""


class Site:
    """A place whose tensor has integer codes. Raises NoIntegersError where it has none of 8 bits with one scale."""

    def __init__(self, name: str, quantizer: object) -> None:
        if not isinstance(quantizer, Quantizer):
            raise NoIntegersError(f"its {name} has no grid of its own ({type(quantizer).__name__})")
        format = quantizer.format
        if not isinstance(format, GridFormat):
            raise NoIntegersError(f"its {name} is in {format.name}, which is no integer format")
        if quantizer.estimator == "lsq" or quantizer.granularity != "tensor":
            raise NoIntegersError(f"its {name} has several scales, or a learned one")
        if (quantizer.rounding or format.rounding) != "nearest":
            raise NoIntegersError(f"its {name} is not rounded to the nearest code")
        first, last = format.codes
        if first < -128 or last > 127 or not format.keeps_zero:
            raise NoIntegersError(f"its {name} is in {format.name}, whose codes with an exact 0 do not fit 8 bits")
        self.quantizer, self.format = quantizer, format
        ends = quantizer.range.ends(format)
        self.grid: Grid | None = None
        """None: the range is that of the tensor at hand."""
        if ends is not None:
            if bool(ends[0].isnan()):
                raise NoIntegersError(f"its {name} has seen no tensor")
            self.grid = self.grid_of(float(ends[0]), float(ends[1]))
        elif quantizer.range_name != "min-max":
            raise NoIntegersError(f"its {name} has the range {quantizer.range_name!r} of the tensor at hand")

    def grid_of(self, low: float, high: float) -> Grid:
        return self.format.make_grid(low, high)

    def grid_for(self, x: Tensor, zeros: int = 0) -> Grid:
        """The grid for x, which has so many zeros beside the elements that are given."""
        if self.grid is not None:
            return self.grid
        low, high = self.quantizer.range(x, self.format, None, None, zeros=zeros)
        return self.grid_of(float(low), float(high))


def site_of(sites: Sites, name: str, product: str) -> Site | None:
    """The site as it is quantized now; None where it is not. Raises NoIntegersError."""
    place = sites.quantizer(name, product)
    return None if place is None else Site(name, place[1])


def needed(site: Site | None, name: str) -> Site:
    """Raises NoIntegersError where the site is not quantized."""
    if site is None:
        raise NoIntegersError(f"its {name} is not quantized")
    return site


def weight_integers(packed: Encoded | None) -> tuple[np.ndarray, np.ndarray]:
    """A saved weight: its integers [outputs, inputs], and the scale of each row, float64 [outputs].

    Raises NoIntegersError where it has none of 16 bits with a scale a row.
    """
    if packed is None:
        raise NoIntegersError("its weight is not quantized")
    if not isinstance(packed.format, GridFormat):
        raise NoIntegersError(f"its weight is in {packed.format.name}, which is no integer format")
    codes = codes_of_encoded(packed)
    integers: Any = codes.integers
    if integers is None or codes.scale is None or codes.scales[-1:] not in ((), (1,)):
        raise NoIntegersError("its weight is no integers times a scale a row")
    if np.abs(integers).max(initial=0) > 2**15 - 1:
        raise NoIntegersError("its weight has integers of more than 16 bits")
    return integers, np.broadcast_to(codes.scale.reshape(-1), len(integers))
