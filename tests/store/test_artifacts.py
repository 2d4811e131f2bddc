"""Files of runs over HTTP: of three names, in their folder, whole, and from the attempt that has the run."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

import store.artifacts
from engine.errors import InputError
from engine.events import RunCancelled
from engine.settings import Settings
from store.artifacts import claimed_key, delete_files, lease_key
from store.client import StoreClient, StoreError
from tasks import keys
from tests.store.conftest import Service, Valkey
from tests.store.lives import event, queued, started


def model(content: bytes = b"1234") -> bytes:
    header = json.dumps({"packed": {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}})
    return len(header).to_bytes(8, "little") + header.encode() + content


def checkpoint() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", b"never read")
    return packed.getvalue()


CONTENT = {"model.safetensors": model(), "model.json": b"{}", "checkpoint.pt": checkpoint()}


def write(folder: Path, name: str, content: bytes | None = None) -> Path:
    path = folder / name
    path.write_bytes(CONTENT[name] if content is None else content)
    return path


def begin(service: Service, run: str, attempt: int = 1) -> None:
    service.client.post_events([queued(run), started(run, attempt)])


def refused(service: Service, run: str, path: Path, attempt: int = 1, lease: str = "") -> str:
    with pytest.raises(InputError) as caught:
        service.client.put_artifact(run, attempt, path, lease)
    return str(caught.value)


def test_the_names_in_redis_are_those_of_the_tasks() -> None:
    assert (lease_key("r"), claimed_key("r")) == (keys.lease("r"), keys.claimed("r"))


@pytest.mark.parametrize("name", CONTENT)
def test_a_file_comes_back_as_it_was_sent(shared_service: Service, run: str, tmp_path: Path, name: str) -> None:
    begin(shared_service, run)
    client = shared_service.client
    client.put_artifact(run, 1, write(tmp_path, name), "")
    assert (shared_service.settings.artifacts / run / "1" / name).read_bytes() == CONTENT[name]
    assert client.read_artifact(run, 1, name) == CONTENT[name]
    client.get_artifact(run, 1, name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT[name]
    assert client.artifacts(run) == [{"attempt": 1, "name": name, "bytes": len(CONTENT[name])}]


def test_the_newest_attempts_files_come_first(shared_service: Service, run: str, tmp_path: Path) -> None:
    begin(shared_service, run)
    shared_service.client.put_artifact(run, 1, write(tmp_path, "checkpoint.pt"), "")
    shared_service.client.post_events([started(run, 10)])
    shared_service.client.put_artifact(run, 10, write(tmp_path, "checkpoint.pt"), "")
    shared_service.client.put_artifact(run, 10, write(tmp_path, "model.json"), "")
    found = [(file["attempt"], file["name"]) for file in shared_service.client.artifacts(run)]
    assert found == [(10, "checkpoint.pt"), (10, "model.json"), (1, "checkpoint.pt")]


def test_writing_needs_the_token(shared_service: Service, run: str, tmp_path: Path) -> None:
    begin(shared_service, run)
    with StoreClient(shared_service.client.url) as stranger:
        with pytest.raises(StoreError) as caught:
            stranger.put_artifact(run, 1, write(tmp_path, "model.json"), "")
        assert str(caught.value) == "writing to the store needs its token: set BITFRONT_STORE_TOKEN"
        with pytest.raises(StoreError):
            stranger.clear_checkpoints(run, 1, "")


def test_a_file_of_another_form_is_refused_and_leaves_nothing(
    shared_service: Service, run: str, tmp_path: Path
) -> None:
    begin(shared_service, run)
    pickled = b"\x80\x04cposix\nsystem\n."
    assert refused(shared_service, run, write(tmp_path, "checkpoint.pt", pickled)) == "checkpoint.pt is no checkpoint"
    for content in (b"", pickled, b"\xff" * 64, (4).to_bytes(8, "little") + b"[]  "):
        path = write(tmp_path, "model.safetensors", content)
        assert refused(shared_service, run, path) == "model.safetensors is no safetensors file"
    for content in (b"", b"[1]", b"\xff", b"[" * 100_000):
        assert refused(shared_service, run, write(tmp_path, "model.json", content)) == "model.json is no JSON object"
    assert list((shared_service.settings.artifacts / run / "1").iterdir()) == []


def test_only_the_three_names_exist(shared_service: Service, run: str, tmp_path: Path) -> None:
    begin(shared_service, run)
    path = tmp_path / "store.token"
    path.write_text("mine")
    wrong = "'store.token' is no file of a run: there are model.safetensors, model.json, checkpoint.pt"
    assert refused(shared_service, run, path) == wrong
    headers = {"Authorization": f"Bearer {(shared_service.settings.home / 'store.token').read_text()}"}
    places = [("..", "1", "model.json"), (run, "..", "model.json"), (run, "1", "../../../store.token"), (".", "0", "x")]
    for parts in places:
        address = f"{shared_service.client.url}/artifacts/" + "/".join(quote(part, safe="") for part in parts)
        assert httpx.get(address).status_code in (404, 422)
        assert httpx.put(address, content=b"{}", headers=headers).status_code in (404, 405, 422)


def test_a_file_that_is_too_large_is_refused(shared_service: Service, run: str, tmp_path: Path) -> None:
    begin(shared_service, run)
    most = store.artifacts.KINDS["model.json"].most
    path = tmp_path / "model.json"
    with path.open("wb") as file:
        file.truncate(most + 1)
    assert refused(shared_service, run, path) == "model.json is larger than 64 MiB: the store keeps no such"
    assert list((shared_service.settings.artifacts / run / "1").iterdir()) == []


def test_an_unknown_run_and_one_that_is_over_keep_nothing(shared_service: Service, run: str, tmp_path: Path) -> None:
    path = write(tmp_path, "model.json")
    assert refused(shared_service, run, path) == f"there is no run {run!r}"
    begin(shared_service, run)
    shared_service.client.post_events([event(run, 1, 2, RunCancelled())])
    assert refused(shared_service, run, path) == f"the run {run!r} is cancelled: nothing more is written of it"


def test_a_replaced_attempt_writes_nothing_more(shared_service: Service, run: str, tmp_path: Path) -> None:
    """By what the store itself has heard: this one has no Redis."""
    begin(shared_service, run, attempt=2)
    wrong = f"attempt 2 has the run {run!r} since: attempt 1 writes nothing more"
    assert refused(shared_service, run, write(tmp_path, "checkpoint.pt")) == wrong
    assert shared_service.client.artifacts(run) == []


def test_the_lease_decides_where_redis_answers(streaming: Service, valkey: Valkey, run: str, tmp_path: Path) -> None:
    begin(streaming, run)
    path = write(tmp_path, "checkpoint.pt")
    redis = valkey.client()
    redis.set(keys.lease(run), "1:w:secret")
    redis.set(keys.claimed(run), 1)
    streaming.client.put_artifact(run, 1, path, "1:w:secret")
    wrong = f"another worker has the run {run!r}: give its lease in X-Bitfront-Lease"
    assert refused(streaming, run, path, lease="1:w:other") == wrong
    # A newer attempt was claimed; the store has not heard of it yet.
    redis.set(keys.lease(run), "2:v:secret")
    redis.set(keys.claimed(run), 2)
    wrong = f"attempt 2 has the run {run!r} since: attempt 1 writes nothing more"
    assert refused(streaming, run, path, lease="1:w:secret") == wrong
    with pytest.raises(InputError) as caught:
        streaming.client.clear_checkpoints(run, 1, "1:w:secret")
    assert str(caught.value) == wrong
    # An emptied Redis has no lease: what the store knows decides.
    redis.flushall()
    streaming.client.put_artifact(run, 1, path, "1:w:secret")
    redis.close()


def test_checkpoints_go_and_models_stay(shared_service: Service, run: str, tmp_path: Path) -> None:
    begin(shared_service, run)
    client = shared_service.client
    client.put_artifact(run, 1, write(tmp_path, "checkpoint.pt"), "")
    client.post_events([started(run, 2)])
    for name in ("checkpoint.pt", "model.json"):
        client.put_artifact(run, 2, write(tmp_path, name), "")
    client.post_events([event(run, 2, 2, RunCancelled())])
    assert client.clear_checkpoints(run, 2, "") == 2
    assert [(file["attempt"], file["name"]) for file in client.artifacts(run)] == [(2, "model.json")]
    assert sorted(path.name for path in (shared_service.settings.artifacts / run).iterdir()) == ["2"]


def test_a_half_taken_file_goes_at_the_next_start(service: Service, run: str) -> None:
    place = service.client.place()
    folder = service.settings.artifacts / run / "1"
    folder.mkdir(parents=True)
    (folder / ".model.json.0123.part").write_bytes(b"{")
    service.stop()
    service.start()
    assert list(folder.iterdir()) == []
    assert service.client.place() == place


def test_a_run_that_calls_itself_uploads_takes_none_with_it(settings: Settings) -> None:
    (settings.artifacts / "uploads" / "u1").mkdir(parents=True)
    (settings.artifacts / "run" / "1").mkdir(parents=True)
    delete_files(settings, "uploads")
    delete_files(settings, "run")
    assert [path.name for path in settings.artifacts.iterdir()] == ["uploads"]


def test_a_link_among_a_runs_files_is_not_followed(shared_service: Service, run: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    folder = shared_service.settings.artifacts / run / "1"
    folder.mkdir(parents=True)
    (folder / "model.json").symlink_to(secret)
    answer = httpx.get(f"{shared_service.client.url}/artifacts/{run}/1/model.json", trust_env=False)
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"attempt 1 of the run {run!r} has left no model.json"}
