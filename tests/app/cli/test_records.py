"""`bitfront export RUN --vectors`: what it asks for."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from app.cli.records import with_definitions, write_run_vectors
from engine.errors import InputError


@pytest.mark.parametrize(
    ("run", "folder", "message"),
    [
        (None, Path("v"), "--vectors takes a run: bitfront export RUN --vectors DIR"),
        (
            "0abc",
            None,
            "what of 0abc is to be exported? Its golden vectors: bitfront export 0abc --vectors DIR",
        ),
    ],
)
def test_both_are_needed(run: str | None, folder: Path | None, message: str):
    with pytest.raises(InputError) as error:
        write_run_vectors(run, folder)
    assert str(error.value) == message


def test_a_run_without_a_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path))
    with pytest.raises(InputError) as error:
        write_run_vectors("0abc", tmp_path / "v")
    assert str(error.value) == (
        f"there is no model of the run '0abc' in {tmp_path / 'artifacts'}: only runs that have finished leave one"
    )


def test_an_exported_figure_carries_its_definition():
    rows = {
        "run": ["r0", "r0"],
        "name": ["memory_density.training.whole_step", "somebody_elses"],
        "value": [3.5, 1.0],
    }
    known, other = with_definitions(pa.table(rows)).to_pylist()
    assert (known["title"], known["unit"], known["scope"], known["coverage"]) == (
        "Memory density",
        "×",
        "training",
        "whole step",
    )
    assert known["definition"].startswith("32 / bits an element")
    assert (other["value"], other["definition"]) == (1.0, None)
