"""Saving a trained model: weights in the format of their product, packed; everything else that evaluation needs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors.numpy
import torch
from torch import Tensor, nn

from engine.artifacts import MODEL, SUFFIX
from engine.artifacts.manifest import FORM, Manifest, Raw, Segment, SiteState, Size, Weight
from engine.artifacts.packing import Writer
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.events import ArtifactSaved, LedgerRow
from engine.formats import Format
from engine.ledger import FORWARD
from engine.live import ByBucket, LiveScheme, Sites

if TYPE_CHECKING:
    from engine.formats.encoded import Encoded
    from engine.training import RunResult

TENSOR = "packed"
"""The one tensor of the file."""
MARK = "bitfront"
"""The one text of the header: the form's number, and the SHA-256 of the manifest."""


@dataclass(frozen=True)
class Saved:
    """The two files of one save."""

    model: Path
    manifest: Path
    content: str
    """SHA-256 of the packed parameters: the same whatever else is said of them."""


def save(result: RunResult, path: Path | str) -> Saved:
    """Write the best epoch's model to ``path`` (….safetensors) and its manifest beside it (….json).

    Each file is written whole or not at all. Raises InputError where the path has another ending or cannot be
    written, where the manifest would take the place of a file that is none, for what is no run's result, or where a
    recipe's own quantizer cannot be kept.
    """
    path = Path(path).expanduser()
    if path.suffix != SUFFIX:
        raise InputError(f"a model is saved as a {SUFFIX} file, not as {path.name!r}: name it {path.stem}{SUFFIX}")
    if isinstance(result, nn.Module):
        raise InputError(
            f"engine.save keeps the result of engine.run, and {type(result).__name__} is a module: keep a model of "
            "your own, quantized by engine.quantize or not, with torch.save(model.state_dict(), path)"
        )
    check_place(path)
    manifest, packed = describe(result)
    text = (manifest.model_dump_json(indent=1) + "\n").encode()
    # One text: the library writes several in any order.
    header = {MARK: f"{FORM} {hashlib.sha256(text).hexdigest()}"}
    tensors = {TENSOR: torch.frombuffer(bytearray(packed), dtype=torch.uint8).numpy()}
    saved = Saved(path, path.with_suffix(".json"), manifest.packed_sha256)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(saved.manifest, text)
        _write(saved.model, safetensors.numpy.save(tensors, header))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    return saved


def check_place(path: Path) -> None:
    """Raise InputError where the manifest of a model at ``path`` would take the place of a file that is none."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return
    try:
        found = json.loads(beside.read_bytes())
        ours = isinstance(found, dict) and {"form", "made_by", "packed_sha256"} <= found.keys()
    except (OSError, ValueError, RecursionError):
        ours = False
    if not ours:
        raise InputError(
            f"{beside} is no model's manifest, and {path.name} would overwrite it with its own: "
            "name the model otherwise"
        )


def save_for_run(result: RunResult, folder: Path) -> list[ArtifactSaved]:
    """Save a run's model into its folder of artifacts: what is to be said of the two files. Raises as ``save``."""
    saved = save(result, folder / MODEL)
    kinds: list[tuple[Path, Literal["model", "manifest"]]] = [(saved.model, "model"), (saved.manifest, "manifest")]
    content = saved.content
    return [
        ArtifactSaved(
            name=path.name,
            kind=kind,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content=content if kind == "model" else None,
        )
        for path, kind in kinds
        for data in [path.read_bytes()]
    ]


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def describe(result: RunResult) -> tuple[Manifest, bytes]:
    """The manifest of a finished run's model, and the bytes that it speaks of."""
    trained, summary = result.model, result.summary
    model, live = trained.build()
    writer = Writer()
    weights, raw = _parameters(model, live, writer)
    size = trained.size
    scaling = trained.scaling
    manifest = Manifest(
        made_by=f"bitfront {metadata.version('bitfront')}",
        spec=trained.spec.model_dump(mode="json"),
        size=Size(**{name: getattr(size, name) for name in Size.model_fields}),
        epoch=trained.epoch,
        quantized=trained.quantized,
        scaling=None if scaling is None else (scaling[0].tolist(), scaling[1].tolist()),
        weights=weights,
        raw=raw,
        sites=[_site(place, writer) for place in forward_places(live)],
        packed_bytes=len(writer.packed),
        packed_sha256=hashlib.sha256(writer.packed).hexdigest(),
        metric=summary.metric,
        unit=summary.unit,
        val_best=summary.val_best,
        test_at_best_val=summary.test_at_best_val,
        densities=summary.densities,
        figures=summary.figures,
        ledger=[_ledger_entry(row) for row in result.ledger if _counts(row, trained.epoch)],
        provenance=result.provenance,
        licence=DATASETS[trained.spec.dataset.name].licence,
    )
    return manifest, writer.packed


