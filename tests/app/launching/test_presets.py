"""The papers' settings: each file can be launched, and fills the form in where the form can say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.launching import presets as module
from app.launching.filling import NotInTheForm, form_values
from app.launching.plan import check_table
from app.launching.presets import presets
from engine.errors import InputError
from engine.spec import RunSpec, component_table
from engine.sweep import expand
from tests.app.launching.filled import plan_of


@pytest.mark.parametrize("name", presets())
def test_a_preset_can_be_launched(name: str) -> None:
    checked = check_table(presets()[name].sweep)
    assert checked.faults == ()
    assert checked.table["name"] == name


@pytest.mark.parametrize("name", presets())
def test_the_form_that_a_preset_fills_in_launches_the_same_runs(name: str) -> None:
    table = presets()[name].sweep
    if "runs" in table:
        with pytest.raises(NotInTheForm):
            form_values(table)
        return
    filled = expand(plan_of(form_values(table)).table)
    assert {run.hash for run in filled.runs} == {run.hash for run in expand(table).runs}


RATES = ("scheme.lr_bits", "scheme.lr_step", "scheme.penalty", "scheme.lr_weight_step", "scheme.lr_feature_step")
"""The columns of METHODS' table of A²Q."""
SAID: list[tuple[str, str, dict[str, Any]]] = [
    # A preset; which of its runs (dataset, architecture, scheme); what METHODS says of them (§10; SGQuant's GAT: §5).
    ("thesis-citations", "gcn", {"model.hidden": 16, "model.dropout": 0.5, "model.input_dropout": False}),
    ("thesis-citations", "gat", {"model.hidden": 8, "model.heads": 8, "model.dropout": 0.6}),
    ("thesis-citations", "", {"training.lr": 0.01, "training.weight_decay": 5e-4, "training.epochs": 150}),
    ("thesis-citations", "", {"dataset.normalize_features": True}),
    ("thesis-dynamic", "gcn", {"training.lr": 0.01, "training.weight_decay": 5e-4, "training.epochs": 150}),
    ("thesis-dynamic", "gcn", {"model.hidden": 16, "model.dropout": 0.5}),
    ("thesis-mutag", "", {"model.layers": 3, "model.hidden": 64, "model.readout": "mean", "task.test": 0.2}),
    ("thesis-mutag", "", {"training.lr": 0.01, "training.epochs": 250, "training.batch_size": 128}),
    ("thesis-links", "", {"model.hidden": 128, "task.width": 64, "training.lr": 0.01, "training.epochs": 150}),
    ("thesis-ppi", "", {"model.layers": 3, "model.hidden": 256, "model.heads": 4, "model.output_heads": 6}),
    ("thesis-ppi", "", {"training.lr": 0.005, "training.epochs": 100}),
    ("thesis-qm9", "", {"training.lr": 0.001, "training.epochs": 300, "task.loss": "absolute"}),
    ("degree-quant-citations", "", {"model.layers": 2, "model.input_dropout": True}),
    ("degree-quant-citations", "gin", {"model.mlp_layers": 1}),
    ("degree-quant-reddit-binary", "", {"model.layers": 5, "model.hidden": 64, "task.folds": 10}),
    ("degree-quant-reddit-binary", "", {"training.batch_size": 128, "training.epochs": 200}),
    ("degree-quant-reddit-binary", "", {"training.lr_step": 50, "training.lr_factor": 0.5}),
    ("degree-quant-reddit-binary", "dq-int8", {"training.lr": 0.005, "training.weight_decay": 2e-4}),
    ("degree-quant-reddit-binary", "dq-int8", {"scheme.p_min": 0, "scheme.p_max": 0.1}),
    ("degree-quant-reddit-binary", "dq-int4", {"training.lr": 0.001, "training.weight_decay": 4e-5}),
    ("degree-quant-reddit-binary", "dq-int4", {"scheme.p_min": 0.1, "scheme.p_max": 0.2}),
    ("degree-quant-reddit-binary", "qat-int8", {"training.lr": 0.005, "training.weight_decay": 2e-4}),
    ("degree-quant-reddit-binary", "qat-int4", {"training.lr": 0.05, "training.weight_decay": 4e-5}),
    *(
        (f"degree-quant-{name}", model, {"model.layers": 4, "training.batch_size": 128, **widths})
        for name in ("superpixels", "zinc")
        for model, widths in (
            ("gcn", {"model.hidden": 146}),
            ("gat", {"model.hidden": 19, "model.heads": 8}),
            ("gin", {"model.hidden": 110}),
        )
    ),
    ("degree-quant-zinc", "", {"training.lr": 0.001, "training.epochs": 200}),  # A²Q's
    ("sgquant", "gcn", {"model.layers": 2, "model.hidden": 32}),
    ("sgquant", "agnn", {"model.layers": 4, "model.hidden": 16, "model.input_dropout": True}),
    ("sgquant", "gat", {"model.layers": 2, "model.hidden": 8, "model.heads": 8}),
    ("qat-edges", "gcn", {"training.epochs": 200}),
    ("a2q", "", {"model.layers": 2, "model.hidden": 16, "training.epochs": 200, "training.lr": 0.01}),
    ("a2q", "gcn cora", {"model.dropout": 0.35, "training.weight_decay": 0.02}),
    ("a2q", "gcn citeseer", {"model.dropout": 0.5, "training.weight_decay": 0.015}),
    *(
        ("a2q", f"a2q {which}", {"scheme.bits": 4, "scheme.target": 5, **dict(zip(RATES, values, strict=False))})
        for which, values in {
            "gcn cora": (0.1, 0.04, 2.5, 0.02, 0.008),
            "gcn citeseer": (0.1, 0.04, 1.5, 0.008, 0.008),
            "gcn pubmed": (0.02, 0.005, 0.1, 0.005),
            "gin cora": (0.02, 0.05, 2, 0.005, 0.005),
            "gin citeseer": (0.02, 0.05, 0.5, 0.005, 0.005),
        }.items()
    ),
]


def told(spec: RunSpec, field: str) -> Any:
    """ "training.lr" of a run; of a scheme its options, as they are written."""
    part, name = field.split(".")
    return component_table(spec.scheme, "scheme")[name] if part == "scheme" else getattr(getattr(spec, part), name)


@pytest.mark.parametrize(("name", "which", "said"), SAID)
def test_a_preset_has_the_numbers_of_its_paper(name: str, which: str, said: dict[str, Any]) -> None:
    runs = [
        spec
        for spec in check_table(presets()[name].sweep).cells
        if {spec.dataset.name, spec.model.name, spec.scheme.split("(")[0]} >= set(which.split())
    ]
    assert runs
    assert {field: {told(spec, field) for spec in runs} for field in said} == {
        field: {value} for field, value in said.items()
    }


def test_every_preset_has_a_number_of_its_paper_checked() -> None:
    assert {name for name, *_ in SAID} == set(presets())


def test_a_file_that_is_no_preset_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "Mine"\nsource = "me"\nabout = "it"\nsweeps = {}\n')
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(InputError) as refused:
        presets.__wrapped__()
    assert str(refused.value) == (
        f"{tmp_path / 'mine.toml'}: sweep is missing; unknown setting 'sweeps': did you mean sweep? "
        "Allowed: title, source, about, sweep"
    )
