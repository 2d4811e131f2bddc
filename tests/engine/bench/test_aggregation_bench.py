"""The bench of integer sums: what its sums are, and how its goal is judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.bench.aggregation import BASE, VARIANTS, judge, make_sum


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_all_variants_sum_the_same_numbers():
    asked = {"columns": 64, "nodes": 50, "edges": 300}
    expected = torch.as_tensor(make_sum({**asked, "by": BASE})())
    assert expected.shape == (50, 64)
    assert float(expected.sum()) > 300
    for name in VARIANTS[1:]:
        assert np.array_equal(np.asarray(make_sum({**asked, "by": name})()), expected.numpy()), name


def test_the_promise_is_of_codes_at_256_columns():
    rows = [
        {"columns": columns, "variant": variant, "threads": threads, "ratio": ratio}
        for columns, variant, threads, ratio in (
            (64, "int8 codes", 1, 0.9),
            (256, "torch.sparse, fp32", 1, 1.0),
            (256, "ours, fp32", 1, 0.5),
            (256, "int8 codes", 1, 0.25),
            (256, "int4 codes, packed", 2, 0.26),
        )
    ]
    assert [(goal.goal, goal.value, goal.met) for goal in judge(rows)] == [
        ("int8 codes at most 0.25 × torch.sparse's fp32 at 256 columns, 1 thread", "0.25", True),
        ("int4 codes, packed at most 0.25 × torch.sparse's fp32 at 256 columns, 2 threads", "0.26", False),
    ]
