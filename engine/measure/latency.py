"""How long inference takes: the model over all that evaluation sees, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WARM = 3
LEAST, MOST = 20, 500
SECONDS = 3.0


@dataclass(frozen=True)
class Latency:
    """Seconds."""

    median: float
    p95: float
    passes: int


def latency_of(infer: Callable[[], float]) -> Latency:
    """Median and 95th percentile of the seconds that ``infer`` says each pass took.

    Passes go on for about three seconds, at least 20 and at most 500 of them, after a few that do not count.
    """
    for _ in range(WARM):
        infer()
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < LEAST or (len(seconds) < MOST and time.perf_counter() - began < SECONDS):
        seconds.append(infer())
    return Latency(float(np.median(seconds)), float(np.percentile(seconds, 95)), len(seconds))
