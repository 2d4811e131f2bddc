"""Bitfront's engine: quantized training of graph neural networks as a generator of typed events.

    import engine

    spec = engine.RunSpec(dataset="cora", model="gcn", scheme="int8", seed=0)
    for event in engine.train(spec):
        ...
    result = engine.run(spec)
    engine.save(result, "model.safetensors")
    engine.load("model.safetensors").predict()

Nothing is imported before it is used, so that listing names, parsing schemes and previewing
densities need no torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.artifacts.loading import load
    from engine.artifacts.saving import save
    from engine.follow import follow
    from engine.formats import get_format, list_formats
    from engine.instrument import quantize, unquantize
    from engine.ledger import preview
    from engine.scheme import Scheme, parse_scheme
    from engine.spec import RunSpec
    from engine.training import RunResult, run, train

__all__ = [
    "RunResult",
    "RunSpec",
    "Scheme",
    "follow",
    "get_format",
    "list_formats",
    "load",
    "parse_scheme",
    "preview",
    "quantize",
    "run",
    "save",
    "train",
    "unquantize",
]

_HOMES = {
    "RunSpec": "engine.spec",
    "RunResult": "engine.training",
    "Scheme": "engine.scheme",
    "follow": "engine.follow",
    "get_format": "engine.formats",
    "list_formats": "engine.formats",
    "load": "engine.artifacts.loading",
    "parse_scheme": "engine.scheme",
    "preview": "engine.ledger",
    "quantize": "engine.instrument",
    "run": "engine.training",
    "save": "engine.artifacts.saving",
    "train": "engine.training",
    "unquantize": "engine.instrument",
}

# Torch's OpenMP threads go on spinning for some milliseconds after each operation, which keeps the processors from the
# kernels' own threads (engine.kernels.threads): with two threads a product of codes then took as long as with one.
# They spin for some microseconds now, unless the environment says otherwise; it is read when torch is loaded.
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
