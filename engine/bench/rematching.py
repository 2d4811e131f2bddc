"""What SGQuant's rematching really allocates: packed codes, a range a row, and the fp32 tensor that it makes again.

SGQuant (Feng et al., ICTAI 2020, arXiv 2007.05100) counts Σ numel·bits/8 as the memory of quantized features. Each row
also keeps where its codes begin and how wide they are, and before a product the codes are "rematched": turned back into
fp32 values. Here these bytes are measured, beside the claim: every allocation and release of torch's allocator is
followed (torch.profiler, in a fresh process, as it logs), so the figures are the same in every run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.bench import Goal, Report
from engine.errors import BitfrontError, InputError

NODES = 2708
"""Cora's."""


@dataclass(frozen=True)
class Case:
    """Feature tensors [nodes, width] that are kept at the same time; they are rematched one after the other."""

    nodes: int
    widths: tuple[int, ...]


CASES: dict[str, Case] = {
    "16 wide": Case(NODES, (16,)),
    "64 wide": Case(NODES, (64,)),
    "256 wide": Case(NODES, (256,)),
    "1433 wide": Case(NODES, (1433,)),
    "GCN on Cora": Case(NODES, (1433, 32, 32)),
    "AGNN on Cora": Case(NODES, (1433, 16, 16, 16, 7)),
    "GCN on PubMed": Case(19717, (500, 32, 32)),
}
BITS = (8, 4, 2, 1)
BLOCK = 256
"""Rows that are rematched at a time, where it is done by blocks."""


def run(cases: Sequence[str] = (), *, bits: Sequence[int] = BITS) -> Report:
    """Measure the named cases (default: all). Raises InputError for an unknown one."""
    for case in cases:
        if case not in CASES:
            raise InputError(f"unknown case {case!r} of the bench 'rematching': allowed are {', '.join(CASES)}")
    rows = [row for name in cases or CASES for row in _spawn(name, bits)]
    notes = (
        "bytes of torch's allocator, from torch.profiler's memory events: the same in every run; kB = 10^3 bytes",
        "claim: Σ numel·bits/8, the paper's definition; kept: bit-packed codes and two float32 a row",
        "rematching: all that is kept, and the most that turning one tensor back into fp32 allocates, its result "
        f"included (this engine's decode, whose codes are int32 on the way; any decode of a whole tensor has at least "
        f"its fp32 values beside what is kept); by blocks: {BLOCK} rows at a time",
        "emulation: the most that fake-quantizing one tensor allocates, with all tensors in fp32",
        "the paper's Table III: GCN on Cora 15.42 MB in fp32, 0.59 MB at 1.22 bits on average, 26.1×; "
        "AGNN on Cora 15.94 MB, 1.07 MB at 2.15 bits, 14.9×; GCN on PubMed 43.71 MB, 4.01 MB at 2.9 bits, 10.9×",
    )
    return Report(rows, _judge(rows), notes)


def _spawn(name: str, bits: Sequence[int]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "engine.bench.rematching", "--case", name, "--bits", *map(str, bits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BitfrontError(f"the bench of rematching {name} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def measure(name: str, case: Case, bits: int) -> dict[str, Any]:
    """The row of a case at ``bits`` a value: kB, and savings relative to fp32."""
    import torch

    from engine.formats import get_format
    from engine.measure.allocated import allocated

    format = get_format(f"int{bits}-floor")
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(case.nodes, width, generator=generator) for width in case.widths]
    fp32 = sum(x.numel() * x.element_size() for x in tensors)
    packed = [format.encode(x, granularity="row") for x in tensors]
    blocks = [format.encode(block, granularity="row") for x in tensors for block in x.split(BLOCK)]
    codes = sum(part.codes.numel() * part.codes.element_size() for part in packed)
    claim = sum(x.numel() for x in tensors) * bits / 8
    kept = sum(part.nbytes for part in packed)
    sizes = {
        "fp32": fp32,
        "claim": claim,
        "codes": codes,
        "ranges": kept - codes,
        "kept": kept,
        "rematching": kept + max(allocated(part.decode) for part in packed),
        "by_blocks": sum(part.nbytes for part in blocks) + max(allocated(part.decode) for part in blocks),
        "emulation": fp32 + max(allocated(lambda x=x: format.fake_quantize(x, granularity="row")) for x in tensors),
    }
    return {
        "case": name,
        "bits": bits,
        **{key: round(size / 1e3, 1) for key, size in sizes.items()},
        "claimed_saving": round(fp32 / claim, 2),
        "kept_saving": round(fp32 / kept, 2),
        "rematching_saving": round(fp32 / sizes["rematching"], 2),
        "by_blocks_saving": round(fp32 / sizes["by_blocks"], 2),
    }


def _judge(rows: Sequence[dict[str, Any]]) -> list[Goal]:
    goals: list[Goal] = []
    for row in rows:
        where = f"{row['case']}, {row['bits']} bits"
        share = round(row["claimed_saving"] / row["kept_saving"], 2)
        goals.append(Goal(f"kept: at most 1.05 × the claim, {where}", f"{share}", share <= 1.05))
        for key, title in (("rematching_saving", "peak of rematching"), ("by_blocks_saving", "peak by blocks")):
            goals.append(Goal(f"{title}: below fp32, {where}", f"{1 / row[key]:.2f} × fp32", row[key] > 1))
    return goals


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True)
    parser.add_argument("--bits", type=int, nargs="+", required=True)
    given = parser.parse_args()
    print(json.dumps([measure(given.case, CASES[given.case], bits) for bits in given.bits]))


if __name__ == "__main__":
    main()
