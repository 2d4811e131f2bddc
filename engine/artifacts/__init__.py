"""A trained model as a file: truly packed weights in one safetensors file, and a readable JSON manifest beside it.

    engine.save(result, "model.safetensors")          also writes model.json
    exported = engine.load("model.safetensors")
    exported.predict(data)

The safetensors file has one tensor, ``packed``: the segments that the manifest lists, one after the other, and a
header that names the manifest by its SHA-256. Loading executes nothing that lies in the files.
"""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".safetensors"
MODEL = f"model{SUFFIX}"
"""A run's model, in the folder of the attempt that trained it."""

MANIFEST = "model.json"
"""What lies beside it."""


def left_by(folder: Path, name: str = MODEL) -> Path:
    """A file of a run's newest attempt that left one; ``folder``: the run's folder of artifacts.

    The file may be missing: the path is then where a first attempt leaves it.
    """
    attempts = sorted(int(path.parent.name) for path in folder.glob(f"*/{name}") if path.parent.name.isdecimal())
    newest = folder / str(attempts[-1] if attempts else 1) / name
    older = folder / name  # where earlier versions left it
    return older if not attempts and older.exists() else newest
