"""A saved model on integers says what its fake-quantized layers say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from engine.artifacts.exported import Exported
from engine.integers import dispatch
from engine.integers.dispatch import WIDTHS, Dispatch
from engine.integers.sites import Site
from engine.kernels.csr import Csr
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Constant, DenseOperand
from engine.predicting import Predictor
from engine.problem import View
from engine.settings import Settings
from tests.engine.artifacts.models import saved, train

INTEGERS = Dispatch(dict.fromkeys(WIDTHS, 0.5), dict.fromkeys(WIDTHS, 0.5))
FLOATS = Dispatch(dict.fromkeys(WIDTHS, 1.5), dict.fromkeys(WIDTHS, 1.5))
NEAR = 1e-5
"""In steps: how near to a rounding boundary a value may lie that float32's sums have rounded the other way."""


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[Dispatch], None]:
    """Sums by the integer kernels, whatever this machine measures."""

    def choose(found: Dispatch) -> None:
        monkeypatch.setitem(dispatch._here, torch.get_num_threads(), found)

    choose(INTEGERS)
    return choose


def exported(settings: Settings, folder: Path, scheme: str, model: str = "gcn", **changes: Any) -> Exported:
    return saved(train(settings, scheme, model, **changes), folder, settings)


def view_of(found: Exported) -> View:
    return next(iter(found.views()))


class Boundaries:
    """Listens to the fake-quantized layers: how many values lie at a rounding boundary."""

    dense = True

    def __init__(self) -> None:
        self.near, self.seen = 0, 0

    def record(self, at: Any, x: torch.Tensor, out: torch.Tensor, quantizer: Any, *_: Any, **__: Any) -> None:
        grid = Site(at[2], quantizer).grid_for(x)
        place = x.double() / grid.divisor
        self.near += int((0.5 - (place - place.round()).abs() < NEAR).sum())
        self.seen += x.numel()

    def multiplied(self, *_: Any) -> None:
        pass

    def summed(self, *_: Any) -> None:
        pass


def both(found: Exported, view: View) -> tuple[torch.Tensor, torch.Tensor, Boundaries]:
    """(on integers, fake-quantized, what the latter's sites saw)."""
    heard = Boundaries()
    found.live.recorder = heard  # pyright: ignore[reportAttributeAccessIssue]
    fake = found.outputs(view)
    found.live.recorder = None
    return found.outputs(view), fake, heard


SCHEMES = ["int8", "qat-int8", "dq-int8", "ptq-int8", "w4a8", "w4a8(weights=channel)", "int6-symmetric", "nqat-int6"]
MODELS = ["gcn", "gcn(layers=3,batch_norm=true,hidden=40)", "sage", "sage(aggregate=max)", "gin", "gin(mlp_layers=2)"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_outputs_are_the_fake_quantized_ones_where_no_value_lies_at_a_boundary(
    settings: Settings, tmp_path: Path, scheme: str, model: str
):
    found = exported(settings, tmp_path, scheme, model, dataset="sbm(nodes=150)")
    assert found.plan.integers
    outputs, fake, heard = both(found, view_of(found))
    assert heard.seen > 150 * 4
    # float32's sums are as near to the exact ones as float32 is; one code more or less is a hundred times as much.
    far = ~torch.isclose(outputs, fake, rtol=1e-5, atol=1e-6 * float(fake.abs().max()))
    assert int(far.any(1).sum()) <= 12 * heard.near
    if not heard.near:
        assert torch.equal(outputs.argmax(1), fake.argmax(1))


def same_but_at_boundaries(outputs: torch.Tensor, fake: torch.Tensor, heard: Boundaries) -> torch.Tensor:
    """Rows that are the same, bool [N]; the others are no more than values at a boundary can have moved."""
    # float32's sums are as near to the exact ones as float32 is; one code more or less is a hundred times as much.
    same = torch.isclose(outputs, fake, rtol=1e-5, atol=1e-6 * float(fake.abs().max())).all(1)
    # A moved code reaches the neighbours' outputs.
    assert int((~same).sum()) <= 12 * heard.near
    assert torch.equal(outputs[same].argmax(1), fake[same].argmax(1))
    return same


@pytest.mark.parametrize("dataset", ["cora", "citeseer"])
@pytest.mark.parametrize("scheme", ["int8", "qat-int8", "dq-int4", "w4a8"])
def test_labels_on_real_graphs_are_the_same(
    settings: Settings, tmp_path: Path, mirror: Path, dataset: str, scheme: str, measured: Callable[[Dispatch], None]
):
    # Of qat-int8's seed 0 one value of a node with many neighbours lies at a boundary, and reaches a hundred rows.
    result = train(settings, scheme, dataset=dataset, seed=int(scheme == "qat-int8"))
    found = saved(result, tmp_path, settings)
    view = view_of(found)
    outputs, fake, heard = both(found, view)
    same = same_but_at_boundaries(outputs, fake, heard)
    if scheme != "dq-int4":  # whose 16 codes make quotients of exactly ½, which float32's sums round either way
        assert float(same.double().mean()) > 0.998
        assert torch.equal(outputs.argmax(1), fake.argmax(1))
    assert isinstance(view.x, Constant)
    dense = View(Constant(DenseOperand(view.x.dense())), view.topology)
    assert torch.equal(found.outputs(dense), outputs), "sparse and dense codes have the same sums"
    measured(FLOATS)
    other = saved(result, tmp_path / "other", settings)
    assert [layer.rpartition("(")[2] for layer in other.plan.said] == [
        "fp32 kernel: integers take 1.50 of fp32's time here)"
    ] * 2
    # Whole numbers sum exactly in float32 too; d^(−1/2) times the features' codes do not.
    if scheme == "int8":
        assert torch.equal(other.outputs(view).argmax(1), outputs.argmax(1))
    else:
        assert torch.equal(other.outputs(view), outputs)


FLOAT_PRODUCTS = ("mm", "matmul", "linear", "bmm", "baddbmm", "einsum", "index_add", "scatter", "segment_reduce")


@pytest.mark.parametrize("model", ["gcn", "sage", "gin"])
def test_no_float_product_comes_between_the_first_codes_and_the_outputs(
    settings: Settings, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
):
    """Counted by torch's profiler, and our own kernels by name."""
    found = exported(settings, tmp_path, "qat-int8", model, dataset="sbm(nodes=150)")
    view = view_of(found)
    found.outputs(view)  # the features' codes are made once
    calls: list[str] = []
    for kind, name in (
        (Csr, "sum_rows"),
        (Csr, "sum_weighted_rows"),
        (Csr, "sum_edges"),
        (SparseOperand, "multiply"),
        (DenseOperand, "multiply"),
    ):
        own = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *a, own=own, name=name: (calls.append(name), own(*a))[1])

    def products(run: Callable[[], object]) -> int:
        calls.clear()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            run()
        names = [event.name.removeprefix("aten::").strip("_") for event in seen.events() or ()]
        return len(calls) + sum(name in FLOAT_PRODUCTS for name in names)

    assert products(lambda: Predictor.outputs(found, view)) >= 4
    assert products(lambda: found.outputs(view)) == 0


