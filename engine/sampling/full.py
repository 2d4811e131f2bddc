"""The whole graph in every step, by sparse products: no sampling."""

from __future__ import annotations

from typing import Literal

from engine.datasets import GraphSize
from engine.sampling.entry import Batching, BatchingSpec


class FullSpec(BatchingSpec):
    """The full batch has no options."""

    name: Literal["full"] = "full"


def expect(spec: FullSpec, size: GraphSize, rounds: int) -> GraphSize:
    return size


ENTRIES = [
    Batching(
        name="full",
        summary="the whole graph in every step",
        source="Kipf & Welling, ICLR 2017, arXiv 1609.02907",
        spec=FullSpec,
        make=None,
        expect=expect,
    )
]
