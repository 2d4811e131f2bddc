"""How small a graph's features are beside the ranges that they would share (engine.datasets.known_inputs)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.datasets.known_inputs import KnownInputs

BOXES = (16, 32)
"""Lengths of box of the published block formats: MSFP's and MX'."""
POINTS = 1000
"""How many features stand for all: shares are told to a tenth of a percent."""
MOST_ELEMENTS = 1 << 22
"""Features that are looked at one by one: of larger tensors those of some rows, evenly spaced."""


def input_magnitudes(x: Tensor) -> KnownInputs:
    """What is told of features x [N, F]; the range is that of all rows, all else of as many as are looked at."""
    low, high = (float(end) for end in torch.aminmax(x)) if x.numel() else (0.0, 0.0)
    rows = max(1, MOST_ELEMENTS // max(x.shape[1], 1))
    seen = x[:: -(-x.shape[0] // rows)] if x.shape[0] > rows else x
    there = seen != 0
    span = (seen.amax(1).clamp(min=0) - seen.amin(1).clamp(max=0)) if seen.numel() else seen.new_ones(seen.shape[0])
    return KnownInputs(
        elements=x.numel(),
        entries=int(x.count_nonzero()),
        low=low,
        high=high,
        values=_spread(seen[there]),
        of_row=_spread((seen.abs() / span.clamp(min=1e-38)[:, None])[there]),
        of_box={length: _spread(_in_boxes(seen, length)[there]) for length in BOXES},
    )


def _in_boxes(x: Tensor, length: int) -> Tensor:
    """|x|, where the largest of each box of a row has the exponent 0."""
    rest = -x.shape[1] % length
    boxes = torch.nn.functional.pad(x.abs(), (0, rest)).unflatten(1, (-1, length))
    exponent = torch.frexp(boxes.amax(2, keepdim=True)).exponent - 1
    return torch.ldexp(boxes, -exponent).flatten(1)[:, : x.shape[1]]


def _spread(values: Tensor) -> tuple[float, ...]:
    """At most POINTS of them, ascending, at even distances in rank."""
    ordered = values.sort().values
    count = min(POINTS, ordered.numel())
    places = ((torch.arange(count, dtype=torch.float64) + 0.5) * ordered.numel() / max(count, 1)).long()
    return tuple(ordered[places].tolist())
