"""What is known of a dataset's size without loading it: the catalogue's figures, and what an earlier load has seen.

Degree buckets need the in-degrees, which only the graph itself tells. A load leaves them beside the data, so
that later the densities of such schemes can be previewed without torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from engine.datasets import DATASETS, DatasetSpec, GraphSize
from engine.settings import Settings


def kept_file(spec: DatasetSpec, settings: Settings, suffix: str, form: str = "") -> Path:
    """Where something that was learned of a dataset with these options is kept."""
    identity = hashlib.sha256(f"{spec.model_dump_json()}{form}".encode()).hexdigest()[:16]
    return settings.data_root / "loaded" / f"{spec.name.replace(':', '-')}-{identity}{suffix}"


def known_size(spec: DatasetSpec, settings: Settings) -> GraphSize:
    """The size of a dataset: where it was loaded before what it was then, degrees and all, else the catalogue's."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        seen = json.loads(kept_file(spec, settings, ".size.json").read_text())
        degrees = tuple((int(degree), int(count)) for degree, count in seen.pop("degrees"))
        return GraphSize(**seen, degrees=degrees)
    return DATASETS[spec.name].size(spec)


def keep_size(spec: DatasetSpec, settings: Settings, size: GraphSize) -> None:
    """Remember a loaded graph's size. Where nothing can be written, nothing is remembered."""
    kept = kept_file(spec, settings, ".size.json")
    if known_size(spec, settings) == size:
        return
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(asdict(size)))
        part.replace(kept)
