"""A generated history for measuring how pages do with many runs. Everything in it is named synthetic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from engine.settings import Settings
from engine.spec import RunSpec
from store.database import open_for_writing
from store.lifecycle import describe_spec

SCHEMES = (
    *("fp32", "int8", "int6", "int5", "int4", "dq-int8", "dq-int4"),
    *("msfp16", "msfp15", "msfp14", "msfp13", "msfp12", "msfp11", "mxfp8_e4m3", "mxfp6_e3m2"),
)
MODELS = ("gcn", "gat", "sage", "gin")
GRAPHS = tuple({"name": "sbm", "nodes": nodes} for nodes in (500, 1000, 2000, 4000))
"""Generated graphs: their runs are marked synthetic by the catalogue."""

BATCH = 500
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SCOPES = tuple(
    (scope, coverage) for scope in ("training", "inference") for coverage in ("quantized part", "whole step")
)


def generate_history(settings: Settings, *, runs: int, seeds: int, epochs: int, seed: int = 0) -> None:
    """Fill a home's new database with finished runs, as a store that has ended would have left it.

    ``runs`` in all, ``seeds`` of each configuration, ``epochs`` rows of each run. Metrics and densities are random
    numbers.
    """
    connection = open_for_writing(settings.database)
    random = np.random.default_rng(seed)
    try:
        for tables in _batches(random, runs, seeds, epochs):
            connection.begin()
            for name, table in tables.items():
                connection.register("rows", table)
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM rows")
                connection.unregister("rows")
            connection.commit()
    finally:
        connection.close()


def _batches(random: np.random.Generator, runs: int, seeds: int, epochs: int) -> Iterator[dict[str, pa.Table]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(runs):
        if number % BATCH == 0:
            found = {name: [] for name in ("runs", "attempts", "summary", "densities")}
        for name, rows in _run(random, number, seeds, epochs).items():
            found[name] += rows
        if number % BATCH == BATCH - 1 or number == runs - 1:
            tables = {name: pa.Table.from_pylist(rows) for name, rows in found.items()}
            yield tables | {"epochs": _epochs(random, [row["run"] for row in found["runs"]], epochs)}


def _run(random: np.random.Generator, number: int, seeds: int, epochs: int) -> dict[str, list[dict[str, Any]]]:
    group, seed = divmod(number, seeds)
    scheme, rest = SCHEMES[group % len(SCHEMES)], group // len(SCHEMES)
    graph, rest = GRAPHS[rest % len(GRAPHS)], rest // len(GRAPHS)
    model, step = MODELS[rest % len(MODELS)], rest // len(MODELS)
    spec = RunSpec.parse(
        {
            "dataset": graph,
            "model": model,
            "scheme": scheme,
            "seed": seed,
            "training": {"lr": round(0.01 * 1.01**step, 6)},
        }
    )
    data, run = spec.model_dump(mode="json"), f"synthetic{number:05d}"
    at = BEGAN + timedelta(seconds=30 * number)
    described = describe_spec(data)
    test, density = 60 + 20 * random.random(), 1 + 8 * random.random()
    row = described | {
        "run": run,
        "spec": json.dumps(data, sort_keys=True, separators=(",", ":")),
        "seed": seed,
        "priority": 5,
        "sweep": f"synthetic-{group // 100}",
        "origin": "queue",
        "submitted_at": at,
        "ended_at": at + timedelta(seconds=20),
        "tags": ["synthetic"],
        "state": "finished",
        "attempt": 1,
        "attempts": 1,
        "dropped": 0,
    }
    attempt = {"run": run, "attempt": 1, "state": "finished", "seq": epochs + 2, "gap": False, "healed": False}
    attempt |= {"heard_at": at, "epoch": epochs, "epochs": epochs, "seconds": 3.0, "best_epoch": max(1, epochs // 2)}
    summary = {
        "run": run,
        "metric": row["metric"],
        "unit": row["unit"],
        "higher_is_better": True,
        "epochs": epochs,
        "best_epoch": max(1, epochs // 2),
        "val_best": test + 1,
        "test_at_best_val": test,
        "test_last": test - 0.5,
        "test_max": test + 1.0,
        "seconds": 3.0,
        "peak_memory": 10**8,
        "parameters": 20_000,
    }
    densities = [
        {
            "run": run,
            "rank": rank,
            "scope": scope,
            "coverage": coverage,
            "memory": density / rank,
            "arithmetic": 2 * density / rank,
            "arithmetic_label": "published",
            "average_bits": 32 * rank / density,
            "arithmetic_thesis": 2 * density / rank,
            "memory_thesis": density / rank,
            "peak_memory_density": density / rank,
        }
        for rank, (scope, coverage) in enumerate(SCOPES, start=1)
    ]
    return {"runs": [row], "attempts": [attempt], "summary": [summary], "densities": densities}


def _epochs(random: np.random.Generator, runs: list[str], epochs: int) -> pa.Table:
    rows = len(runs) * epochs
    names = [f"{split}_{quantity}" for split in ("train", "val", "test") for quantity in ("loss", "metric")]
    return pa.table(
        {
            "run": pa.array(np.repeat(runs, epochs)),
            "epoch": pa.array(np.tile(np.arange(1, epochs + 1, dtype=np.int32), len(runs))),
            **{name: random.random(rows) for name in names},
            "seconds": np.full(rows, 0.01),
            "counts": np.ones(rows, dtype=bool),
        }
    )
