"""Golden vectors are read with plain numpy, and give the model's own sums and codes again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.artifacts.exported import Exported, Trace
from engine.artifacts.vectors import write_vectors
from engine.errors import InputError
from engine.settings import Settings
from tests.engine.artifacts.models import saved, train

BOUNDARY = 1e-4
"""In steps: how near to a rounding boundary a value may lie that float32 has rounded the other way."""


class Reader:
    """What a person writes who has the files and no Bitfront."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.tensors = {tensor["name"]: tensor for tensor in self.manifest["tensors"]}
        self.products = self.manifest["products"]

    def array(self, entry: Any) -> np.ndarray:
        if not isinstance(entry, dict):
            return np.asarray(entry, dtype=np.float64)
        values = np.load(self.folder / entry["file"], allow_pickle=False)
        assert (str(values.dtype), list(values.shape)) == (entry["dtype"], entry["shape"])
        assert hashlib.sha256((self.folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        return values

    def codes(self, name: str) -> np.ndarray:
        return self.array(self.tensors[name]["codes"]).astype(np.int64)

    def integers(self, name: str) -> np.ndarray:
        return self.codes(name) + self.array(self.tensors[name]["offset"]).astype(np.int64)

    def scale(self, name: str) -> np.ndarray:
        return self.array(self.tensors[name]["scale"])

    def values(self, name: str) -> np.ndarray:
        tensor, codes = self.tensors[name], self.codes(name)
        if tensor["kind"] == "grid":
            parts = (self.array(tensor[key]) for key in ("scale", "offset", "low"))
            scale, offset, low = parts
            return scale * (codes + offset) + low
        if tensor["kind"] == "blocks":
            box, axis = tensor["box"], tensor["axis"]
            exponents = np.repeat(self.array(tensor["exponents"]), box, axis).astype(np.int64)
            exponents = np.take(exponents, range(codes.shape[axis]), axis)
            return codes * 2.0 ** (exponents + tensor["quantum"])
        if tensor["kind"] == "levels":
            levels = np.array(tensor["levels"])
            return self.array(tensor["scale"]) * np.sign(codes) * levels[np.abs(codes)]
        if tensor["format"] == "fp16":
            return codes.astype(np.uint16).view(np.float16).astype(np.float64)
        return (codes.astype(np.uint32) << 16).view(np.float32).astype(np.float64).reshape(codes.shape)

    def accumulator(self, product: dict[str, Any]) -> np.ndarray:
        """The sums, from the codes alone."""
        if product["product"] == "linear":
            return self.integers(product["x"]) @ self.integers(product["weight"]).T
        if product["product"] == "score":
            weight = self.integers(product["weight"])
            x = self.integers(product["x"]).reshape(-1, *weight.shape[1:])
            return np.einsum("nhc,khc->nkh", x, weight)
        sources, targets = np.load(self.folder / product["edges"])
        message = self.integers(product["message"])
        rows = message if product["of"] == "edges" else message[sources]
        nodes = product["accumulator"]["shape"][0]
        total = np.zeros((nodes, message.shape[1]), dtype=np.int64)
        for target in range(nodes):
            into = rows[targets == target]
            if len(into):
                total[target] = into.max(0) if product["how"] == "max" else into.sum(0)
        return total


def written(
    settings: Settings, folder: Path, scheme: str, model: str = "gcn", **changes: Any
) -> tuple[Reader, Exported]:
    exported = saved(train(settings, scheme, model, **changes), folder, settings)
    return Reader(write_vectors(exported, folder / "vectors").parent), exported


CASES = [
    ("dq-int8", "gcn"),
    ("dq-int8", "gcn(message=edge)"),
    ("qat-int4", "gat(residual=true)"),
    ("dq-int8", "sage"),
    ("dq-int4", "sage(aggregate=max)"),
    ("qat-int8", "gin(mlp_layers=2)"),
    ("dq-int8", "agnn"),
    ("a2q", "gcn"),
    ("w4a8(weights=channel)", "gcn"),
    ("int4+sr", "gcn"),
]


@pytest.mark.parametrize(("scheme", "model"), CASES)
def test_sums_follow_from_codes_and_codes_from_sums(settings: Settings, tmp_path: Path, scheme: str, model: str):
    """The sums exactly; rescaled and rounded, the next codes, but for values at a rounding boundary."""
    reader, _ = written(settings, tmp_path, scheme, model)
    check_sums(reader)
    check_next_codes(reader)


def check_sums(reader: Reader) -> None:
    checked = 0
    for product in reader.products:
        if "missing" in product:
            continue
        expected = reader.array(product["accumulator"]).astype(np.int64)
        assert np.array_equal(reader.accumulator(product), expected)
        assert product["bits"] == int(np.abs(expected).max()).bit_length() + 1
        checked += 1
    assert checked >= 2
    assert {product["product"] for product in reader.products if "missing" not in product} >= {"linear"}


def check_next_codes(reader: Reader) -> None:
    checked = 0
    for product in reader.products:
        if "missing" in product or product["result"] is None or product["product"] == "score":
            continue
        result = reader.tensors[product["result"]]
        accumulator = reader.array(product["accumulator"]).astype(np.float64)
        if product["product"] == "linear":
            y = accumulator * reader.scale(product["x"]) * np.atleast_2d(reader.scale(product["weight"])).T
            y = y + (reader.array(product["bias"]) if "bias" in product else 0.0)
        else:
            factor = reader.array(product["factor"]) if "factor" in product else 1.0
            y = accumulator * reader.scale(product["message"]) * factor
        offset, low = reader.array(result["offset"]), reader.array(result["low"])
        exact = (y - low) / reader.scale(product["result"]) - offset
        found = reader.codes(product["result"])
        differing = np.round(exact).clip(found.min(), found.max()) != found
        assert np.all(np.abs(np.abs(exact - np.floor(exact)) - 0.5)[differing] < BOUNDARY)
        checked += found.size
    assert checked


@pytest.mark.parametrize(
    "scheme",
    ["dq-int4", "msfp13", "mxfp4_e2m1", "mxint8", "log4", "apot5", "bf16", "fp16", "a2q", "taq[8,4,4,2](tune=2)"],
)
def test_the_codes_are_the_tensors_of_the_model(settings: Settings, tmp_path: Path, scheme: str):
    reader, exported = written(settings, tmp_path, scheme)
    trace = Trace()
    trace.dense = True
    trace.predict(exported, None)
    assert trace.found
    for (layer, part, site, product), (values,) in trace.found.items():
        [name] = [
            tensor["name"]
            for tensor in reader.manifest["tensors"]
            if (tensor["layer"], tensor["part"], tensor["site"], tensor["product"]) == (layer, part, site, product)
        ]
        assert np.array_equal(reader.values(name).astype(np.float32), values.numpy())


def test_blocks_have_a_sum_each(settings: Settings, tmp_path: Path):
    reader, _ = written(settings, tmp_path, "msfp13", dataset="sbm(nodes=120)")
    product = next(product for product in reader.products if product["product"] == "linear")
    sums = reader.array(product["accumulator"]).astype(np.int64)
    x, weight = reader.codes(product["x"]), reader.codes(product["weight"])
    boxes = range(0, x.shape[1], 16)
    assert len(boxes) > 1
    assert np.array_equal(sums, np.stack([x[:, a : a + 16] @ weight[:, a : a + 16].T for a in boxes], axis=2))
    a, b = reader.tensors[product["x"]], reader.tensors[product["weight"]]
    exponents = reader.array(a["exponents"]).astype(int)[:, None] + reader.array(b["exponents"]).astype(int)[None]
    y = (sums * 2.0 ** (exponents + a["quantum"] + b["quantum"])).sum(2)
    assert np.allclose(y, reader.values(product["x"]) @ reader.values(product["weight"]).T, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("scheme", "model", "what", "why"),
    [
        ("int8", "gcn", "aggregate", "its message is not quantized"),
        ("cwq(emb=4,tune=1)", "gcn", "linear", "its weight is not quantized"),
        ("bf16", "gcn", "linear", "its x is in floating point"),
        ("log4", "gcn", "linear", "its x has levels that are no multiples of a step"),
        ("a2q(messages=true)", "sage", "aggregate", "its message has several scales, and what they scale is summed"),
    ],
)
def test_what_is_missing_is_said(settings: Settings, tmp_path: Path, scheme: str, model: str, what: str, why: str):
    reader, _ = written(settings, tmp_path, scheme, model)
    product = next(product for product in reader.products if product["product"] == what)
    assert product["missing"] == why
    assert "accumulator" not in product


def test_sets_of_graphs_give_their_first_pass(settings: Settings, tmp_path: Path, mirror: Path):
    reader, _ = written(
        settings, tmp_path, "dq-int8", "gin(hidden=8)", epochs=1, dataset="mutag",
        training={"epochs": 1, "batch_size": 40},
    )  # fmt: skip
    assert reader.manifest["pass"].startswith("the first of ")
    assert any(product["part"].startswith("linears") for product in reader.products), "the readout is there too"


def test_a_model_in_fp32_has_none(settings: Settings, tmp_path: Path):
    with pytest.raises(InputError) as error:
        written(settings, tmp_path, "fp32")
    assert str(error.value) == "the scheme 'fp32' quantizes nothing: there are no codes to write"


def test_a_folder_that_is_not_empty_is_refused(settings: Settings, tmp_path: Path):
    exported = saved(train(settings, "int8"), tmp_path, settings)
    with pytest.raises(InputError) as error:
        write_vectors(exported, tmp_path)
    assert str(error.value) == f"{tmp_path} is not empty: name a new folder for the vectors"
