"""Golden vectors: a saved model's integers, layer by layer, to test hardware against.

For each quantized tensor of a forward pass its codes, for each product the exact integer sums of codes, all as
integer .npy files, and a manifest.json that says what they are and how they belong together. Where a product's
operands are not integers times one scale a row, its sums are left out, and the manifest says why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.artifacts.codes import Codes, NoCodesError, codes_of_activation, codes_of_encoded, matmul, matmul_boxes
from engine.artifacts.exported import Exported
from engine.artifacts.saving import weight_places
from engine.errors import InputError
from engine.formats import Format
from engine.layers.dense import DenseLayer
from engine.layers.gat import AttentionVectors
from engine.layers.join import Join
from engine.live import ByBucket, Listener, Sites, Where

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data

    from engine.topology import Topology

FORM = 1
MANIFEST = "manifest.json"
KINDS = {
    "grid": "value = scale * (code + offset) + low; scale, offset and low are numbers, or arrays that broadcast",
    "blocks": "value = code * 2^(exponent + quantum); a box of codes along the axis shares an exponent",
    "levels": "value = scale * sign(code) * levels[|code|]",
    "bits": "codes are the float's own bit pattern",
}
PRODUCTS = {
    "linear": "accumulator = (x + offset_x) . (weight + offset_weight)^T; y = scale_x * scale_weight^T * accumulator; "
    "of blocks: accumulator[n, o, b] is the sum over box b, "
    "y = sum_b accumulator * 2^(exponent_x[n, b] + exponent_weight[o, b] + quantum_x + quantum_weight)",
    "score": "accumulator[n, k, h] = sum_c (x + offset_x)[n, h, c] * (weight + offset_weight)[k, h, c]; k = 0: what a "
    "node adds as a source, 1: as a target; y = scale_x * scale_weight * accumulator",
    "aggregate": "accumulator[i] = sum (or greatest) of (message + offset) over the edges into i; "
    "y = scale_message * factor[i] * accumulator",
}


def write_vectors(exported: Exported, folder: Path | str, data: Data | Batch | None = None) -> Path:
    """Write the vectors of one forward pass into ``folder``; gives the manifest's path.

    ``data``: as in ``Exported.predict``; of a dataset that takes several passes, the first. Raises InputError where
    the folder is not empty or cannot be written, or the model has nothing quantized.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not empty: name a new folder for the vectors")
        vectors = _Vectors(exported, folder)
        vectors.follow(data)
        return vectors.finish()
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None


class _Codes(Listener):
    """Takes each site's codes while the model runs."""

    dense = True

    def __init__(self, vectors: _Vectors) -> None:
        self.vectors = vectors

    def record(
        self,
        at: Where,
        x: Tensor,
        out: Tensor,
        quantizer: nn.Module,
        format: Format,
        axis: int,
        protected: Tensor | None,
        rows: Any,
        topology: Topology | None,
        width: int | None = None,
    ) -> None:
        buckets = None
        if isinstance(quantizer, ByBucket):
            of_node = self.vectors.exported.live.buckets
            buckets = of_node[rows] if isinstance(rows, Tensor) else of_node
        try:
            self.vectors.put_tensor(at, format, codes_of_activation(quantizer, x, axis, buckets))
        except NoCodesError as error:
            self.vectors.miss(at, format, str(error))


@dataclass(frozen=True)
class _Operand:
    name: str
    codes: Codes


