"""One step at a time from equal state, as DESIGN compares two paths: the codes are the fake-quantized layers'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.integers import dispatch
from engine.integers.dispatch import WIDTHS, Dispatch
from engine.integers.layers import GCN
from engine.integers.operands import Codes, Scratch
from engine.integers.sites import Site
from engine.kernels.finish import CODES, ROWS
from engine.layers.operand import Constant
from engine.predicting import Predictor
from engine.settings import Settings
from tests.engine.artifacts.models import saved, train

NEAR = 1e-5
MOST = 1e-4
"""Of the elements may lie so near to a rounding boundary that the other code is right as well."""


class Followed:
    """Keeps each site's tensor before it was quantized, its codes and whether they lie at a boundary."""

    dense = True

    def __init__(self) -> None:
        self.sites: dict[tuple[int, str], tuple[Site, np.ndarray, np.ndarray]] = {}

    def record(self, at: Any, x: torch.Tensor, out: torch.Tensor, quantizer: Any, *_: Any, **__: Any) -> None:
        site = Site(at[2], quantizer)
        grid = site.grid_for(x)
        place = (x.double() / grid.divisor).numpy()
        near = 0.5 - np.abs(place - np.rint(place)) < NEAR
        codes = np.rint(out.double().numpy() / grid.c) - grid.d
        self.sites[at[0], at[2]] = site, codes.astype(np.int8), near

    def multiplied(self, *_: Any) -> None:
        pass

    def summed(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("dataset", ["cora", "citeseer"])
def test_each_steps_codes_are_the_fake_quantized_ones(
    settings: Settings, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, layer: int
):
    ratios: dict[int, float] = dict.fromkeys(WIDTHS, 0.5)
    monkeypatch.setitem(dispatch._here, torch.get_num_threads(), Dispatch(ratios, ratios))
    found = saved(train(settings, "qat-int8", epochs=4, dataset=dataset), tmp_path, settings)
    view = next(iter(found.views()))
    heard = Followed()
    found.live.recorder = heard  # pyright: ignore[reportAttributeAccessIssue]
    Predictor.outputs(found, view)
    found.live.recorder = None
    step = found.plan.steps[layer]
    assert isinstance(step, GCN)
    scratch, adjacency = Scratch(), view.topology.looped
    factor = adjacency.inverse_sqrt_degree.squeeze(1).numpy()

    assert isinstance(view.x, Constant)
    entered = step.linear.enter(view.x, scratch) if layer == 0 else _given(heard, layer, "input")
    sent = step.linear.run(entered, step.before, factor, scratch)
    assert isinstance(sent, Codes)
    _, codes, near = heard.sites[layer, "message"]
    columns = codes.shape[1]
    _compare(sent.codes[:, :columns], codes, near | heard.sites[layer, "feature"][2])

    site, codes, near = heard.sites[layer, "aggregate"]
    joined = step.sums.run(
        _given(heard, layer, "message"), adjacency, factor, [(ROWS, None), (CODES, site)], columns, scratch
    )
    assert isinstance(joined, Codes)
    _compare(joined.codes[:, :columns], codes, near)
    assert len(np.unique(codes)) > 20


def _given(heard: Followed, layer: int, name: str) -> Codes:
    """The fake-quantized path's codes, as the kernels take them."""
    site, codes, _ = heard.sites[layer, name]
    assert site.grid is not None
    wide = np.full((len(codes), -(-codes.shape[1] // 16) * 16), -site.grid.d, np.int8)
    wide[:, : codes.shape[1]] = codes
    return Codes(wide, site.grid)


def _compare(found: np.ndarray, expected: np.ndarray, near: np.ndarray) -> None:
    differing = found != expected
    assert not (differing & ~near).any()
    assert differing.mean() < MOST
    assert np.abs(found.astype(int) - expected).max() <= 1
