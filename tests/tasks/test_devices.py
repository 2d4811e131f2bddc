"""Which GPUs ``CUDA_VISIBLE_DEVICES`` leaves."""

from __future__ import annotations

import pytest

from tasks.devices import Gpu, visible

FOUND = [Gpu("0", "A"), Gpu("1", "B")]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (None, ["0", "1"]),
        ("", []),
        ("-1", []),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("0,7,1", ["0"]),
        ("GPU-5a3f", ["GPU-5a3f"]),
    ],
)
def test_cuda_visible_devices_chooses(asked: str | None, left: list[str]) -> None:
    assert [gpu.index for gpu in visible(FOUND, asked)] == left
