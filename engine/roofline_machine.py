"""This machine's own roofline: peak of fp32 multiply-accumulates and memory bandwidth, measured once.

They are kept as a cost table of kind "device" among the user's own (``BITFRONT_HOME/costs/machine-<host>.toml``), so
that every chart that offers a device offers this one; deleting the file measures anew. With as many threads as a run
has (``BITFRONT_THREADS``): what one run can attain.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import tomllib
from collections.abc import Callable

import torch

from engine.costs import CostTable, load_table, machine_file, make_table
from engine.measure.conditions import processor
from engine.settings import Settings

SIDE = 1024
"""Of the square matrices whose product is timed."""
BUFFER = 64 * 2**20
"""Bytes of the buffer that is copied: well beyond the caches."""
REPEATS = 5


def machine_table(settings: Settings, *, again: bool = False) -> CostTable:
    """The table of this machine: the one kept, else measured now (under a second) and kept.

    ``again``: measure even so. Where nothing can be written, it is measured and not kept. Raises InputError where the
    kept file does not fit.
    """
    path = machine_file(settings)
    if path.is_file() and not again:
        return load_table(path.stem, settings)
    text = measured(settings.threads)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(text)
        part.replace(path)
    return make_table(path.stem, tomllib.loads(text), f"the cost table {path}")


def measured(threads: int) -> str:
    """The table as TOML."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        peak, bandwidth = peak_of(device), bandwidth_of(device)
    finally:
        torch.set_num_threads(before)
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{processor()}, {threads} thread(s)"
    day = time.strftime("%Y-%m-%d")
    values = {
        "title": f"{socket.gethostname()}: {what}",
        "source": f"measured here on {day}, torch {torch.__version__}: the best of {REPEATS} products of {SIDE}×{SIDE} "
        f"matrices in fp32, and of {REPEATS} copies of {BUFFER // 2**20} MiB (bytes read and written)",
        "kind": "device",
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([*lines, f"peak = {peak:.4g}", f"bandwidth = {bandwidth:.4g}", ""])


def peak_of(device: torch.device) -> float:
    """fp32 multiply-accumulates a second."""
    a, b = torch.rand(2, SIDE, SIDE, device=device)
    return SIDE**3 / best_seconds(lambda: a @ b, device)


def bandwidth_of(device: torch.device) -> float:
    """Bytes read and written a second."""
    source = torch.zeros(BUFFER // 4, device=device)
    target = torch.ones_like(source)
    return 2 * BUFFER / best_seconds(lambda: target.copy_(source), device)


def best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """The least of a few timings: what disturbs only ever adds."""

    def timed() -> float:
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    timed()
    return min(timed() for _ in range(REPEATS))
