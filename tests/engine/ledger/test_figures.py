"""Figures by their definitions, beyond the golden ledger: SGQuant's memory, learned bits, phases, batches."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from engine.costs import default_table, load_table
from engine.datasets import GraphSize
from engine.datasets.known_size import known_size
from engine.events import LedgerRow
from engine.ledger import run_ledger
from engine.ledger.figures import FIGURES, WITHOUT_WRITES, Ledger, run_figures
from engine.ledger.runs import expected_size
from engine.settings import Settings
from engine.spec import RunSpec

SGQUANT = {
    # SGQuant's Table III, full precision, 10^6 bytes (given): dataset → model → memory.
    "cora": {"gcn": 15.42, "agnn": 15.94, "gat": 16.21},
    "citeseer": {"gcn": 51.06, "agnn": 50.01},
    "pubmed": {"gcn": 43.71, "agnn": 43.46, "gat": 44.48},
    "amazon-computers": {"gcn": 44.58, "agnn": 44.16, "gat": 45.71},
}
MODELS = {"gcn": {"layers": 3, "hidden": 32}, "agnn": {}, "gat": {}}
"""Two hidden layers of 32, four layers of 16, 8 heads of 8."""

FITS = [
    # METHODS §5: how far its formula lies off, where it fits.
    ("cora", "agnn", 0.012), ("citeseer", "agnn", 0.0003), ("pubmed", "agnn", 0.0003),
    ("amazon-computers", "agnn", 0.0285), ("cora", "gat", 0.001), ("pubmed", "gat", 0.001),
    ("amazon-computers", "gat", 0.001), ("citeseer", "gcn", 0.0185), ("pubmed", "gcn", 0.0185),
    ("amazon-computers", "gcn", 0.026),
]  # fmt: skip


def rows_of(scheme: str, dataset: str, settings: Settings, **model) -> tuple[list[LedgerRow], GraphSize]:
    spec = RunSpec.parse({"dataset": dataset, "model": model, "scheme": scheme})
    return run_ledger(spec, expected_size(spec, settings)), known_size(spec.dataset, settings)


@pytest.mark.parametrize(("dataset", "model", "off"), FITS)
def test_sgquants_full_precision_memory(dataset: str, model: str, off: float, settings: Settings):
    """Feature memory: node tensors that enter the layers, 4·N·(F + …). Its AGNN counts the output too."""
    rows, size = rows_of("fp32", dataset, settings, name=model, **MODELS[model])
    found = run_figures(rows)["feature_memory"]
    assert found is not None
    inner = {"gcn": 2 * 32, "agnn": 3 * 16, "gat": 64}[model]
    assert found == 4 * size.nodes * (size.features + inner)
    if model == "agnn":
        found += 4 * size.nodes * size.classes
    assert found / 1e6 == pytest.approx(SGQUANT[dataset][model], rel=off)


def test_sgquants_figures_are_those_of_the_published_table():
    """The numbers above are the file's, where the file is there."""
    path = Path(__file__).parents[4] / "shared" / "targets" / "published.csv"
    if not path.is_file():
        return
    with path.open() as file:
        given = {
            (row["dataset"], row["model"]): float(row["memory_mb"])
            for row in csv.DictReader(file)
            if row["system"] == "SGQuant" and row["scheme"] == "fp32"
        }
    for dataset, models in SGQUANT.items():
        for model, memory in models.items():
            assert given[dataset, model] == memory


def test_sgquants_average_bits_and_saving(settings: Settings):
    """Uniform 4 bits are 4 bits; the range of a row (two float32) is charged in the memory, not in the average."""
    rows, size = rows_of("sgquant(bits=4)", "cora", settings, name="gcn")
    found = run_figures(rows)
    assert found["average_bits_sgquant"] == 4
    elements = size.nodes * (size.features + 16)
    assert found["feature_memory"] == (elements * 4 + 2 * size.nodes * 64) / 8
    assert found["feature_saving"] == pytest.approx(4 * elements / ((elements * 4 + 2 * size.nodes * 64) / 8))
    # By component: attention of one layer and head counts a number an edge.
    rows, size = rows_of("cwq(att=2,emb=8)", "cora", settings, name="agnn")
    nodes, edges = size.nodes * (size.features + 3 * 16), 2 * (size.edges + size.nodes)
    assert run_figures(rows)["average_bits_sgquant"] == pytest.approx((8 * nodes + 2 * edges) / (nodes + edges))


