"""Loading a saved model: bytes, types and shapes are checked before anything is built, and nothing is executed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine import grammar
from engine.artifacts import SUFFIX
from engine.artifacts.exported import Exported
from engine.artifacts.manifest import FORM, Manifest, Segment, SiteState, Weight
from engine.artifacts.packing import Reader
from engine.artifacts.saving import MARK, TENSOR, forward_places, parts_of, weight_places
from engine.datasets import GraphSize
from engine.errors import InputError
from engine.formats import get_format
from engine.formats.encoded import Encoded
from engine.live import LiveScheme
from engine.settings import Settings
from engine.spec import RunSpec
from engine.trained import bare_model


def load(path: Path | str, *, recipes: bool = False, settings: Settings | None = None) -> Exported:
    """The model that ``engine.save`` wrote to ``path``; its manifest lies beside it.

    ``recipes``: whether a scheme from a recipe file may run that file (off: it is refused). Raises InputError where
    the files are absent, damaged, of a newer form, not of one save, or not Bitfront's.
    """
    path = Path(path).expanduser()
    packed, digest = _read(path)
    manifest = _manifest(path, digest)
    if hashlib.sha256(packed).hexdigest() != manifest.packed_sha256:
        raise InputError(f"{path} is damaged: its content is not what was saved; save or copy it again")
    spec = _spec(path, manifest, recipes)
    size = GraphSize(**manifest.size.model_dump())
    reader = Reader(packed, str(path))
    values = _parameters(manifest, reader)
    _check_shapes(path, spec, size, values)
    model, live = bare_model(spec, size)
    live.enabled = manifest.quantized
    _fill(path, model, live, manifest, values, reader)
    scaling = None
    if manifest.scaling is not None:
        scaling = torch.tensor(manifest.scaling[0]), torch.tensor(manifest.scaling[1])
    weights = {weight.name: encoded(weight, reader) for weight in manifest.weights}
    return Exported(path, manifest, weights, spec, size, model, live, scaling, settings)


def _read(path: Path) -> tuple[bytes, str]:
    """The packed bytes, and the manifest's SHA-256."""
    try:
        with safe_open(path, framework="numpy") as file:
            mark, names = (file.metadata() or {}).get(MARK, ""), list(file.keys())
            form, _, digest = mark.partition(" ")
            if not form.isdecimal() or names != [TENSOR]:
                raise InputError(f"{path} is a safetensors file, but not one that engine.save wrote")
            if int(form) > FORM:
                raise InputError(
                    f"{path} has the form {form}, and this version of Bitfront reads forms up to {FORM}: "
                    "update Bitfront"
                )
            return file.get_tensor(TENSOR).tobytes(), digest
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as a {SUFFIX} file: {error}") from None


def _manifest(path: Path, digest: str) -> Manifest:
    beside = path.with_suffix(".json")
    try:
        text = beside.read_bytes()
    except OSError:
        raise InputError(f"{path} has no manifest: {beside.name} must lie beside it") from None
    if hashlib.sha256(text).hexdigest() != digest:
        raise InputError(
            f"{beside} is not the manifest that {path.name} was saved with: keep the two files of one save together, "
            "as they were written"
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(f"the manifest {beside} cannot be read: {where}: {fault['msg']}") from None


def _spec(path: Path, manifest: Manifest, recipes: bool) -> RunSpec:
    text = manifest.spec.get("scheme")
    files = [part.path for part in grammar.parse(text, "scheme").parts if part.path] if isinstance(text, str) else []
    if files and not recipes:
        raise InputError(
            f"{path} was trained with the recipe file {files[0]}, and loading it would run that file: "
            "if you trust it, load with recipes=True"
        )
    try:
        return RunSpec.parse(manifest.spec)
    except InputError as error:
        raise InputError(f"the run in the manifest of {path} does not fit this version of Bitfront: {error}") from None


def encoded(weight: Weight, reader: Reader) -> Encoded:
    """A weight's packed form."""
    if weight.granularity not in ("tensor", "row", "channel"):
        raise InputError(f"{reader.source} is damaged: {weight.granularity!r} is no granularity")
    codes, metadata = reader.get(weight.codes), tuple(map(reader.get, weight.metadata))
    shape, granularity = tuple(weight.shape), weight.granularity
    return Encoded(get_format(weight.format), codes, metadata, shape, torch.float32, weight.axis, granularity)


def _parameters(manifest: Manifest, reader: Reader) -> dict[str, Tensor]:
    found = {raw.name: reader.get(raw.segment) for raw in manifest.raw}
    for weight in manifest.weights:
        packed = encoded(weight, reader)
        try:
            found[weight.name] = packed.decode()
        except (RuntimeError, IndexError, ValueError) as error:
            raise InputError(f"{reader.source} is damaged: {weight.name} cannot be unpacked: {error}") from None
    return found


def _check_shapes(path: Path, spec: RunSpec, size: GraphSize, values: dict[str, Tensor]) -> None:
    """Raise InputError where the parameters are not those of the model; nothing large is made to find out."""
    with torch.device("meta"):
        model, _ = bare_model(spec, size)
    needed = {name: t.shape for name, t in model.state_dict().items() if t.is_floating_point()}
    for name in sorted(needed.keys() | values.keys()):
        here = values[name].shape if name in values else None
        if here != needed.get(name):
            there = f"[{', '.join(map(str, needed[name]))}]" if name in needed else "no such parameter"
            kept = "none" if here is None else f"one of the shape {list(here)}"
            raise InputError(f"{path} is damaged: for {name} the model has {there}, the file {kept}")


def _fill(
    path: Path, model: nn.Module, live: LiveScheme, manifest: Manifest, values: dict[str, Tensor], reader: Reader
) -> None:
    """Set parameters, formats and states; the weights' sites are released, as they are quantized already."""
    model.load_state_dict(values, strict=False)
    for place in weight_places(model):
        place.sites.release("weight")
    for site in manifest.sites:
        if site.key not in live.quantizers:
            raise InputError(f"{path} is damaged: the model has no quantizer {site.key!r}")
        _restore(path, live.quantizers[site.key], site, reader)
    for view in live.views:
        view.refresh()
    missing = {place.key for place in forward_places(live)} - {site.key for site in manifest.sites}
    if missing:
        raise InputError(f"{path} is damaged: its manifest does not speak of the quantizer {min(missing)!r}")


def _restore(path: Path, quantizer: Any, site: SiteState, reader: Reader) -> None:
    state = {name: _tensor(value, reader) for name, value in site.state.items()}
    formats = [get_format(name) for name in site.formats]
    if len(formats) != len(parts_of(quantizer)):
        raise InputError(f"{path} is damaged: the quantizer {site.key!r} has another number of formats")
    try:
        quantizer.load_inference_state(state, *formats)
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{path} is damaged: the state of {site.key!r} does not fit: {error}") from None


def _tensor(value: float | int | Segment | None, reader: Reader) -> Tensor:
    """A number of the state as a tensor: float32 where that holds it."""
    if isinstance(value, Segment):
        return reader.get(value)
    if isinstance(value, int):
        return torch.tensor(value)
    number = torch.tensor(torch.nan if value is None else value, dtype=torch.float64)
    narrow = number.float()
    return narrow if value is None or bool(narrow.double() == number) else number
