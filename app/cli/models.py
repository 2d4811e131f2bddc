"""The models that `bitfront run` leaves: in the run's folder of artifacts, and where `--save` says."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from engine.artifacts import SUFFIX, left_by
from engine.errors import BitfrontError, InputError
from engine.events import ArtifactSaved
from engine.spec import RunSpec

if TYPE_CHECKING:
    from engine.training import Training


def model_files(target: Path, specs: Sequence[RunSpec]) -> list[Path]:
    """The file of each run. Raises InputError where one file is named for several runs."""
    if target.suffix == SUFFIX:
        if len(specs) > 1:
            raise InputError(f"--save {target} names one file, but {len(specs)} runs are trained: name a folder")
        return [target]
    if target.suffix and not target.is_dir():
        raise InputError(f"--save {target}: a model is saved as a {SUFFIX} file; name it so, or name a folder")
    folds = [spec.fold for spec in specs]
    several = len(set(folds)) > 1
    return [
        target / f"seed{spec.seed}{f'-fold{fold}' if several else ''}{SUFFIX}"
        for spec, fold in zip(specs, folds, strict=True)
    ]


def keep_model(training: Training, folder: Path, console: Console) -> list[ArtifactSaved]:
    """Save a finished run's model into a folder of artifacts; where that fails, the run is kept all the same."""
    from engine.artifacts.saving import save_for_run

    try:
        return save_for_run(training.result(), folder)
    except Exception as error:
        reason = str(error) if isinstance(error, BitfrontError) else f"internal error: {type(error).__name__}: {error}"
        console.print(f"the model is not kept: {reason}", style="yellow", markup=False, highlight=False)
        return []


def copy_model(folder: Path, target: Path) -> None:
    """A run's two files to where a person wants them. Raises InputError where they are not there, or cannot be."""
    from engine.artifacts.saving import check_place

    target = target.expanduser()
    check_place(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".json", SUFFIX):
            shutil.copyfile(left_by(folder).with_suffix(suffix), target.with_suffix(suffix))
    except FileNotFoundError:
        raise InputError(f"there is no model of the run {folder.name} to save: train it again") from None
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
