"""How much of a dataset's input a format rounds to zero, told from what a load has left, without loading again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.datasets import DATASETS
from engine.datasets.known_inputs import inputs_zeroed, keep_inputs, known_inputs
from engine.formats import get_format
from engine.graph import load_graph
from engine.input_magnitudes import POINTS, input_magnitudes
from engine.ranges import make_range
from engine.scheme import Quantization, parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec

TENSORS = ["int1", "int2", "int4", "int8", "int4(exact_zero=false)", "int4-symmetric", "int2-floor", "int8-floor"]
BLOCKS = ["msfp11", "msfp13", "msfp13(thesis_exponent=true)", "mxfp4_e2m1", "mxfp8_e4m3", "mxint8"]
FLOATS = ["fp32", "bf16"]
SEEDS = range(3)


def features(seed: int, *, signed: bool = False, rows: int = 40, width: int = 50) -> torch.Tensor:
    """Sparse features whose magnitudes span six powers of ten."""
    draw = torch.Generator().manual_seed(seed)
    x = 10 ** (-6 * torch.rand(rows, width, generator=draw))
    x *= torch.rand(rows, width, generator=draw) < 0.4
    return x * (torch.rand(rows, width, generator=draw) < 0.5).float().mul(2).sub(1) if signed else x


def share_zeroed(x: torch.Tensor, quantized: torch.Tensor) -> float:
    return float(((x != 0) & (quantized == 0)).sum() / (x != 0).sum())


@pytest.mark.parametrize("name", [*TENSORS, "int4-pow2", *BLOCKS, *FLOATS])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("signed", [False, True])
def test_the_share_is_what_the_format_itself_does(name: str, seed: int, signed: bool) -> None:
    x, format = features(seed, signed=signed), get_format(name)
    found = input_magnitudes(x).zeroed(Quantization(format))
    assert found == pytest.approx(share_zeroed(x, format.fake_quantize(x)), abs=2 / POINTS)


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_range_a_row_is_told_of_features_without_a_sign(name: str, seed: int) -> None:
    x, format = features(seed), get_format(name)
    if not format.keeps_zero:
        x[:, 0] = 0  # a range that begins above zero has no level there
    found = input_magnitudes(x).zeroed(Quantization(format, "row"))
    assert found == pytest.approx(share_zeroed(x, format.fake_quantize(x, granularity="row")), abs=2 / POINTS)
    assert input_magnitudes(-x).zeroed(Quantization(format, "row")) is None


def test_a_step_that_is_a_power_of_two_is_not_told_row_by_row() -> None:
    assert input_magnitudes(features(0)).zeroed(Quantization(get_format("int4-pow2"), "row")) is None


@pytest.mark.parametrize("tail", [0.001, 0.01, 0.1, 0.45])
def test_a_range_of_percentiles_is_told(tail: float) -> None:
    x, format = features(0, signed=True), get_format("int4")
    quantized = format.fake_quantize(x, range=make_range("percentile", p=tail)(x, format))
    found = input_magnitudes(x).zeroed(Quantization(format, range="percentile", range_options=(("p", tail),)))
    assert found == pytest.approx(share_zeroed(x, quantized), abs=0.01)


@pytest.mark.parametrize("scheme", ["a2q", "ptq-int4(range=mse)", "ptq-int4(range=entropy)", "log2"])
def test_ranges_that_nobody_knows_beforehand_are_not_told(scheme: str) -> None:
    (rule,) = parse_scheme(scheme).covering("input", "forward", 0)
    assert input_magnitudes(features(0)).zeroed(rule.quantization) is None


def test_nothing_is_told_of_features_that_are_all_zero() -> None:
    assert input_magnitudes(torch.zeros(3, 5)).zeroed(Quantization(get_format("int2"))) == 0.0


def test_what_a_load_has_left_is_read_back(tmp_path: Path) -> None:
    settings, spec = Settings(home=tmp_path), DATASETS["karate"].spec(name="karate")
    assert known_inputs(spec, settings) is None
    graph = load_graph(spec, settings)
    found = known_inputs(spec, settings)
    assert found == input_magnitudes(graph.x)
    assert known_inputs(spec, settings) is found  # read once
    keep_inputs(spec, settings, input_magnitudes(2 * graph.x + 1))
    assert known_inputs(spec, settings) == input_magnitudes(2 * graph.x + 1)


def test_row_normalised_words_vanish_at_three_bits_a_tensor_and_survive_at_four(cora_home: Settings) -> None:
    def zeroed(scheme: str):
        return inputs_zeroed(RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme}), cora_home)

    name, share = zeroed("int3") or ("", 0.0)
    assert (name, share) == ("int3", pytest.approx(0.934, abs=2 / POINTS))
    assert zeroed("int4") == ("int4", 0.0)
    assert zeroed("sgquant(bits=2)") == ("int2-floor", 0.0)
    assert zeroed("fp32") is None
    assert zeroed("sdq[int2,int8]") == ("int2", pytest.approx(0.976, abs=2 / POINTS))


@pytest.fixture
def cora_home(tmp_path: Path, mirror: Path, data_root: Path) -> Settings:
    """Settings in whose data Cora was loaded."""
    settings = Settings(home=tmp_path, data=data_root, mirror=str(mirror))
    spec = DATASETS["cora"].spec(name="cora")
    keep_inputs(spec, settings, input_magnitudes(load_graph(spec, settings).x))
    return settings
