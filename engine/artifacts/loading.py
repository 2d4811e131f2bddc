"""Loading a saved model: bytes, types and shapes are checked before anything is built, and nothing is executed.

The manifest's run says what the model must be: which quantizers it has, with which formats, ranges and shapes (of a
dynamic scheme: at some step of its ladder). A manifest that says anything else is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine import grammar
from engine.artifacts import SUFFIX
from engine.artifacts.exported import Exported
from engine.artifacts.manifest import FORM, Manifest, Segment, SiteState, Weight
from engine.artifacts.packing import Reader
from engine.artifacts.saving import MARK, TENSOR, ForwardPlace, forward_places, parts_of, weight_places
from engine.datasets import GraphSize
from engine.errors import BitfrontError, InputError
from engine.formats import Format, get_format
from engine.formats.encoded import Encoded
from engine.live import LiveScheme
from engine.schedule import Step
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
    with _fits_together(path):
        _check_segments(path, manifest, len(packed))
        spec = _spec(path, manifest, recipes)
        size = GraphSize(**manifest.size.model_dump())
        reader = Reader(packed, str(path))
        # First without memory: whatever sizes a manifest names, nothing large is made before they are known to fit.
        with torch.device("meta"):
            model, live, step = _bound(path, spec, size, manifest)
            _check_shapes(path, model, manifest)
        _restore_all(path, live, manifest, reader)
        values = _parameters(manifest, reader)
        model, live = bare_model(spec, size)
        live.enabled = manifest.quantized
        if step is not None:
            live.assign(step)
        model.load_state_dict(values, strict=False)
        for place in weight_places(model):
            place.sites.release("weight")  # they are quantized already
        _restore_all(path, live, manifest, reader)
        for view in live.views:
            view.refresh()
        scaling = _scaling(path, manifest)
        weights = {weight.name: encoded(weight, reader) for weight in manifest.weights}
    return Exported(path, manifest, weights, spec, size, model, live, scaling, settings)


def _check_segments(path: Path, manifest: Manifest, size: int) -> None:
    """Raise InputError where the tensors are not the file's bytes, each byte of one tensor."""
    parts = [part for weight in manifest.weights for part in (weight.codes, *weight.metadata)]
    parts += [raw.segment for raw in manifest.raw]
    parts += [value for site in manifest.sites for value in site.state.values() if isinstance(value, Segment)]
    end = 0
    for part in sorted(parts, key=lambda part: (part.at, part.bytes)):
        if part.at != end or part.at + part.bytes > size:
            raise _damaged(path, "the tensors that its manifest names do not lie one after the other")
        end += part.bytes
    if not end == size == manifest.packed_bytes:
        raise _damaged(path, f"its manifest names {end} of its {size} bytes")


@contextmanager
def _fits_together(path: Path) -> Iterator[None]:
    """What is wrong with a file that no check below has foreseen is said in one sentence all the same."""
    try:
        yield
    except BitfrontError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError) as error:
        raise _damaged(path, f"its parts do not fit together ({type(error).__name__})") from error
    except (RecursionError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, f"its parts do not fit together ({type(error).__name__})") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path} is damaged: {what}; save or copy it again")


def _read(path: Path) -> tuple[bytes, str]:
    """The packed bytes, and the manifest's SHA-256."""
    try:
        with safe_open(path, framework="numpy") as file:
            mark, names = (file.metadata() or {}).get(MARK, ""), list(file.keys())
            form, _, digest = mark.partition(" ")
            if not re.fullmatch("[1-9][0-9]{0,5}", form) or names != [TENSOR]:
                raise InputError(f"{path} is a safetensors file, but not one that engine.save wrote")
            if int(form) > FORM:
                raise InputError(
                    f"{path} has the form {form}, and this version of Bitfront reads forms up to {FORM}: "
                    "update Bitfront"
                )
            return file.get_tensor(TENSOR).tobytes(), digest
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except BitfrontError:
        raise
    except (SafetensorError, OSError, TypeError, ValueError) as error:  # the last two: a type that numpy has not
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
    except RecursionError:
        raise InputError(f"the manifest {beside} cannot be read: it is nested too deeply") from None


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
            raise InputError(
                f"{reader.source} is damaged: {weight.name} cannot be unpacked: {_first_line(error)}"
            ) from None
    for name, values in found.items():
        if not bool(torch.isfinite(values).all()):
            raise InputError(f"{reader.source} is damaged: {name} holds NaN or infinity")
    return found


def _check_shapes(path: Path, model: nn.Module, manifest: Manifest) -> None:
    """Raise InputError where the parameters are not those of the model."""
    needed = {name: t.shape for name, t in model.state_dict().items() if t.is_floating_point()}
    kept: dict[str, list[int]] = {}
    for name, shape in _kept_shapes(manifest):
        if name in kept:
            raise _damaged(path, f"it has the parameter {name} twice")
        kept[name] = shape
    for name in sorted(needed.keys() | kept.keys()):
        if name not in needed or kept.get(name) != list(needed[name]):
            there = f"[{', '.join(map(str, needed[name]))}]" if name in needed else "no such parameter"
            here = f"one of the shape {kept[name]}" if name in kept else "none"
            raise InputError(f"{path} is damaged: for {name} the model has {there}, the file {here}")
    for raw in manifest.raw:
        if raw.segment.dtype != "float32" or raw.segment.bits is not None:
            raise _damaged(path, f"the parameter {raw.name} is not kept in fp32")


