"""Schemes from outside the package: a file for local runs, an entry point for installed ones, refused elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine import recipe_files
from engine.errors import InputError
from engine.scheme import parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec
from tasks.submit import submit
from tests.conftest import ROOT

RECIPE = '''
"""Inputs of some bits, weights of half as many."""

from engine.formats import get_format
from engine.recipe_options import Options
from engine.scheme import Quantization, Rule, Scheme
from engine.schemes import Recipe


def build(part):
    if part.name != "mine":
        return None
    bits = Options(part, ("bits",)).whole("bits", 8, 2, 16)
    wide, narrow = (Quantization(get_format(f"int{width}")) for width in (bits, bits // 2))
    return Scheme((Rule("input", wide), Rule("weight", narrow)))


ENTRIES = [Recipe("mine", "halved weights", "a test", ["mine"], ["mine(bits=4)"], build)]
'''


@pytest.fixture(autouse=True)
def _files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's dashboard may have forbidden them for this process."""
    monkeypatch.setattr(recipe_files, "allowed", True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the recipe file in it."""
    (tmp_path / "mine.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_scheme_is_one_new_file(here: Path, settings: Settings):
    text = f"{here}/mine.py:mine(bits=8)"
    spec = RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": text, "training": {"epochs": 3}})
    assert spec.scheme == text
    assert RunSpec.from_toml(spec.to_toml()) == spec
    # Forward: inputs [34, 34] and [34, 16] at 8 bits, weights [16, 34] and [4, 16] at 4; the aggregate is fp32.
    inputs, weights = 34 * 34 + 34 * 16, 16 * 34 + 4 * 16
    average = (8 * inputs + 4 * weights) / (inputs + weights)
    planned = engine.preview(spec)[0]
    assert (planned.scope, planned.coverage) == ("inference", "quantized part")
    assert planned.average_bits == pytest.approx(average, rel=1e-12)
    assert planned.memory == pytest.approx(32 / average, rel=1e-12)
    assert planned.arithmetic == 7.7  # the wider operand's
    assert engine.run(spec, settings).summary.densities[0] == planned


@pytest.mark.parametrize(
    "text", ["./mine.py:mine(bits=4)", "mine.py:mine", "./mine.py:mine(bits=4)+int8:weight,feature"]
)
def test_a_relative_path_parses_and_prints_itself(here: Path, text: str):
    if "+" in text:
        with pytest.raises(
            InputError, match=r"sets the site 'weight' twice, by './mine.py:mine\(bits=4\)' and by 'int8'"
        ):
            parse_scheme(text)
        return
    assert str(parse_scheme(text)) == text
    assert parse_scheme(str(parse_scheme(text))) == parse_scheme(text)
    assert parse_scheme(f"{text}:inputs").sites == ("input",)


def test_the_command_line_takes_it(here: Path):
    command = [sys.executable, "-m", "app.cli", "run", "--dataset", "karate", "--epochs", "2", "--json"]
    program = f"from app.cli import main; main({[*command[3:], '--scheme', './mine.py:mine(bits=4)']!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BITFRONT_HOME": str(here / "home")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["scheme"] == "./mine.py:mine(bits=4)"
    assert 8 < report["memory_density"] < 16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no recipe file ./other.py: give its path from here, such as ./mine.py:mine(bits=4)"),
        ("x = 1", "{file} holds no recipes: give it ENTRIES = [engine.schemes.Recipe(…)]"),
        ("ENTRIES = [3]", "{file} holds no recipes: give it ENTRIES = [engine.schemes.Recipe(…)]"),
        ("\n1 / 0", "the recipe file {file} fails at line 2: ZeroDivisionError: division by zero"),
        (
            "x = (",
            "the recipe file {file} fails at line 1: SyntaxError: '(' was never closed (other.py, line 1)",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(here: Path, content: str | None, message: str):
    file = here / "other.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError) as caught:
        parse_scheme("./other.py:mine")
    assert str(caught.value) == message.format(file=file.resolve())


def test_a_name_that_the_file_does_not_take_is_named(here: Path):
    with pytest.raises(InputError) as caught:
        parse_scheme(f"{here}/mine.py:main")
    assert str(caught.value) == "unknown scheme 'main': did you mean mine? Allowed: mine"


def test_the_queue_refuses_a_file(here: Path):
    spec = RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": "./mine.py:mine(bits=4)"})
    with pytest.raises(InputError) as caught:
        submit(Settings(home=here), [spec])
    assert str(caught.value) == (
        "the scheme './mine.py:mine(bits=4)' names the file ./mine.py, which other machines do not have: "
        "train it here with `bitfront run`, or install the recipe as an entry point of 'bitfront.schemes'"
    )


def test_a_service_reads_no_file(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "mine.py").write_text("raise SystemExit('this must not run')")
    recipe_files.forbid()
    with pytest.raises(InputError) as caught:
        parse_scheme("./mine.py:mine(bits=16)")
    assert str(caught.value) == (
        "the recipe file ./mine.py is not read here: a service takes installed recipes only "
        "(entry point 'bitfront.schemes')"
    )


def test_only_schemes_may_name_a_file():
    with pytest.raises(InputError) as caught:
        RunSpec.parse({"dataset": "./data.py:karate", "model": "gcn"})
    assert str(caught.value) == (
        "cannot read the dataset './data.py:karate': one name with options is allowed, such as name(key=value)"
    )


def install(site: Path, name: str, target: str) -> None:
    """What pip would leave of a package with one entry point."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[bitfront.schemes]\n{name} = {target}\n")


def test_an_installed_package_offers_its_recipes(tmp_path: Path):
    (tmp_path / "halves.py").write_text(RECIPE)
    install(tmp_path, "halves", "halves:ENTRIES")
    install(tmp_path, "broken", "absent_module:ENTRIES")
    program = (
        "import sys, engine; from engine.schemes import RECIPES\n"
        "print(RECIPES['mine'].summary, engine.parse_scheme('mine(bits=4)'), "
        "'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "halved weights mine(bits=4) False"
    said = done.stdout + done.stderr
    assert (
        "the scheme recipe broken (absent_module:ENTRIES) does not load, so it is left out: "
        "No module named 'absent_module'" in said
    )
