"""Which kernel sums codes: integers' or fp32's, whichever this machine is faster with at the width; measured once.

What is kept is a file a machine in ``BITFRONT_HOME`` (``integers-<host>.json``), by number of threads; deleting it
measures anew. Both kernels give the same: codes as float32 are whole numbers, and their sums stay exact below 2^24.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.kernels.csr import Csr, csr
from engine.kernels.integer_sums import FixedPoint, sum_codes, sum_weighted
from engine.kernels.widened_sums import sum_widened
from engine.roofline_machine import best_seconds
from engine.settings import Settings

WIDTHS = (16, 32, 64, 128, 256)
NODES, EDGES = 10_000, 100_000
"""Of the generated graph that is summed over."""
EXACT = 2**24
"""Whole numbers below it are exact in float32."""

Ratios = Mapping[int, float]
"""By width: the integer kernel's seconds ÷ fp32's, which first has to make float32 of the codes."""

_here: dict[int, Dispatch] = {}


@dataclass(frozen=True)
class Dispatch:
    """``codes``: of sums of codes; ``weighted``: of sums of codes times the nodes' factors in fixed point."""

    codes: Ratios
    weighted: Ratios

    def ratio(self, weighted: bool, width: int) -> float:
        """At the nearest measured width."""
        ratios = self.weighted if weighted else self.codes
        return ratios[min(ratios, key=lambda known: abs(known - width))]

    def pays(self, weighted: bool, width: int) -> bool:
        """Whether integers are the faster ones."""
        return self.ratio(weighted, width) <= 1


def dispatch_file(settings: Settings) -> Path:
    return settings.home / f"integers-{socket.gethostname()}.json"


def dispatch_for(settings: Settings) -> Dispatch:
    """As kept for this machine and number of threads, else measured now (under a second) and kept where it can be."""
    threads = torch.get_num_threads()
    if threads not in _here:
        path = dispatch_file(settings)
        kept = _read(path)
        if str(threads) not in kept:
            kept[str(threads)] = measured()
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(f".{os.getpid()}.part")
                part.write_text(json.dumps(kept, indent=1) + "\n")
                part.replace(path)
        found = kept[str(threads)]
        codes, weighted = ({int(w): r for w, r in found[name].items()} for name in ("codes", "weighted"))
        _here[threads] = Dispatch(codes, weighted)
    return _here[threads]


def _read(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What is kept; nothing where there is no file, or none of this form."""
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text())
        widths = {str(width) for width in WIDTHS}
        if isinstance(kept, dict) and all(
            isinstance(found, dict) and all(found.get(name, {}).keys() == widths for name in ("codes", "weighted"))
            for found in kept.values()
        ):
            return kept
    return {}


def measured() -> dict[str, dict[str, float]]:
    """The ratios of both kinds, by width."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.randint(NODES, (2, EDGES), generator=generator)
    matrix = csr(rows, columns, NODES)
    factors = FixedPoint.of(torch.ones(NODES, 1), matrix)
    found: dict[str, dict[str, float]] = {"codes": {}, "weighted": {}}
    for width in WIDTHS:
        codes = torch.randint(-128, 128, (NODES, width), generator=generator, dtype=torch.int8).numpy()
        whole, exact = np.empty(codes.shape, np.int32), np.empty(codes.shape)
        values, floats = np.empty(codes.shape, np.float32), np.empty(codes.shape, np.float32)
        other = _seconds(
            lambda codes=codes, values=values, out=floats: sum_widened(matrix, codes, 3, None, values, out)
        )
        ways: dict[str, Callable[[], None]] = {
            "codes": lambda codes=codes, out=whole: sum_codes(matrix, codes, 3, out),
            "weighted": lambda codes=codes, out=exact: sum_weighted(matrix, codes, 3, factors, out),
        }
        for name, way in ways.items():
            found[name][str(width)] = round(_seconds(way) / other, 3)
    return found


def _seconds(work: Callable[[], object]) -> float:
    return best_seconds(work, torch.device("cpu"))


def fits_float32(matrix: Csr, largest: int) -> bool:
    """Whether sums of codes of at most this magnitude are exact in float32."""
    return int(matrix.degrees.max()) * largest < EXACT if matrix.rows else True
