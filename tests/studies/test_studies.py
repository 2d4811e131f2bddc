"""The papers' experiments as sweep files: each can be read, says how it is run, and a slice of it trains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine
from engine.errors import InputError
from engine.ledger import preview
from engine.settings import Settings
from engine.spec import RunSpec, read_toml_file
from engine.sweep import Sweep, expand
from tests.conftest import ROOT

STUDIES = sorted(set((ROOT / "studies").glob("*.toml")) - set((ROOT / "studies").glob("search-*.toml")))

SHAPES = {
    "agnn-sage-int8": (8, 4),
    "cora-formats": (6, 0),
    "degree-quant-probabilities": (18, 16),
    "degree-quant-table1": (78, 48),
    "degree-quant-table2": (30, 36),
    "degree-quant-table9": (66, 60),
    "dynamic-precision": (27, 24),
    "dynamic-precision-folds": (5, 4),
    "exported-files": (6, 0),
    "link-prediction": (8, 6),
    "mutag-folds": (3, 2),
    "qat-edge-prediction": (4, 2),
    "reddit-binary-folds": (3, 2),
    "sgquant-table3": (24, 12),
    "thesis": (252, 246),
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
        ("thesis", 8),
        ("sgquant-table3", 3),
        ("qat-edge-prediction", 1),
        ("degree-quant-probabilities", 2),
    ],
)
def test_a_slice_of_a_study_trains(name: str, count: int, settings: Settings, mirror: Path) -> None:
    sweep = plan(name, seeds=1, epochs=2)
    chosen = slice_of(sweep, count)
    assert {spec.model.name for spec in chosen} == {cell.model.name for cell in sweep.cells}
    for spec in chosen:
        result = engine.run(spec, settings)
        # SGQuant's parts fine-tune after the training itself.
        assert result.summary.epochs == 2 + (20 if "tune=20" in spec.scheme else 0)
        assert result.summary.test_at_best_val is not None
        assert 5 < result.summary.test_at_best_val < 100
        assert result.summary.densities[0].average_bits < 17


def test_every_scheme_of_every_study_fits_its_architecture_and_task() -> None:
    """Its costs follow from the size of the data, untrained; of one dataset for each task and architecture."""
    kinds: dict[tuple[str, str, str], RunSpec] = {}
    for file in STUDIES:
        for cell in plan(file.stem).cells:
            kinds.setdefault((cell.task.name, cell.model.name, cell.scheme), cell)
    by_degree = [cell for cell in kinds.values() if cell.scheme.startswith("taq")]
    assert len(by_degree) == 3
    for cell in by_degree:
        with pytest.raises(InputError, match="depend on the graph's degrees"):
            preview(cell)
    for cell in kinds.values():
        if cell not in by_degree:
            assert 1 <= preview(cell)[0].average_bits <= 32


def test_the_thesis_study_has_forty_schemes_on_six_tasks_and_concludes_on_them() -> None:
    sweep = plan("thesis")
    schemes = {cell.scheme for cell in sweep.cells}
    assert len(schemes) == 42
    places = {(cell.dataset.name, cell.task.name) for cell in sweep.cells}
    citations = [(name, "node-classification") for name in ("cora", "citeseer", "pubmed")]
    links = [(name, "link-prediction") for name in ("cora", "amazon-computers")]
    assert places == {*citations, ("mutag", "graph-classification"), *links}
    assert len(sweep.cells) == 42 * 6
    assert sweep.conclusion is not None
    held = {family.name: sum(map(family.holds, schemes)) for family in sweep.conclusion.families}
    assert held == {"fixed point": 7, "MSFP": 6, "dynamic": 21}
    first = [run for run in sweep.runs if run.seed == 0]
    assert [run.scheme for run in first[:42]] == list(dict.fromkeys(cell.scheme for cell in sweep.cells))
    assert {sweep.priority_of(run) for run in first if run.dataset.name == "amazon-computers"} == {9}


def test_the_search_table_has_the_paper_beside_every_cell() -> None:
    sweep = plan("sgquant-table3")
    by_cell: dict[tuple[str, str, str], set] = {}
    for figure in sweep.published:
        place = (figure.dataset, figure.model, figure.scheme)
        by_cell.setdefault(place, set()).add(figure.figure or figure.selection)
    assert set(by_cell) == {(cell.dataset.name, cell.model.name, cell.scheme) for cell in sweep.cells}
    for (_, _, scheme), of in by_cell.items():
        fp32 = {"best test", "feature_memory"}
        assert of == (fp32 if scheme == "fp32" else {"best test", "average_bits_sgquant", "feature_saving"})


def test_the_probabilities_of_degree_quant_are_ordered_and_printed_by_epoch() -> None:
    sweep = plan("degree-quant-probabilities")
    assert sweep.curves == ("val_loss",)
    found = {cell.scheme for cell in sweep.cells}
    assert len(found) == 9
    probabilities = [re.search(r"p_min=([\d.]+),p_max=([\d.]+)", scheme) for scheme in found]
    assert all(match and float(match[1]) <= float(match[2]) for match in probabilities)


def test_the_table_of_peak_memory_has_the_thesis_figure_beside_every_cell() -> None:
    sweep = plan("thesis-ram")
    figures = {(figure.dataset, figure.scheme): figure.value for figure in sweep.published}
    assert set(figures) == {(cell.dataset.name, cell.scheme) for cell in sweep.cells}
    assert {figure.metric for figure in sweep.published} == {"peak_torch"}
    assert [figures["cora", scheme] for scheme in ("fp32", "int8", "msfp12")] == [17.56e6, 210.6e6, 169.808e6]
