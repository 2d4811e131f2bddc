"""What torch allocates, block by block."""

from __future__ import annotations

import torch

from engine.measure.allocated import Allocations, allocated

MB = 250_000
"""float32 elements of 10^6 bytes."""


def test_what_lives_at_one_time_counts():
    def call() -> object:
        first = torch.empty(250_000)
        second = torch.empty(250_000)
        del first
        return second, torch.empty(250_000)

    assert allocated(call) == 2_000_000


def test_blocks_follow_one_another():
    allocations = Allocations()
    with allocations.followed():
        kept = torch.empty(2 * MB)
    assert (allocations.now, allocations.most) == (2_000_000, 2_000_000)
    with allocations.followed():
        more = torch.empty(MB)
        del kept
    assert (allocations.now, allocations.most) == (1_000_000, 3_000_000)
    del more


def test_what_was_there_before_does_not_count():
    before = torch.empty(5 * MB)
    allocations = Allocations()
    with allocations.followed():
        del before
        torch.empty(MB)
    assert (allocations.now, allocations.most) == (0, 1_000_000)