def _counts(row: LedgerRow, epoch: int) -> bool:
    return row.product in FORWARD and row.first_epoch <= epoch <= row.last_epoch


def _ledger_entry(row: LedgerRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("layer", "product", "site", "format", "elements", "macs")}


@dataclass(frozen=True)
class WeightPlace:
    """A parameter that a site quantizes in the forward pass."""

    name: str
    layer: int
    part: str
    module: nn.Module
    sites: Sites
    product: str

    @property
    def parameter(self) -> Tensor:
        return self.module.get_parameter("weight")


def weight_places(model: nn.Module) -> Iterator[WeightPlace]:
    """The parameters of a bound model that lie at a site "weight"."""
    layers = model.get_submodule("layers")
    assert isinstance(layers, nn.ModuleList)
    for index, layer in enumerate(layers):
        for part, module in layer.named_modules():
            sites = getattr(module, "sites", None)
            if isinstance(sites, Sites) and "weight" in sites.names:
                name = ".".join(filter(None, ("layers", str(index), part, "weight")))
                # A weight that enters a linear product, or one that makes scores of features.
                product = "forward" if "input" in sites.names else "aggregate"
                yield WeightPlace(name, index, part, module, sites, product)


def _parameters(model: nn.Module, live: LiveScheme, writer: Writer) -> tuple[list[Weight], list[Raw]]:
    weights: list[Weight] = []
    raw: list[Raw] = []
    at_sites = {place.name: place for place in weight_places(model)}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue  # counters of batch normalization, which evaluation does not read
        place = at_sites.get(name)
        quantizer = place and place.sites.quantizer("weight", place.product)
        if place is None or quantizer is None:
            why = "no site quantizes it" if place is None else "the scheme leaves it in fp32"
            raw.append(Raw(name=name, why=why, segment=writer.put(tensor)))
            continue
        module: Any = quantizer[1]
        if not hasattr(module, "encode"):
            with torch.no_grad():
                values = module(tensor, axis=-1)
            raw.append(Raw(name=name, why="its quantizer has no packed form", segment=writer.put(values)))
            continue
        encoded: Encoded = module.encode(tensor, -1)
        weights.append(
            Weight(
                name=name,
                layer=place.layer,
                product=place.product,
                format=encoded.format.name,
                granularity=encoded.granularity,
                axis=encoded.axis,
                shape=list(encoded.shape),
                bits=encoded.format.bits,
                codes=writer.put(encoded.codes),
                metadata=[writer.put(part) for part in encoded.metadata],
            )
        )
    return weights, raw


@dataclass(frozen=True)
class ForwardPlace:
    """A quantizer that evaluation uses on activations."""

    key: str
    site: str
    layer: int
    part: str
    products: tuple[str, ...]
    module: nn.Module


def forward_places(live: LiveScheme) -> list[ForwardPlace]:
    """The quantizers of activations that a forward pass uses now, each once."""
    found: dict[str, ForwardPlace] = {}
    for view in live.views:
        for site in view.names:
            if site in ("weight", "gradient", "stash"):
                continue
            for product in FORWARD:
                place = view.quantizer(site, product)
                if place is None:
                    continue
                key, module = place
                before = found[key].products if key in found else ()
                found[key] = ForwardPlace(key, site, view.layer, view.part, (*before, product), module)
    return list(found.values())


def parts_of(module: nn.Module) -> list[nn.Module]:
    """The quantizers of a place: one, or one a degree bucket."""
    return list(module.parts) if isinstance(module, ByBucket) else [module]


def _site(place: ForwardPlace, writer: Writer) -> SiteState:
    module: Any = place.module
    parts: list[Any] = parts_of(place.module)
    for part in parts:
        if not hasattr(part, "inference_state") or not isinstance(getattr(part, "format", None), Format):
            raise InputError(
                f"the {place.site} of layer {place.layer + 1} is quantized by {type(part).__name__}, which cannot be "
                "saved: give it format, inference_state and load_inference_state"
            )
    return SiteState(
        key=place.key,
        site=place.site,
        layer=place.layer,
        part=place.part,
        products=list(place.products),
        formats=[part.format.name for part in parts],
        range=getattr(parts[0], "range_name", "learned"),
        granularity=getattr(parts[0], "granularity", "row"),
        state={name: _value(value, writer) for name, value in module.inference_state().items()},
    )


def _value(value: Tensor, writer: Writer) -> float | int | Segment | None:
    """A number as it is, where one is enough; NaN (nothing seen) as None."""
    if value.dim():
        return writer.put_codes(value) if value.dtype == torch.uint8 else writer.put(value)
    number = value.item()
    return None if number != number else number
