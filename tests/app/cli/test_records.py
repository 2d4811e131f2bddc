"""`bitfront export RUN --vectors`: what it asks for."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import engine
from app.cli.records import with_definitions, write_run_vectors
from engine.errors import InputError
from engine.settings import Settings
from tests.engine.artifacts.models import train


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


def test_a_folder_in_ones_home_and_a_recipe_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A tilde is the home; a scheme from a file runs that file only where it is asked for."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path / "state"))
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from engine.formats import get_format\n"
        "from engine.scheme import Quantization, Rule, Scheme\n"
        "from engine.schemes import Recipe\n"
        "SITES = ('input', 'weight')\n"
        "def build(part):\n"
        "    rules = tuple(Rule(site, Quantization(get_format('int8'))) for site in SITES)\n"
        "    return Scheme(rules) if part.name == 'mine' else None\n"
        "ENTRIES = [Recipe('mine', 'mine', 'mine', ['mine'], ['mine'], build)]\n"
    )
    result = train(Settings(), f"{recipe}:mine", epochs=1)
    engine.save(result, tmp_path / "state" / "artifacts" / "r1" / "1" / "model.safetensors")
    with pytest.raises(InputError) as error:
        write_run_vectors("r1", Path("~/vectors"))
    assert str(error.value).endswith("and loading it would run that file: if you trust it, add --recipes")
    write_run_vectors("r1", Path("~/vectors"), recipes=True)
    assert (tmp_path / "vectors" / "manifest.json").is_file()


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