@pytest.mark.parametrize(
    ("scheme", "model", "said"),
    [
        ("fp32", "gcn", "fp32: its weight is not quantized"),
        ("msfp13", "gcn", "fp32: its input is in msfp13, which is no integer format"),
        ("int12", "gcn", "fp32: its input is in int12, whose codes with an exact 0 do not fit 8 bits"),
        ("int8:weight,input", "gcn", "fp32: neither its feature nor its message is quantized"),
        ("int8:weight,feature", "gcn", "fp32: its input is not quantized"),
        ("dq-int8", "gcn(message=edge)", "fp32: its messages are rounded an edge"),
        ("int8(exact_zero=false)", "gcn", None),
        ("a2q", "gcn", "fp32: its input has no grid of its own (NodeBits)"),
        ("qat-int8", "gat", "fp32: GATLayer has no integer form"),
        ("qat-int8", "gcn(residual=true,layers=3)", "fp32: its input is added to its output"),
        ("qat-int8", "gcn", "integers: product of codes, sum of the messages' codes"),
        ("int8", "gcn", "integers: product of codes, sum of the features' codes times the nodes' norm"),
        ("int8", "gin", "integers: products of codes, aggregate in fp32 (messages are not quantized)"),
        ("qat-int8", "sage(aggregate=max)", "integers: products of codes, aggregate in fp32 (the greatest is taken)"),
    ],
)
def test_a_plan_says_what_runs_on_what(settings: Settings, tmp_path: Path, scheme: str, model: str, said: str | None):
    found = exported(settings, tmp_path, scheme, model)
    said = said or "fp32: its input is in int8(exact_zero=false), whose codes with an exact 0 do not fit 8 bits"
    layer = found.plan.said[0].removeprefix("layer 1: ")
    assert layer.removesuffix(" (integer kernel: integers take 0.50 of fp32's time here)") == said
    assert found.plan.integers == said.startswith("integers")
    view = view_of(found)
    assert torch.equal(found.outputs(view).argmax(1), Predictor.outputs(found, view).argmax(1))


def test_a_model_may_run_on_integers_in_part(settings: Settings, tmp_path: Path, mirror: Path):
    changes = {"dataset": "mutag", "training": {"epochs": 1, "batch_size": 60}}
    found = exported(settings, tmp_path, "qat-int8", "gin(hidden=16,layers=2)", **changes)
    assert [layer.partition(" (")[0] for layer in found.plan.said] == [
        "layer 1: integers: products of codes, sum of the messages' codes",
        "layer 2: integers: products of codes, sum of the messages' codes",
        "layer 3: fp32: Readout has no integer form",
    ]
    for view in found.views():
        outputs, fake, heard = both(found, view)
        assert torch.allclose(outputs, fake, rtol=1e-4) or heard.near


def test_a_second_graph_has_sums_of_its_own(settings: Settings, tmp_path: Path):
    found = exported(settings, tmp_path, "qat-int8", dataset="sbm(nodes=150)")
    first = view_of(found)
    before = found.outputs(first)
    other = View(first.x, type(first.topology)(torch.tensor([[0], [1]]), 150))
    outputs, fake, _ = both(found, other)
    assert torch.equal(outputs, fake)
    assert not torch.equal(outputs, before)
    assert torch.equal(found.outputs(first), before)
