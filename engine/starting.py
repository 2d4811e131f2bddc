"""Starting from a trained model: its parameters, found by their content, in the place of fresh ones.

The file lies in ``BITFRONT_HOME/models`` under its content's name. A worker has the store find it there first
(tasks.starting); ``keep_start`` puts one there from a file on this machine. Needs torch only where a model is touched.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts import MODEL, SUFFIX
from engine.errors import InputError, RunError
from engine.settings import Settings
from engine.spec import RunSpec

if TYPE_CHECKING:
    from torch import nn


def start_file(content: str, settings: Settings) -> Path:
    """Where the model of this content is looked for; its manifest lies beside it."""
    return settings.models / f"{content}{SUFFIX}"


def keep_start(path: Path, settings: Settings) -> str:
    """Copy a saved model (``engine.save``) to where runs start from; gives its content for ``training.start_from``.

    Raises InputError where it is none.
    """
    from engine.artifacts.loading import load

    content = load(path, settings=settings).manifest.packed_sha256
    target = start_file(content, settings)
    settings.models.mkdir(parents=True, exist_ok=True)
    for source, end in ((path.with_suffix(".json"), target.with_suffix(".json")), (path, target)):
        part = end.with_name(f".{end.name}.part")
        shutil.copyfile(source, part)
        part.replace(end)
    return content


def start(model: nn.Module, spec: RunSpec, settings: Settings) -> None:
    """Put the parameters of the spec's ``training.start_from`` into a fresh model.

    What was quantized comes as the values that its codes stand for. Raises RunError where the model is not here, is
    another one than its name says, or has other parameters.
    """
    import torch

    from engine.artifacts.loading import load

    content = spec.training.start_from
    path = start_file(content, settings)
    if not path.exists():
        raise RunError(
            f"the model that training.start_from names ({content[:12]}…) is not in {settings.models}: train it here "
            f"first, or put its {MODEL} there as {path.name} with its manifest beside it"
        )
    try:
        found = load(path, settings=settings)
    except InputError as error:
        raise RunError(f"the run cannot start from a trained model: {error}") from None
    if found.manifest.packed_sha256 != content:
        raise RunError(f"{path} is not the model that training.start_from names: remove it")
    values, own = found.model.state_dict(), model.state_dict()
    shapes, needed = ({name: tuple(tensor.shape) for name, tensor in each.items()} for each in (values, own))
    if shapes != needed:
        wrong = min(name for name in shapes.keys() | needed.keys() if shapes.get(name) != needed.get(name))
        raise RunError(
            f"the run cannot start from the model {content[:12]}…, a {found.spec.model.name} for "
            f"{found.spec.dataset.name}: its parameter {wrong} is {_shown(shapes.get(wrong))}, and this run's is "
            f"{_shown(needed.get(wrong))}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(values[name])


def _shown(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else f"[{', '.join(map(str, shape))}]"