def test_a2qs_average_leaves_out_sign_and_first_layer(settings: Settings):
    def row(layer: int, format: str, elements: int) -> LedgerRow:
        shared = {"first_epoch": 1, "last_epoch": 1, "product": "forward", "site": "input", "macs": 1}
        return LedgerRow(layer=layer, format=format, elements=elements, covered=True, **shared)

    rows = [row(0, "int8-symmetric", 1000), row(1, "int1", 10), row(1, "int4-symmetric", 30)]
    assert run_figures(rows)["average_bits_a2q"] == (10 * 0 + 30 * 3) / 40


def test_mixqs_average_counts_each_site_alike(settings: Settings):
    rows, _ = rows_of("w4a8", "cora", settings, name="gcn")
    # Weight, input, message, feature, aggregate, update of both layers: 4 bits once, 8 five times.
    assert run_figures(rows)["average_bits_mixq"] == pytest.approx((4 + 5 * 8) / 6)


def test_inference_figures_are_of_the_best_epochs_model(settings: Settings):
    rows, _ = rows_of("sdq[int4,int8]", "cora", settings, name="gcn")
    assert run_figures(rows, epoch=1)["feature_saving"] == 8
    assert run_figures(rows)["feature_saving"] == 4
    # Training is the mean epoch; the stash and the peak are of the widest formats.
    wide, _ = rows_of("int8", "cora", settings, name="gcn")
    dynamic, static = run_figures(rows), run_figures(wide)
    for name in ("stash", "held_for_backward", "peak_footprint"):
        assert dynamic[name] == static[name]
    assert (dynamic["traffic.training"] or 0) < (static["traffic.training"] or 0)


def test_weights_are_read_in_each_batch_and_there_once(settings: Settings):
    spec = RunSpec.parse({"dataset": "mutag", "model": "gcn", "scheme": "int8", "training": {"batch_size": 32}})
    size = expected_size(spec, settings)
    assert size.batches > 1
    found = run_figures(run_ledger(spec, size), batches=size.batches)
    whole = spec.model_copy(update={"training": spec.training.model_copy(update={"batch_size": 0})})
    once = run_figures(run_ledger(whole, expected_size(whole, settings)))
    assert found["weight_memory"] == once["weight_memory"]
    assert found["stash"] is not None
    assert once["stash"] is not None
    assert found["stash"] < once["stash"]


def test_every_figure_says_what_it_is():
    for name, figure in FIGURES.items():
        assert figure.name == name
        assert figure.title
        assert figure.definition
        assert figure.source
        assert (figure.scope or "inference") in name or name.split(".")[0] == name
        assert figure.title in figure.axis


def test_a_ledger_of_before_has_what_follows_from_its_rows():
    old = LedgerRow(
        first_epoch=1, last_epoch=2, layer=0, product="forward", site="input", format="int8", macs=8, elements=4
    )
    found = run_figures([old])
    assert found["stash"] is None
    assert found["peak_footprint"] is None
    assert found["feature_memory"] == 4
    for name in ("traffic.training", "traffic.inference", "intensity.inference", "energy.training"):
        assert FIGURES[name].moves
        assert found[name] is None
    assert found["macs.inference"] == 8
    assert Ledger([old], load_table("energy-45nm")).lacks == WITHOUT_WRITES
    assert run_figures([old], load_table("energy-45nm"))["energy.inference"] is None
    assert Ledger([old.model_copy(update={"written": 4})], default_table()).lacks is None
    assert Ledger([old], default_table()).epochs == 2