class _Vectors:
    def __init__(self, exported: Exported, folder: Path) -> None:
        self.exported, self.folder = exported, folder
        self.tensors: list[dict[str, Any]] = []
        self.products: list[dict[str, Any]] = []
        self.edges: dict[str, dict[str, Any]] = {}
        self.found: dict[Where, _Operand] = {}
        self.passes = 0

    def follow(self, data: Data | Batch | None) -> None:
        """One forward pass, and the products of what it met."""
        model, live = self.exported.model, self.exported.live
        views = list(self.exported.views(data))
        self.passes = len(views)
        for place in weight_places(model):
            packed = self.exported.weights.get(place.name)
            at = (place.layer, place.part, "weight", place.product)
            if packed is not None:
                self.put_tensor(at, packed.format, codes_of_encoded(packed))
        live.recorder = _Codes(self)
        try:
            live.begin(views[0].topology)
            with torch.no_grad():
                model(views[0].x, views[0].topology)
        finally:
            live.recorder = None
        if not self.found:
            raise InputError(f"the scheme {self.exported.spec.scheme!r} quantizes nothing: there are no codes to write")
        layers = model.get_submodule("layers")
        assert isinstance(layers, nn.ModuleList)
        for index, layer in enumerate(layers):
            for part, module in layer.named_modules():
                sites = getattr(module, "sites", None)
                if isinstance(sites, Sites) and "weight" in sites.names and "input" in sites.names:
                    self._linear(index, part, module)
                elif isinstance(module, AttentionVectors):
                    self._score(index, part, module)
                if part == "" and hasattr(module, "join"):
                    self._aggregate(index, module.join(views[0].topology))  # pyright: ignore[reportCallIssue]

    def put_tensor(self, at: Where, format: Format, codes: Codes) -> None:
        """A tensor's codes into files, and an entry of the manifest."""
        name, entry = self._entry(at, format)
        entry |= {"kind": codes.kind, "codes": self._file(name, codes.values)}
        for key in ("scale", "offset", "low"):
            value: np.ndarray | None = getattr(codes, key)
            if value is not None:
                entry[key] = float(value) if value.ndim == 0 else self._file(f"{name}.{key}", value)
        if codes.exponents is not None:
            exponents = self._file(f"{name}.exponents", codes.exponents)
            entry |= {"exponents": exponents, "quantum": codes.quantum, "box": codes.box, "axis": codes.axis}
        if codes.levels:
            entry["levels"] = list(codes.levels)
        self.tensors.append(entry)
        self.found[at] = _Operand(name, codes)

    def miss(self, at: Where, format: Format, why: str) -> None:
        """A tensor without integers."""
        _, entry = self._entry(at, format)
        self.tensors.append(entry | {"missing": why})

    def _entry(self, at: Where, format: Format) -> tuple[str, dict[str, Any]]:
        layer, part, site, product = at
        name = ".".join(filter(None, (f"layer{layer}", part, site)))
        if any(entry["name"] == name for entry in self.tensors):
            name = f"{name}.{product}"
        place = {"name": name, "layer": layer, "part": part, "site": site, "product": product}
        return name, {**place, "format": format.name}

    def _file(self, name: str, values: np.ndarray) -> dict[str, Any]:
        """Write an array, integers in the smallest type that holds them; what the manifest says of it."""
        if values.dtype.kind == "i":
            low, high = int(values.min(initial=0)), int(values.max(initial=0))
            kinds = ("i1", "i2", "i4", "i8")
            values = values.astype(next(k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max))
        path = self.folder / f"{name}.npy"
        np.save(path, values, allow_pickle=False)
        return {
            "file": path.name,
            "dtype": str(values.dtype),
            "shape": list(values.shape),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }

    def _linear(self, layer: int, part: str, module: nn.Module) -> None:
        x, weight = (layer, part, "input", "forward"), (layer, part, "weight", "forward")
        # GCN and GAT quantize what comes out as their feature, after no bias; DenseLayer after its own.
        result = next((at for p in ("aggregate", "forward") if (at := (layer, part, "feature", p)) in self.found), None)
        bias = module.bias if isinstance(module, DenseLayer) else None
        entry = self._product("linear", layer, part, x, weight, result, then=[] if bias is None else ["bias"])
        if bias is not None:
            name = ".".join(filter(None, (f"layer{layer}", part, "bias")))
            entry["bias"] = self._file(name, bias.detach().numpy())
        with self._reason(entry):
            name = ".".join(filter(None, (f"layer{layer}", part, "linear")))
            if self._kind(x) == self._kind(weight) == "blocks":
                self._sums(entry, name, matmul_boxes(self.found[x].codes, self.found[weight].codes))
                return
            operands = self._integers(x, "its x"), self._integers(weight, "its weight")
            self._scale_a_row(x, "its x")
            self._scale_a_row(weight, "its weight")
            self._sums(entry, name, matmul(*operands))

    def _score(self, layer: int, part: str, module: AttentionVectors) -> None:
        _, heads, channels = module.weight.shape
        x, weight = (layer, "", "feature", "aggregate"), (layer, part, "weight", "aggregate")

        then = ["the sum of an edge's two nodes", f"leaky ReLU of slope {self._slope(layer)}"]
        entry = self._product("score", layer, part, x, weight, (layer, "", "score", "aggregate"), then=then)
        with self._reason(entry):
            a, b = self._integers(x, "its x"), self._integers(weight, "its weight")
            self._one_scale(x, "its x")
            by_head = a.reshape(-1, heads, channels)
            total = np.stack([matmul(by_head[:, h], b[:, h]) for h in range(heads)], axis=2)
            self._sums(entry, f"layer{layer}.{part}.score", total)

    def _slope(self, layer: int) -> float:
        return float(self.exported.model.get_submodule(f"layers.{layer}").negative_slope)  # pyright: ignore[reportArgumentType]

    def _product(
        self, kind: str, layer: int, part: str, x: Where, weight: Where, result: Where | None, *, then: list[str]
    ) -> dict[str, Any]:
        """A product's entry, still without its sums."""
        entry: dict[str, Any] = {"product": kind, "layer": layer, "part": part, "then": then}
        entry |= {"x": self._name(x), "weight": self._name(weight), "result": self._name(result)}
        self.products.append(entry)
        return entry

    @contextmanager
    def _reason(self, entry: dict[str, Any]) -> Iterator[None]:
        """Where sums cannot be had, the entry says why."""
        try:
            yield
        except NoCodesError as error:
            entry["missing"] = str(error)

    def _aggregate(self, layer: int, join: Join) -> None:
        message, result = (layer, "", "message", "aggregate"), (layer, "", "aggregate", "aggregate")
        entry: dict[str, Any] = {"product": "aggregate", "layer": layer, "part": "", "how": join.how, "then": []}
        entry |= {"message": self._name(message), "of": "edges" if join.by_edge else "nodes"}
        entry |= {"result": self._name(result), "edges": self._edges(layer, join)}
        if join.factor is not None:
            entry["factor"] = self._file(f"layer{layer}.aggregate.factor", join.factor.double().numpy())
        self.products.append(entry)
        with self._reason(entry):
            codes = self._integers(message, "its message")
            if not join.by_edge:
                self._one_scale(message, "its message")
            elif self.found[message].codes.scales:
                raise NoCodesError("its messages have a scale each")
            sources, targets = join.adjacency.sources.numpy(), join.adjacency.targets.numpy()
            rows = codes if join.by_edge else codes[sources]
            if join.how == "max":
                total = np.full((join.adjacency.nodes, codes.shape[1]), np.iinfo(np.int64).min)
                np.maximum.at(total, targets, rows)
                total[np.bincount(targets, minlength=len(total)) == 0] = 0
            else:
                total = np.zeros((join.adjacency.nodes, codes.shape[1]), dtype=np.int64)
                np.add.at(total, targets, rows)
            self._sums(entry, f"layer{layer}.aggregate.sum", total)

    def _edges(self, layer: int, join: Join) -> str:
        """The edges' file, one for each structure."""
        pairs = np.stack([join.adjacency.sources.numpy(), join.adjacency.targets.numpy()]).astype(np.int64)
        digest = hashlib.sha256(pairs.tobytes()).hexdigest()
        if digest not in self.edges:
            self.edges[digest] = self._file(f"edges{len(self.edges) or ''}", pairs)
        return self.edges[digest]["file"]

    def _sums(self, entry: dict[str, Any], name: str, total: np.ndarray) -> None:
        largest = max(abs(int(total.min(initial=0))), abs(int(total.max(initial=0))))
        entry |= {"accumulator": self._file(f"{name}.accumulator", total), "bits": largest.bit_length() + 1}

    def _name(self, at: Where | None) -> str | None:
        return self.found[at].name if at is not None and at in self.found else None

    def _integers(self, at: Where, what: str) -> np.ndarray:
        if at not in self.found:
            raise NoCodesError(f"{what} is not quantized")
        codes = self.found[at].codes
        integers = codes.integers
        if integers is None:
            reasons = {
                "grid": "has an offset that is no whole number of steps",
                "blocks": "shares exponents, so that sums are exact within a box only",
                "levels": "has levels that are no multiples of a step",
                "bits": "is in floating point",
            }
            raise NoCodesError(f"{what} {reasons[codes.kind]}")
        return integers

    def _kind(self, at: Where) -> str | None:
        return self.found[at].codes.kind if at in self.found else None

    def _scale_a_row(self, at: Where, what: str) -> None:
        if self.found[at].codes.scales[-1:] not in ((), (1,)):
            raise NoCodesError(f"{what} has a scale a column, and columns are summed")

    def _one_scale(self, at: Where, what: str) -> None:
        if self.found[at].codes.scales:
            raise NoCodesError(f"{what} has several scales, and what they scale is summed")

    def finish(self) -> Path:
        """Write the manifest, last: where it is, everything is."""
        exported = self.exported
        manifest = {
            "form": FORM,
            "made_by": f"bitfront {metadata.version('bitfront')}",
            "run": exported.manifest.spec,
            "epoch": exported.manifest.epoch,
            "model_sha256": hashlib.sha256(exported.path.read_bytes()).hexdigest(),
            "dataset": exported.manifest.provenance.get("dataset_label", exported.spec.dataset.name),
            "synthetic": bool(exported.manifest.provenance.get("synthetic")),
            "licence": exported.manifest.licence,
            "pass": f"the first of {self.passes}" if self.passes > 1 else "the whole",
            "kinds": KINDS,
            "equations": PRODUCTS,
            "tensors": self.tensors,
            "products": self.products,
            "edges": list(self.edges.values()),
        }
        path = self.folder / MANIFEST
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        return path
