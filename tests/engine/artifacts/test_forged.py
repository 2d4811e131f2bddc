"""A manifest that somebody changed, and signed anew: refused in one sentence, or the same model as before."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import engine
from engine.artifacts.exported import Exported
from engine.errors import BitfrontError, InputError
from engine.settings import Settings
from tests.engine.artifacts.models import train

SCHEMES = ["dq-int8", "a2q", "sdq[int4,int8]+sr"]
FREE = {
    *("made_by", "metric", "unit", "val_best", "test_at_best_val", "densities", "figures", "ledger", "provenance"),
    *("licence", "why"),
}
"""What people read, and nothing is built from."""
HUGE = st.sampled_from([2**53, 2**63, 10**30, -1, 0, 1])
TEXT = st.sampled_from(["", "int9" + "9" * 5000, "int3", "fp32", "msfp13", "row", "weight", "../x", "uint8", "١"])
LEAVES = st.one_of(st.none(), st.booleans(), HUGE, TEXT, st.floats(), st.just([]), st.just({}), st.just([[]] * 3))


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every part of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, part in items for way in ((*before, key), *places(part, (*before, key)))]


class Original:
    """A saved model, its manifest, and what it says."""

    def __init__(self, scheme: str, folder: Path) -> None:
        home = Settings(home=folder / "home")
        self.path = engine.save(train(home, scheme, epochs=1), folder / "model.safetensors").model
        self.manifest = json.loads(self.path.with_suffix(".json").read_text())
        self.tensors = safetensors.numpy.load_file(self.path)
        self.settings = home
        self.said = self.load().scores()
        self.formats = sorted(map(str, self.load().live.formats()))

    def load(self) -> Exported:
        return engine.load(self.path, settings=self.settings)

    def load_or_reason(self) -> Exported | str:
        """The model, or why it is refused."""
        try:
            return self.load()
        except InputError as error:
            return str(error)

    def sign(self, manifest: Any) -> None:
        """Write a manifest, and the header that names it, as someone would who knows the form."""
        text = json.dumps(manifest).encode()
        self.path.with_suffix(".json").write_bytes(text)
        mark = f"1 {hashlib.sha256(text).hexdigest()}"
        safetensors.numpy.save_file(self.tensors, self.path, {"bitfront": mark})


@pytest.fixture(scope="module", params=SCHEMES)
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original(request.param, tmp_path_factory.mktemp("forged"))


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_every_mutation_is_refused_in_a_sentence_or_changes_no_format(original: Original, data: st.DataObject):
    manifest = copy.deepcopy(original.manifest)
    ways = [way for way in places(manifest) if way[0] not in FREE or len(way) == 1]
    way = data.draw(st.sampled_from(ways))
    holder = manifest
    for key in way[:-1]:
        holder = holder[key]
    how = data.draw(st.sampled_from(["leave out", "put", "twice"]))
    if how == "leave out":
        del holder[way[-1]]
    elif how == "twice" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[way[-1]]))
    else:
        holder[way[-1]] = data.draw(LEAVES)
    original.sign(manifest)
    found = original.load_or_reason()
    if isinstance(found, str):
        assert found
        assert "\n" not in found
        return
    assert sorted(map(str, found.live.formats())) == original.formats, way
    try:
        scores = found.scores()
    except BitfrontError:
        return
    assert bool(torch.isfinite(scores).all()), way
    if way[0] not in ("sites", "spec", "size"):  # an end of a range, the seed: another model, and a whole one
        assert torch.equal(scores, original.said), way


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_wrong_byte_of_the_file_is_refused_in_a_sentence(original: Original, data: st.DataObject):
    original.sign(original.manifest)
    whole = original.path.read_bytes()
    at = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(whole) - 1)))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    original.path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
    with pytest.raises(InputError):
        original.load()


def refused(original: Original, change: Any) -> str:
    manifest = copy.deepcopy(original.manifest)
    change(manifest)
    original.sign(manifest)
    with pytest.raises(InputError) as error:
        original.load()
    return str(error.value).removeprefix(f"{original.path} is damaged: ").removesuffix("; save or copy it again")


@pytest.mark.parametrize("original", ["dq-int8"], indirect=True)
def test_a_format_that_the_scheme_has_not(original: Original):
    def wide(manifest: Any) -> None:
        manifest["sites"][0]["formats"] = ["int16"]

    def endless(manifest: Any) -> None:
        manifest["spec"]["scheme"] = "int" + "9" * 5000

    assert refused(original, wide) == "its manifest and the scheme 'dq-int8' do not agree about '0/input'"
    assert "the scheme has 5003 characters: at most 4000 are allowed" in refused(original, endless)


@pytest.mark.parametrize("original", ["dq-int8"], indirect=True)
def test_a_scheme_that_is_switched_off(original: Original):
    def off(manifest: Any) -> None:
        manifest["quantized"] = False

    assert refused(original, off) == "the scheme 'dq-int8' is not as its manifest says at epoch 1"


@pytest.mark.parametrize("original", ["dq-int8"], indirect=True)
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"low": 1.0, "high": -1.0}, "low and high are no range"),
        ({"low": math.inf, "high": math.inf}, "low and high are no range"),
        ({"low": None, "high": 1.0}, "low and high are no range"),
        ({"low": 0.0}, "it holds low"),
        ({}, "it holds nothing"),
        ({"step": 1.0}, "it holds step"),
    ],
)
def test_the_state_of_another_quantizer(original: Original, state: dict[str, Any], message: str):
    def other(manifest: Any) -> None:
        manifest["sites"][1]["state"] = state

    key = original.manifest["sites"][1]["key"]
    assert refused(original, other) == f"the state of {key!r} does not fit: {message}"


@pytest.mark.parametrize("original", ["a2q"], indirect=True)
def test_more_nodes_than_the_file_has_bits_for(original: Original):
    def many(manifest: Any) -> None:
        manifest["size"]["nodes"] = 2**50

    assert refused(original, many).startswith("the state of '0/input' does not fit: the steps are not finite numbers")
