"""A run between two steps, whole: what it takes to go on as if nothing had happened.

Random numbers are hashed from the seed and counters, so that no generator needs to be kept: parameters, the
optimizer, ranges and draws of the live scheme, signals, the controller's memory, the best epoch's model, and what the
run has said so far.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from engine.errors import RunError
from engine.events import BODY, Body
from engine.spec import RunSpec

FORM = 3
"""Changes whenever a checkpoint's content does."""


@dataclass(frozen=True)
class Checkpoint:
    """Made by ``Training.checkpoint``, taken by ``Training(spec, resume=…)``."""

    spec: RunSpec
    state: dict[str, Any]
    """Tensors, numbers and texts only."""
    said: list[Body]
    """The events of the epochs so far; a resumed run says them again first, so that each attempt is whole."""

    @property
    def epoch(self) -> int:
        """The last epoch that it holds whole."""
        return self.state["epoch"]

    def save(self, path: Path) -> None:
        """Write one file, whole or not at all, on the disk before it returns. Raises OSError."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        said = [BODY.dump_json(body).decode() for body in self.said]
        try:
            with part.open("wb") as file:
                _save({"form": FORM, "spec": self.spec.to_json(), "state": self.state, "said": said}, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file; nothing in it is executed. Raises RunError where it is not a checkpoint of this form."""
        try:
            found = torch.load(path, weights_only=True, map_location="cpu")
            if found["form"] != FORM:
                raise RunError(f"the checkpoint {path.name} has form {found['form']}, this version reads {FORM}")
            spec = RunSpec.from_json(found["spec"])
            said = [BODY.validate_json(text) for text in found["said"]]
            return cls(spec, found["state"], said)
        except RunError:
            raise
        except Exception as error:
            raise RunError(f"the checkpoint {path.name} cannot be read: {error}") from None


def _save(content: dict[str, Any], file: IO[bytes]) -> None:
    """As ``torch.save``, whose writer hides a full disk behind an error of its own."""
    packed = io.BytesIO()
    torch.save(content, packed)
    file.write(packed.getbuffer())
