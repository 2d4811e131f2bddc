"""What this machine trains on, found without torch (nvidia-ml-py talks to the driver)."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as ``CUDA_VISIBLE_DEVICES`` names it."""

    index: str
    name: str


def torch_has_cuda() -> bool:
    """Whether the installed torch was built for CUDA (looked up on disk, not imported)."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    return any((Path(found.origin).parent / "lib").glob("*torch_cuda*"))


def gpus() -> list[Gpu]:
    """The GPUs that a worker can use: visible ones, and none where torch was built without CUDA."""
    if not torch_has_cuda():
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        found = [
            Gpu(str(index), _text(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))))
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
    finally:
        pynvml.nvmlShutdown()
    return visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible(found: list[Gpu], asked: str | None) -> list[Gpu]:
    """Those of ``found`` that ``CUDA_VISIBLE_DEVICES`` leaves (unset: all; empty or -1: none)."""
    if asked is None:
        return found
    chosen = []
    for index in (part.strip() for part in asked.split(",")):
        named = next((gpu for gpu in found if gpu.index == index), None)
        if named is None and not index.startswith(("GPU-", "MIG-")):
            break  # as CUDA does: an invalid index hides itself and all that follow
        chosen.append(named or Gpu(index, index))
    return chosen


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
