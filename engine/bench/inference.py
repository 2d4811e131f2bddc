"""Inference of the saved model ÷ that of PyG's own GCN in fp32, on edge_index: a pass over the whole graph.

The saved model is what ``engine.load`` gives, with whatever kernels it chooses; what it is given lies ready, as PyG's
normalized edges do. Variants are processes of their own that take turns, as those of the bench "train".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.bench import Goal, Report
from engine.bench.datasets import DATASETS, SPARSE, choose
from engine.bench.processes import (
    MALLOCS,
    Malloc,
    Times,
    answer,
    answer_turns,
    ask,
    compared,
    environment,
    said_of_turns,
    take_turns,
)

MODULE = "engine.bench.inference"
GOALS = {"cora": 0.4, "pubmed": 0.2, "amazon-computers": 0.08}
"""× PyG's time, of the int8 model as it is loaded."""
HIDDEN = {"pubmed": 64, "amazon-computers": 64}
EPOCHS = 3
"""Of the models that are saved: time does not depend on how well they learned."""
BASE = "PyG, edge_index"
SCHEMES = ("fp32", "int8", "qat-int8")
"""``int8`` has its ranges from the tensor at hand and leaves messages as they are; ``qat-int8`` keeps its ranges, and
its messages are integers too."""
FAKE = "fake-quantized"


def run(datasets: str = ",".join(DATASETS), *, rounds: int = 5, seconds: float = 0.3, threads: int = 0) -> Report:
    """Measure. ``datasets``: names, set apart by commas; ``threads``: the most, beside one; 0: all cores. Raises
    InputError for an unknown name."""
    most = threads or os.cpu_count() or 1
    counts = sorted({1, most})
    rows: list[dict[str, Any]] = []
    said: list[str] = []
    for dataset in choose(datasets, "dataset", DATASETS):
        with tempfile.TemporaryDirectory(prefix="bitfront-bench-") as folder:
            asked = _asked(dataset, Path(folder), most, said)
            times: dict[Malloc, dict[str, Times]] = {}
            for malloc in MALLOCS:
                place = environment(malloc, most)
                found = take_turns(MODULE, list(asked.values()), place, threads=counts, rounds=rounds, seconds=seconds)
                times[malloc] = dict(zip(asked, found, strict=True))
        for count in counts:
            rows += [
                {"dataset": dataset, "variant": name, "threads": count, **compared(times, name, BASE, count)}
                for name in asked
            ]
    notes = [
        *said_of_turns(counts, rounds),
        "the ratio that counts is under the malloc with which PyG is the faster; GCN of two layers, hidden 16 on Cora, "
        "64 on PubMed and Computers; a model's quantized input is made before the first turn, as PyG's normalization",
        f"{FAKE}: the same model through the float layers",
        *said,
    ]
    return Report(rows, judge(rows), notes)


def _asked(dataset: str, folder: Path, threads: int, said: list[str]) -> dict[str, dict[str, Any]]:
    """What each variant's process is asked; the models are trained and saved by others before, which tell how their
    layers will run."""
    found: dict[str, dict[str, Any]] = {
        BASE: {"by": "pyg", "dataset": dataset},
        "PyG, torch.sparse": {"by": "pyg torch.sparse", "dataset": dataset},
    }
    for scheme in SCHEMES:
        path = str(folder / f"{scheme}.safetensors")
        asked = {"save": path, "dataset": dataset, "scheme": scheme}
        layers = ask(MODULE, asked, environment("default", threads))["layers"]
        said.append(f"{dataset}, {scheme}: {'; '.join(layers)}")
        saved = {"by": "bitfront", "path": path}
        found[f"{scheme}, saved"] = {**saved, "dense": False, "float": False}
        if dataset in SPARSE:
            found[f"{scheme}, saved, dense features"] = {**saved, "dense": True, "float": False}
        if scheme != "fp32":
            found[f"{scheme}, saved, {FAKE}"] = {**saved, "dense": False, "float": True}
    return found


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """The promise is of the int8 models, as they are loaded (features sparse where they are kept so) and, since PyG's
    are dense, with dense features."""
    goals: list[Goal] = []
    for row in rows:
        most = GOALS.get(row["dataset"])
        scheme, _, how = row["variant"].partition(", saved")
        if most is None or scheme not in SCHEMES[1:] or FAKE in how:
            continue
        where = f"{row['dataset']}, {'1 thread' if row['threads'] == 1 else str(row['threads']) + ' threads'}"
        what = f"{scheme} inference of the saved model{how}"
        title = f"{what} at most {most:g} × PyG's fp32, {where}"
        goals.append(Goal(title, f"{row['ratio']:.2f}", row["ratio"] <= most))
    return goals


def spec_data(dataset: str, scheme: str) -> dict[str, Any]:
    """The run whose model is saved, and whose fp32 twin PyG's is."""
    return {
        "dataset": dataset,
        "model": {"name": "gcn", "hidden": HIDDEN.get(dataset, 16)},
        "scheme": scheme,
        "training": {"epochs": EPOCHS},
        "device": "cpu",
    }


def save_model(dataset: str, scheme: str, path: Path) -> dict[str, Any]:
    """Train a few epochs and save; the file's bytes, and what its layers run on."""
    import engine

    result = engine.run(engine.RunSpec.parse(spec_data(dataset, scheme)))
    saved = engine.save(result, path).model
    return {"bytes": saved.stat().st_size, "layers": engine.load(saved).plan.said}


def make_pass(asked: Mapping[str, Any]) -> Callable[[], object]:
    """A pass over the graph, made ready."""
    return _saved(asked) if asked["by"] == "bitfront" else _peer(asked)


def _saved(asked: Mapping[str, Any]) -> Callable[[], object]:
    from dataclasses import replace

    import engine
    from engine.layers.operand import Constant, DenseOperand
    from engine.predicting import Predictor

    exported = engine.load(asked["path"])
    view = next(iter(exported.views()))
    if asked["dense"]:
        assert isinstance(view.x, Constant)
        view = replace(view, x=Constant(DenseOperand(view.x.dense())))
    if asked["float"]:
        return lambda: Predictor.outputs(exported, view)
    return lambda: exported.outputs(view)


def _peer(asked: Mapping[str, Any]) -> Callable[[], object]:
    import torch

    from engine.bench.peers import PyGStack, edges_as
    from engine.graph import load_graph
    from engine.settings import Settings
    from engine.spec import RunSpec

    spec = RunSpec.parse(spec_data(asked["dataset"], "fp32"))
    graph = load_graph(spec.dataset, Settings())
    torch.manual_seed(0)
    model = PyGStack(spec.model, graph.size).eval()
    edges = edges_as("edge_index" if asked["by"] == "pyg" else "torch.sparse", graph.edge_index, graph.size.nodes)

    @torch.no_grad()
    def infer() -> torch.Tensor:
        return model(graph.x, edges)

    return infer


def main() -> None:
    import json
    import sys

    if "save" in json.loads(sys.argv[1]):
        answer(lambda asked: save_model(asked["dataset"], asked["scheme"], Path(asked["save"])))
    else:
        answer_turns(make_pass)


if __name__ == "__main__":
    main()
