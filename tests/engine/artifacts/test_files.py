"""The files of a saved model: small, self-describing, and refused in one sentence where they are not whole."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
import torch
from torch_geometric.nn import GCN

import engine
from engine.artifacts.manifest import Manifest
from engine.errors import InputError
from engine.settings import Settings
from engine.training import RunResult
from tests.engine.artifacts.models import train


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return train(Settings(home=tmp_path_factory.mktemp("home")), "dq-int8", epochs=1)


@pytest.fixture
def model(result: RunResult, tmp_path: Path) -> Path:
    """A saved model, whose files a test may spoil."""
    return engine.save(result, tmp_path / "model.safetensors").model


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        engine.load(path)
    return str(error.value)


def spoil(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest, and the header with it, as someone would who knows the form."""
    beside = path.with_suffix(".json")
    manifest = json.loads(beside.read_text())
    change(manifest)
    beside.write_text(json.dumps(manifest))
    tensors = safetensors.numpy.load_file(path)
    digest = hashlib.sha256(beside.read_bytes()).hexdigest()
    safetensors.numpy.save_file(tensors, path, {"bitfront": f"1 {digest}"})


def test_two_files_and_nothing_else(model: Path):
    assert sorted(path.name for path in model.parent.iterdir()) == ["model.json", "model.safetensors"]


def test_the_manifest_says_what_the_model_is(result: RunResult, model: Path):
    found = json.loads(model.with_suffix(".json").read_text())
    assert found["spec"] == result.spec.model_dump(mode="json")
    assert found["epoch"] == result.summary.best_epoch
    assert {weight["name"]: weight["format"] for weight in found["weights"]} == {
        "layers.0.weight": "int8",
        "layers.1.weight": "int8",
    }
    assert {raw["name"] for raw in found["raw"]} == {"layers.0.bias", "layers.1.bias"}
    sites = {(site["layer"], site["site"]): site for site in found["sites"]}
    assert set(sites) == {(k, s) for k in (0, 1) for s in ("input", "feature", "message", "aggregate", "update")}
    assert sites[0, "feature"]["state"].keys() == {"low", "high"}
    assert found["densities"][0]["memory"] == result.summary.densities[0].memory
    assert {row["site"] for row in found["ledger"]} >= {"input", "weight"}
    assert found["provenance"]["fingerprint"] == result.provenance["fingerprint"]
    assert found["licence"]


def test_the_header_names_the_form_and_the_manifest(model: Path):
    data = model.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    digest = hashlib.sha256(model.with_suffix(".json").read_bytes()).hexdigest()
    assert header["__metadata__"] == {"bitfront": f"1 {digest}"}
    assert list(header) == ["__metadata__", "packed"]


def test_saving_again_writes_the_same_bytes(result: RunResult, model: Path):
    again = engine.save(result, model.parent / "again.safetensors")
    assert again.model.read_bytes() == model.read_bytes()
    assert again.manifest.read_bytes() == model.with_suffix(".json").read_bytes()


def test_another_ending_is_refused(result: RunResult, tmp_path: Path):
    with pytest.raises(InputError) as error:
        engine.save(result, tmp_path / "model.pt")
    assert str(error.value) == "a model is saved as a .safetensors file, not as 'model.pt': name it model.safetensors"


