"""Time and peak memory of fake-quantization: each variant in a fresh process, beside a copy of the same tensor.

A process makes the tensor, warms up on a small one, notes the peak of its first full-size call (resident set,
Linux), then times the variant and a copy in turn. Time is the process's CPU time, which other programs on the
machine hardly change; with one thread on an idle machine it is the time on the clock. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.bench import Goal, Report
from engine.errors import BitfrontError, InputError

SIZES = ((2708, 1433), (19717, 500))
"""The features of Cora, and of PubMed."""
CASES = (
    "int8",
    "int8 a row",
    "int8 stochastic",
    "msfp13",
    "msfp13 stochastic",
    "mxfp8_e4m3",
    "mxfp8_e4m3 stochastic",
    "mxfp4_e2m1",
    "mxint8",
    "bf16",
    "log4",
)
TURNS = 15


def run(cases: Sequence[str] = (), *, threads: int = 1, sizes: Sequence[tuple[int, int]] = SIZES) -> Report:
    """Measure the named cases (default: all). Raises InputError for an unknown one."""
    for case in cases:
        if case not in CASES:
            raise InputError(f"unknown case {case!r} of the bench 'formats': allowed are {', '.join(CASES)}")
    rows: list[dict[str, Any]] = []
    for size in sizes:
        for case in cases or CASES:
            ours = _spawn(case, "kernel", size, threads)
            plain = _spawn(case, "plain", size, threads)
            own = _spawn(case, "torch", size, threads) if case == "int8" else None
            rows.append(
                {
                    "size": f"{size[0]}×{size[1]}",
                    "case": case,
                    "milliseconds": round(1e3 * ours["seconds"], 2),
                    "copies": round(ours["copies"], 2),
                    "plain_copies": round(plain["copies"], 2),
                    "speedup": round(plain["copies"] / ours["copies"], 1),
                    "torch_copies": round(own["copies"], 2) if own else None,
                    "memory": round(ours["memory"], 2),
                    "plain_memory": round(plain["memory"], 2),
                }
            )
    load = os.getloadavg()[0]
    notes = (
        f"{threads} thread(s), {os.cpu_count()} cores, load {load:.1f} at the end; "
        f"CPU time, medians of {TURNS} turns, each variant in a fresh process, a copy of the tensor in turn with it",
        "peak extra: growth of the resident set's peak over the call, in sizes of the output",
    )
    return Report(rows, _judge(rows), notes)


def _judge(rows: Sequence[dict[str, Any]]) -> list[Goal]:
    goals: list[Goal] = []
    by_name = {(row["size"], row["case"]): row for row in rows}
    for (size, case), row in by_name.items():
        if case == "int8":
            goals.append(Goal(f"int8 at most 2.5 copies, {size}", f"{row['copies']}", row["copies"] <= 2.5))
            goals.append(Goal(f"int8 at least 3 × the plain formula, {size}", f"{row['speedup']}", row["speedup"] >= 3))
        if case.startswith("msfp") and "stochastic" not in case:
            goals.append(Goal(f"{case} at most 4 copies, {size}", f"{row['copies']}", row["copies"] <= 4))
        nearest = "msfp13" if case.startswith("mx") and "stochastic" not in case else case.removesuffix(" stochastic")
        beside = by_name.get((size, nearest))
        if beside is not None and nearest != case:
            ratio = round(row["copies"] / beside["copies"], 2)
            goals.append(Goal(f"{case} within 2 × {nearest}, {size}", f"{ratio}", ratio <= 2))
        goals.append(
            Goal(f"{case} peak extra memory at most 1.1 outputs, {size}", f"{row['memory']}", row["memory"] <= 1.1)
        )
    return goals


def _spawn(case: str, variant: str, size: tuple[int, int], threads: int) -> dict[str, float]:
    environment = {**os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "NUMBA")}}
    command = [sys.executable, "-m", "engine.bench.formats", "--case", case, "--variant", variant]
    command += ["--size", str(size[0]), str(size[1])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BitfrontError(f"the bench of {case} ({variant}) failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def measure(case: str, variant: str, size: tuple[int, int], turns: int = TURNS) -> dict[str, float]:
    """Seconds and copies (medians), and peak extra memory in output tensors, of one variant in this process."""
    import torch

    call = _get_call(case, variant)
    x = torch.randn(size, generator=torch.Generator().manual_seed(0))
    call(x[:64].clone())
    before = _reset_peak()
    kept = call(x)
    memory = (_peak() - before) / (x.numel() * x.element_size())
    del kept
    seconds: list[float] = []
    copies: list[float] = []
    for turn in range(turns + 2):
        for times, work in ((copies, torch.Tensor.clone), (seconds, call)):
            start = time.process_time()
            work(x)
            if turn >= 2:
                times.append(time.process_time() - start)
    middle = statistics.median(seconds)
    return {"seconds": middle, "copies": middle / statistics.median(copies), "memory": memory}


def _get_call(case: str, variant: str) -> Callable[[Any], Any]:
    from engine.bench.plain import PLAIN, fused_affine
    from engine.formats import get_format
    from engine.randomness import make_key

    if variant != "kernel":
        return fused_affine if variant == "torch" else PLAIN[case]
    name, _, manner = case.partition(" ")
    format = get_format(name)
    if manner == "stochastic":
        key = make_key(0, 0, 0)
        return lambda x: format.fake_quantize(x, rounding="stochastic", generator=key)
    if manner == "a row":
        return lambda x: format.fake_quantize(x, granularity="row")
    return format.fake_quantize


def _reset_peak() -> int:
    """Set the peak of the resident set to what it is now; bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise BitfrontError("peak memory is measured on Linux only: /proc/self/status has no VmHWM here")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True)
    parser.add_argument("--variant", choices=("kernel", "plain", "torch"), required=True)
    parser.add_argument("--size", type=int, nargs=2, required=True)
    given = parser.parse_args()
    print(json.dumps(measure(given.case, given.variant, tuple(given.size))))


if __name__ == "__main__":
    main()