def _kept_shapes(manifest: Manifest) -> Iterator[tuple[str, list[int]]]:
    yield from ((weight.name, weight.shape) for weight in manifest.weights)
    yield from ((raw.name, raw.segment.shape) for raw in manifest.raw)


def _bound(path: Path, spec: RunSpec, size: GraphSize, manifest: Manifest) -> tuple[nn.Module, LiveScheme, Step | None]:
    """The model and the live scheme of the run, at the step of its ladder that the manifest's formats are of.

    Raises InputError where they are of none.
    """
    schedule = spec.parsed_scheme.schedule
    said = _said_places(manifest)
    wrong = ""
    for step in (None, *(() if schedule is None else schedule.ladder)):
        model, live = bare_model(spec, size)
        if not _is_quantized(spec, manifest) == manifest.quantized:
            raise _damaged(path, f"the scheme {spec.scheme!r} is not as its manifest says at epoch {manifest.epoch}")
        live.enabled = manifest.quantized
        if step is not None:
            live.assign(step)
        here = {**_weights_of(model), **{place.key: _described(place) for place in forward_places(live)}}
        if here == said:
            return model, live, step
        wrong = wrong or min(key for key in here.keys() | said.keys() if here.get(key) != said.get(key))
    raise _damaged(path, f"its manifest and the scheme {spec.scheme!r} do not agree about {wrong!r}")


def _is_quantized(spec: RunSpec, manifest: Manifest) -> bool | None:
    """Whether the scheme is on in the manifest's epoch; None where the run has no such epoch that counts."""
    last = 0
    for phase in spec.phases:
        last += phase.epochs or 0
        if 1 <= manifest.epoch <= last:
            return phase.quantized if phase.counts else None
    return None


def _said_places(manifest: Manifest) -> dict[str, tuple[Any, ...]]:
    """What the manifest says of each packed weight and of each quantizer."""
    said: dict[str, tuple[Any, ...]] = {}
    for weight in manifest.weights:
        axes = {len(weight.shape) - 1: -1}
        axis = axes.get(weight.axis, weight.axis)
        said[weight.name] = ("weight", weight.layer, weight.product, weight.format, axis, weight.bits)
    for site in manifest.sites:
        place = (site.site, site.layer, site.part, tuple(site.products), tuple(site.formats), site.range)
        said[site.key] = (*place, site.granularity)
    return said


def _weights_of(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    """The same of a bound model's weights that have a packed form."""
    found: dict[str, tuple[Any, ...]] = {}
    for place in weight_places(model):
        quantizer = place.sites.quantizer("weight", place.product)
        if quantizer is not None and hasattr(quantizer[1], "encode"):
            format: Format = cast(Any, quantizer[1]).format
            found[place.name] = ("weight", place.layer, place.product, format.name, -1, format.bits)
    return found


def _described(place: ForwardPlace) -> tuple[Any, ...]:
    """The same of a quantizer."""
    parts: list[Any] = parts_of(place.module)
    formats = tuple(part.format.name for part in parts)
    of = (place.site, place.layer, place.part, place.products, formats)
    return *of, getattr(parts[0], "range_name", "learned"), getattr(parts[0], "granularity", "row")


def _scaling(path: Path, manifest: Manifest) -> tuple[Tensor, Tensor] | None:
    if manifest.scaling is None:
        return None
    middle, scale = map(torch.tensor, manifest.scaling)
    width = (manifest.size.classes,)
    if middle.shape != width or scale.shape != width or not bool(torch.isfinite(middle / scale).all()):
        raise _damaged(path, "the scaling of its targets does not fit their number")
    return middle, scale


def _restore_all(path: Path, live: LiveScheme, manifest: Manifest, reader: Reader) -> None:
    for site in manifest.sites:
        _restore(path, live.quantizers[site.key], site, reader)


def _restore(path: Path, quantizer: Any, site: SiteState, reader: Reader) -> None:
    state = {name: _tensor(value, reader) for name, value in site.state.items()}
    try:
        quantizer.load_inference_state(state, *map(get_format, site.formats))
    except BitfrontError:
        raise
    except (RuntimeError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, f"the state of {site.key!r} does not fit: {_first_line(error)}") from None


def _tensor(value: float | int | Segment | None, reader: Reader) -> Tensor:
    """A number of the state as a tensor: float32 where that holds it."""
    if isinstance(value, Segment):
        return reader.get(value)
    if isinstance(value, int):
        return torch.tensor(value)
    number = torch.tensor(torch.nan if value is None else value, dtype=torch.float64)
    narrow = number.float()
    return narrow if value is None or bool(narrow.double() == number) else number