def test_a_place_that_cannot_be_written_is_refused(result: RunResult, tmp_path: Path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "model.safetensors"
    with pytest.raises(InputError) as error:
        engine.save(result, path)
    assert str(error.value) in (f"{path} cannot be written: File exists", f"{path} cannot be written: Not a directory")


def test_a_file_that_is_no_manifest_is_not_overwritten(result: RunResult, tmp_path: Path):
    for content in ('{"mine": 1}', "[1]", "no JSON"):
        (tmp_path / "cora.json").write_text(content)
        with pytest.raises(InputError) as error:
            engine.save(result, tmp_path / "cora.safetensors")
        assert str(error.value) == (
            f"{tmp_path / 'cora.json'} is no model's manifest, and cora.safetensors would overwrite it with its own: "
            "name the model otherwise"
        )
        assert (tmp_path / "cora.json").read_text() == content
    assert not (tmp_path / "cora.safetensors").exists()


def test_a_model_of_ones_own_is_no_result(tmp_path: Path):
    model = engine.quantize(GCN(4, 8, 2), "dq-int8")
    with pytest.raises(InputError) as error:
        engine.save(model, tmp_path / "model.safetensors")  # pyright: ignore[reportArgumentType]
    assert str(error.value) == (
        "engine.save keeps the result of engine.run, and GCN is a module: keep a model of your own, quantized by "
        "engine.quantize or not, with torch.save(model.state_dict(), path)"
    )


def test_an_absent_file(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    assert refused(path) == f"there is no file {path}"


def test_an_absent_manifest(model: Path):
    model.with_suffix(".json").unlink()
    assert refused(model) == f"{model} has no manifest: model.json must lie beside it"


def test_a_changed_manifest(model: Path):
    beside = model.with_suffix(".json")
    beside.write_text(beside.read_text().replace("karate", "cora"))
    assert refused(model) == (
        f"{beside} is not the manifest that model.safetensors was saved with: keep the two files of one save together, "
        "as they were written"
    )


@pytest.mark.parametrize("kept", [0, 4, 100, 300])
def test_a_truncated_file(model: Path, kept: int):
    model.write_bytes(model.read_bytes()[:kept])
    assert refused(model).startswith(f"{model} cannot be read as a .safetensors file: ")


def test_one_wrong_bit(model: Path):
    data = bytearray(model.read_bytes())
    data[-20] ^= 4
    model.write_bytes(data)
    assert refused(model) == f"{model} is damaged: its content is not what was saved; save or copy it again"


def test_a_pickle_is_not_opened(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    torch.save({"weight": torch.ones(2)}, path)
    assert refused(path).startswith(f"{path} cannot be read as a .safetensors file: ")
    path.write_bytes(pickle.dumps([1, 2]))
    assert refused(path).startswith(f"{path} cannot be read as a .safetensors file: ")


def test_someone_elses_safetensors(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"weight": torch.ones(2).numpy()}, path)
    assert refused(path) == f"{path} is a safetensors file, but not one that engine.save wrote"


def test_a_newer_form(model: Path):
    safetensors.numpy.save_file(safetensors.numpy.load_file(model), model, {"bitfront": "2 and more"})
    assert refused(model) == (
        f"{model} has the form 2, and this version of Bitfront reads forms up to 1: update Bitfront"
    )


def _shape(manifest: dict[str, Any]) -> None:
    manifest["weights"][0]["codes"]["shape"] = [10**9, 10**9]


def _hidden(manifest: dict[str, Any]) -> None:
    manifest["spec"]["model"]["hidden"] = 4096


def _at(manifest: dict[str, Any]) -> None:
    manifest["raw"][0]["segment"]["at"] = 10**6


def _format(manifest: dict[str, Any]) -> None:
    manifest["weights"][0]["format"] = "int99"


def _site(manifest: dict[str, Any]) -> None:
    manifest["sites"].pop()


def _more(manifest: dict[str, Any]) -> None:
    manifest["surprise"] = 1


def _scheme(manifest: dict[str, Any]) -> None:
    manifest["spec"]["scheme"] = "nonsense"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _shape,
            "{path} is damaged: its manifest names a tensor of shape [1000000000, 1000000000] in 544 bytes at 0, which "
            "the file does not hold",
        ),
        (_hidden, "{path} is damaged: for layers.0.bias the model has [4096], the file one of the shape [16]"),
        (
            _at,
            "{path} is damaged: the tensors that its manifest names do not lie one after the other",
        ),
        (_format, "{path} is damaged: its manifest and the scheme 'dq-int8' do not agree about 'layers.0.weight'"),
        (_site, "{path} is damaged: its manifest and the scheme 'dq-int8' do not agree about '1/update'"),
        (_more, "the manifest {manifest} cannot be read: surprise: Extra inputs are not permitted"),
        (
            _scheme,
            "the run in the manifest of {path} does not fit this version of Bitfront: unknown scheme 'nonsense'",
        ),
    ],
    ids=["shape", "another model", "place", "format", "a site is missing", "an unknown key", "scheme"],
)
def test_a_manifest_that_does_not_fit(model: Path, change: Callable[[dict[str, Any]], None], message: str):
    spoil(model, change)
    expected = message.format(path=model, manifest=model.with_suffix(".json"))
    assert refused(model).startswith(expected)


def test_a_recipe_file_is_not_run_unless_asked(settings: Settings, tmp_path: Path):
    recipe, mark = tmp_path / "mine.py", tmp_path / "ran"
    recipe.write_text(
        f"open({str(mark)!r}, 'a').write('x')\n"
        "from engine.formats import get_format\n"
        "from engine.scheme import Quantization, Rule, Scheme\n"
        "from engine.schemes import Recipe\n"
        "def build(part):\n"
        "    return Scheme((Rule('weight', Quantization(get_format('int4'))),)) if part.name == 'mine' else None\n"
        "ENTRIES = [Recipe('mine', 'mine', 'mine', ['mine'], ['mine'], build)]\n"
    )
    result = train(settings, f"{recipe}:mine", epochs=1)
    path = engine.save(result, tmp_path / "model.safetensors").model
    mark.unlink()
    recipe.touch()  # a changed file would run again
    assert refused(path) == (
        f"{path} was trained with the recipe file {recipe}, and loading it would run that file: "
        "if you trust it, load with recipes=True"
    )
    assert not mark.exists()
    assert engine.load(path, recipes=True, settings=settings).compare(result).share == 1.0


# Cora's own models: what a file weighs.
PAYLOAD_SCHEMES = ["fp32", "int8", "int4", "msfp13", "a2q"]


def test_a_file_weighs_what_its_codes_weigh(settings: Settings, tmp_path: Path, mirror: Path):
    """Bytes on disk within 2 % of Σ numel·bits/8 and metadata, above 10 kB; 4 times less at 8 bits, 8 times at 4."""
    sizes: dict[str, int] = {}
    for scheme in PAYLOAD_SCHEMES:
        result = train(settings, scheme, "gcn", epochs=1, dataset="cora")
        file = engine.save(result, tmp_path / f"{scheme}.safetensors")
        manifest = Manifest.model_validate_json(file.manifest.read_text())
        sizes[scheme] = file.model.stat().st_size
        expected = manifest.payload_bits / 8 + manifest.metadata_bytes
        assert sizes[scheme] > 10_000
        assert sizes[scheme] == pytest.approx(expected, rel=0.02), scheme
    assert sizes["fp32"] / sizes["int8"] == pytest.approx(4, rel=0.03)
    assert sizes["fp32"] / sizes["int4"] == pytest.approx(8, rel=0.04)
