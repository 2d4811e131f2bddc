"""The bench of inference: what its passes are, and how its goals are judged."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.bench.inference import judge, make_pass, save_model


def test_saved_models_pass_over_the_graph_with_the_features_as_kept_or_dense(tmp_path: Path):
    path = tmp_path / "int8.safetensors"
    answer = save_model("karate", "qat-int8", path)
    assert answer["bytes"] == path.stat().st_size
    assert [layer.partition(",")[0] for layer in answer["layers"]] == [
        "layer 1: integers: product of codes",
        "layer 2: integers: product of codes",
    ]
    asked = {"by": "bitfront", "path": str(path), "float": False}
    sparse, dense = (make_pass({**asked, "dense": dense})() for dense in (False, True))
    fake = make_pass({**asked, "dense": False, "float": True})()
    assert isinstance(fake, torch.Tensor)
    assert isinstance(sparse, torch.Tensor)
    assert isinstance(dense, torch.Tensor)
    assert sparse.shape == (34, 4)
    assert torch.equal(sparse, dense)
    assert torch.equal(sparse.argmax(1), fake.argmax(1))


def test_the_peer_passes_over_the_same_graph():
    for by in ("pyg", "pyg torch.sparse"):
        out = make_pass({"by": by, "dataset": "karate"})()
        assert isinstance(out, torch.Tensor)
        assert out.shape == (34, 4)
        assert not out.requires_grad


def test_the_promise_is_of_the_int8_model_as_it_is_loaded_and_with_dense_features():
    rows = [
        {"dataset": dataset, "variant": variant, "threads": threads, "ratio": ratio}
        for dataset, variant, threads, ratio in (
            ("cora", "PyG, edge_index", 1, 1.0),
            ("cora", "int8, saved", 1, 0.4),
            ("cora", "int8, saved, dense features", 1, 0.9),
            ("pubmed", "int8, saved", 2, 0.21),
            ("pubmed", "qat-int8, saved", 2, 0.14),
            ("pubmed", "qat-int8, saved, fake-quantized", 2, 0.9),
            ("amazon-computers", "int8, saved", 2, 0.079),
            ("karate", "int8, saved", 1, 9.0),
        )
    ]
    assert [(goal.goal, goal.value, goal.met) for goal in judge(rows)] == [
        ("int8 inference of the saved model at most 0.4 × PyG's fp32, cora, 1 thread", "0.40", True),
        (
            "int8 inference of the saved model, dense features at most 0.4 × PyG's fp32, cora, 1 thread",
            "0.90",
            False,
        ),
        ("int8 inference of the saved model at most 0.2 × PyG's fp32, pubmed, 2 threads", "0.21", False),
        ("qat-int8 inference of the saved model at most 0.2 × PyG's fp32, pubmed, 2 threads", "0.14", True),
        ("int8 inference of the saved model at most 0.08 × PyG's fp32, amazon-computers, 2 threads", "0.08", True),
    ]
