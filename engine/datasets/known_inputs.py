"""What is known of a dataset's features without loading them: how small they are beside the ranges they share.

A load leaves it beside the data (engine.input_magnitudes), so that it can be said before launching, without torch, how
much of the input a format would round to zero.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from engine.datasets.entry import DatasetSpec
from engine.datasets.known_size import kept_file
from engine.formats.base import Format
from engine.scheme import Quantization, Scheme
from engine.settings import Settings
from engine.spec import RunSpec

WHOLE_RANGES = ("min-max", "running", "ema")
"""Ranges that are the observed one, where a tensor stays the same."""


@dataclass(frozen=True)
class KnownInputs:
    """Features that are not zero, each list ascending and at even distances in rank."""

    elements: int
    """Of which the others are zero."""
    entries: int
    low: float
    high: float
    """Of all features, zeros included."""
    values: tuple[float, ...]
    of_row: tuple[float, ...]
    """Magnitudes, where the range of their row, zero included, is 1 wide."""
    of_box: dict[int, tuple[float, ...]]
    """By the length of a box: magnitudes, where the largest of their box lies in [1, 2)."""

    @property
    def nonnegative(self) -> bool:
        return self.low >= 0

    def zeroed(self, quantization: Quantization) -> float | None:
        """The share of these features that comes out as zero; None where that cannot be told beforehand."""
        format = quantization.format
        stochastic = (quantization.rounding or format.rounding) == "stochastic"
        if type(quantization) is not Quantization or stochastic or quantization.estimator == "lsq":
            return None
        if format.blocked:
            found = self.of_box.get(getattr(format, "box", 0))
            return None if found is None else share_up_to(found, format.zero_up_to(-1.5, 1.5))
        if quantization.granularity != "tensor":
            own = quantization.range in WHOLE_RANGES and self.nonnegative and _follows_its_range(format)
            return share_up_to(self.of_row, format.zero_up_to(0.0, 1.0)) if own else None
        ends = self._ends(quantization)
        return None if ends is None else self._zeroed_between(format, *ends)

    def _zeroed_between(self, format: Format, low: float, high: float) -> float | None:
        most = format.zero_up_to(low, high)
        if most is None:
            return None
        inside = bisect_right(self.values, most) - bisect_left(self.values, -most)
        return inside / max(len(self.values), 1)

    def _ends(self, quantization: Quantization) -> tuple[float, float] | None:
        """The range of all features together; None where it depends on more than is known."""
        if quantization.range in WHOLE_RANGES:
            return self.low, self.high
        if quantization.range != "percentile":
            return None
        tail = float(dict(quantization.range_options)["p"]) * self.elements
        ends = self._ranked(tail), self._ranked(self.elements - tail)
        return (self.low, self.high) if ends[0] == ends[1] else ends

    def _ranked(self, rank: float) -> float:
        """The feature of this rank among all, zeros included."""
        below = bisect_left(self.values, 0.0) / max(len(self.values), 1) * self.entries
        zeros = self.elements - self.entries
        if below <= rank <= below + zeros or not self.values:
            return 0.0
        place = (rank if rank < below else rank - zeros) / self.entries * len(self.values)
        return self.values[min(max(int(place), 0), len(self.values) - 1)]


def _follows_its_range(format: Format) -> bool:
    """Whether three times the range rounds three times as much to zero; a step that is a power of two does not."""
    one, three = format.zero_up_to(0.0, 1.0), format.zero_up_to(0.0, 3.0)
    return one is not None and three is not None and math.isclose(3 * one, three)


def share_up_to(ascending: Sequence[float], most: float | None) -> float | None:
    """Which share of them is at most that large; None where that is not known."""
    return None if most is None else bisect_right(ascending, most) / max(len(ascending), 1)


def inputs_zeroed(spec: RunSpec, settings: Settings) -> tuple[str, float] | None:
    """The share of a run's features, as far as they are not zero, that its first layer's input would round to zero,
    with the format that does; of several formats (degree buckets) the one that loses most. A schedule counts as it
    begins.

    None where the dataset was not loaded here yet, or the scheme keeps its input, or it cannot be told beforehand.
    """
    found = known_inputs(spec.dataset, settings)
    if found is None or not found.values:
        return None
    shares: list[tuple[str, float]] = []
    for quantization in _entering(spec.parsed_scheme):
        share = found.zeroed(quantization)
        if share is not None:
            shares.append((quantization.format.name, share))
    return max(shares, key=lambda each: each[1], default=None)


def _entering(scheme: Scheme) -> list[Quantization]:
    return [rule.quantization for rule in scheme.covering("input", "forward", 0)]


def known_inputs(spec: DatasetSpec, settings: Settings) -> KnownInputs | None:
    """What a load has left of a dataset with these options; None: nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        kept = kept_file(spec, settings, ".inputs.json")
        state = kept.stat()
        return _read(kept, state.st_mtime_ns, state.st_ino)
    return None


@lru_cache(maxsize=64)  # asked for each scheme of a grid, at each change of a form
def _read(kept: Path, changed_ns: int, inode: int) -> KnownInputs:
    """What such a file says, as long as nobody has changed it."""
    seen = json.loads(kept.read_text())
    boxes = {int(length): tuple(values) for length, values in seen.pop("of_box").items()}
    return KnownInputs(**{**seen, "values": tuple(seen["values"]), "of_row": tuple(seen["of_row"])}, of_box=boxes)


def keep_inputs(spec: DatasetSpec, settings: Settings, found: KnownInputs) -> None:
    """Remember a loaded graph's features. Where nothing can be written, nothing is remembered."""
    kept = kept_file(spec, settings, ".inputs.json")
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(asdict(found)))
        part.replace(kept)
