"""The search files of SGQuant's Table III: each can be read, says how it is run, and asks for runs that can be made."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from engine.search.file import read_search, space_of
from engine.spec import RunSpec, read_toml_file
from tests.conftest import ROOT

FILES = sorted((ROOT / "studies").glob("search-*.toml"))
MOST = 200
"""Configurations that a search of the table may measure."""


def test_there_is_one_for_each_row():
    names = {f"search-{data}-{model}" for data in ("cora", "citeseer", "pubmed", "amazon-computers")
             for model in ("gcn", "agnn", "gat")}  # fmt: skip
    assert {file.stem for file in FILES} == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_search_says_how_it_is_run_and_keeps_within_its_budget(file: Path):
    commands = re.findall(r"^# Command: bitfront search (\S+)", file.read_text(), re.MULTILINE)
    assert commands == [f"studies/{file.name}"]
    search = read_search(read_toml_file(file))
    assert search.name == file.stem
    assert search.sizes.budget <= MOST
    assert (search.epochs, search.confirm) == (20, 10)
    assert search.saving == search.published
    assert (search.saving is None) == (search.figure == "average_bits_sgquant")
    space = space_of(search)
    for point in space.draw(np.random.default_rng(0), 5):
        scheme = space.scheme(tuple(map(int, point)))
        assert RunSpec.parse({**search.spec, "scheme": scheme}).scheme == scheme
