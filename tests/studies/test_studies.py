"""The papers' experiments as sweep files: each can be read, says how it is run, and a slice of it trains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine
from engine.settings import Settings
from engine.spec import RunSpec, read_toml_file
from engine.sweep import Sweep, expand
from tests.conftest import ROOT

STUDIES = sorted(set((ROOT / "studies").glob("*.toml")) - set((ROOT / "studies").glob("search-*.toml")))

SHAPES = {
    "agnn-sage-int8": (8, 4),
    "cora-formats": (6, 0),
    "degree-quant-table1": (78, 48),
    "degree-quant-table2": (30, 36),
    "degree-quant-table9": (66, 60),
    "dynamic-precision": (27, 24),
    "dynamic-precision-folds": (5, 4),
    "exported-files": (6, 0),
    "link-prediction": (8, 6),
    "mutag-folds": (3, 2),
    "reddit-binary-folds": (3, 2),
    "thesis-components": (72, 70),
    "thesis-ram": (15, 0),
}
"""Seed groups and compared pairs of each study."""


def plan(name: str, **changes: int) -> Sweep:
    return expand(read_toml_file(ROOT / "studies" / f"{name}.toml"), **changes)


def slice_of(sweep: Sweep, count: int) -> list[RunSpec]:
    """Some cells on Cora: spread over the file, so that every architecture is among them."""
    cells = [cell for cell in sweep.cells if cell.dataset.name == "cora"]
    quantized = [cell for cell in cells if cell.scheme != "fp32"]
    models = list(dict.fromkeys(cell.model.name for cell in cells))
    by_model = {model: [cell for cell in quantized if cell.model.name == model] for model in models}
    schemes = len(by_model[models[0]])
    step = max(1, schemes // count)
    places = range(max(count, len(models)))
    return [by_model[models[place % len(models)]][place * step % schemes] for place in places]


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_says_how_it_is_run(file: Path) -> None:
    text = file.read_text()
    commands = re.findall(r"^# Command: bitfront sweep (\S+)", text, re.MULTILINE)
    assert commands == [f"studies/{file.name}"]
    sweep = plan(file.stem)
    assert sweep.name == file.stem
    if file.stem.endswith("-folds"):
        assert {run.fold for run in sweep.runs} == set(range(10))
    else:
        # Memory does not differ from seed to seed.
        assert sorted({run.seed for run in sweep.runs}) == list(range(1 if sweep.measure else 10))
    assert (len(sweep.cells), len(sweep.pairs)) == SHAPES[file.stem]
    assert len(sweep.runs) == (1 if sweep.measure else 10) * len(sweep.cells)


@pytest.mark.parametrize(
    ("name", "schemes"), [("mutag-folds", 3), ("reddit-binary-folds", 3), ("dynamic-precision-folds", 5)]
)
def test_the_folds_of_a_study_are_one_group_a_scheme(name: str, schemes: int) -> None:
    sweep = plan(name)
    assert len({run.group for run in sweep.runs}) == len(sweep.cells) == schemes
    assert all(cell.fold == 0 for cell in sweep.cells)


@pytest.mark.parametrize("name", ["degree-quant-table2", "degree-quant-table1", "degree-quant-table9"])
def test_a_degree_quant_study_gives_qat_the_settings_of_degree_quant(name: str) -> None:
    settings: dict[tuple[str, str], set] = {}
    for cell in plan(name).cells:
        settings.setdefault((cell.dataset.name, cell.model.name), set()).add((cell.model, cell.training))
    assert len(settings) == 6
    assert all(len(found) == 1 for found in settings.values())


def test_degree_quant_is_compared_with_qat_on_every_dataset_and_model() -> None:
    sweep = plan("degree-quant-table2")
    cells = {cell.group: cell for cell in sweep.cells}
    at_int4 = [
        (cells[a].dataset.name, cells[a].model.name)
        for a, b in sweep.pairs
        if cells[a].scheme.startswith("dq-int4") and cells[b].scheme.startswith("qat-int4")
    ]
    assert sorted(at_int4) == sorted(
        (dataset, model) for model in ("gcn", "gat", "gin") for dataset in ("cora", "citeseer")
    )


def test_the_component_study_has_one_site_at_a_time() -> None:
    schemes = {cell.scheme for cell in plan("thesis-components").cells} - {"fp32"}
    sites = ("weight", "input", "feature", "aggregate", "gradient")
    assert schemes == {f"int{bits}:{site}" for bits in range(2, 9) for site in sites}
    assert all(len(engine.parse_scheme(scheme).sites) == 1 for scheme in schemes)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("degree-quant-table2", 4),
        ("degree-quant-table1", 6),
        ("degree-quant-table9", 10),
        ("thesis-components", 5),
        ("agnn-sage-int8", 2),
        ("link-prediction", 3),
        ("dynamic-precision", 4),
    ],
)
def test_a_slice_of_a_study_trains(name: str, count: int, settings: Settings, mirror: Path) -> None:
    sweep = plan(name, seeds=1, epochs=2)
    chosen = slice_of(sweep, count)
    assert {spec.model.name for spec in chosen} == {cell.model.name for cell in sweep.cells}
    for spec in chosen:
        result = engine.run(spec, settings)
        assert result.summary.epochs == 2
        assert result.summary.test_at_best_val is not None
        assert 5 < result.summary.test_at_best_val < 100
        assert result.summary.densities[0].average_bits < 17


def test_the_table_of_peak_memory_has_the_thesis_figure_beside_every_cell() -> None:
    sweep = plan("thesis-ram")
    figures = {(figure.dataset, figure.scheme): figure.value for figure in sweep.published}
    assert set(figures) == {(cell.dataset.name, cell.scheme) for cell in sweep.cells}
    assert {figure.metric for figure in sweep.published} == {"peak_torch"}
    assert [figures["cora", scheme] for scheme in ("fp32", "int8", "msfp12")] == [17.56e6, 210.6e6, 169.808e6]
