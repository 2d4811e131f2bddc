"""What strangers send to the store: whatever it is, the answer is a sentence, nothing is half done, and it goes on."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.events import new_run_id
from engine.own_data import uploads
from engine.own_data.uploads import keep_upload, uploads_folder
from engine.settings import Settings
from engine.spec import RunSpec
from store.access import ensure_tokens, read_token
from store.ingest import Received, apply_batch
from store.owner import StoreOwner
from store.service import create_app
from tests.engine.own_data.files import edge_table, node_table
from tests.store import lives
from tests.store.conftest import Service

NASTY = ["", "..", "../../etc/passwd", "\x00", "<script>alert(1)</script>", "'; DROP TABLE runs; --", "é" * 300]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "..", "../../etc/passwd", "\x00", "<script>alert(1)</script>", "'; DROP TABLE runs; --", "é" * 300]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

pieces = st.sampled_from(
    ["", "query", "runs", "run", "uploads", "files", "events", "backup", "health", "artifacts", "..", "%2e%2e", "%00",
     "run1", "u0123456789abcdef", "epochs", "1", "-1", "9" * 40, "model.json", "é", "'", "checkpoints", "docs"]
)  # fmt: skip


def _places(found: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [path, *(place for key, value in inner for place in _places(value, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> Any:
    """A JSON value of which one to three places are replaced, removed, or given a field that nobody knows."""
    found = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(_places(found)[1:]))
        parent = found
        for key in path:
            parent = parent[key]
        kind = draw(st.sampled_from(["replace", "remove", "add"]))
        if kind == "remove":
            del parent[last]
        elif kind == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = draw(values)
        else:
            parent[last] = draw(values)
        if len(_places(found)) < 2:
            break
    return found


def _well(service: Service) -> None:
    """The service goes on as before, and said nothing of an internal fault."""
    run = new_run_id()
    service.client.post_events(lives.finished(run))
    assert service.client.query("run", run=run).num_rows == 1
    assert "Traceback" not in (service.settings.home / "service.log").read_text()


def _is_polite(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert isinstance(answer.json()["detail"], str)
        assert "Traceback" not in answer.text


def _http(service: Service, *, with_token: bool = True) -> httpx.Client:
    headers = {"Authorization": f"Bearer {read_token(service.settings)}"} if with_token else {}
    return httpx.Client(base_url=service.client.url, headers=headers, trust_env=False, timeout=30)


def test_no_request_breaks_the_service(shared_service: Service) -> None:
    with _http(shared_service) as known, _http(shared_service, with_token=False) as stranger:

        @settings(max_examples=300)
        @given(
            st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]),
            st.lists(pieces, max_size=5),
            st.dictionaries(
                st.sampled_from(["run", "runs", "limit", "kind", "name", "after", "é"]), st.text(max_size=30)
            ),
            st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()),
            st.booleans(),
        )
        def ask(method: str, path: list[str], query: dict[str, str], body: bytes, token: bool) -> None:
            client = known if token else stranger
            if path[:1] == ["backup"]:
                client = stranger  # whoever has the token may name any new file
            answer = client.request(
                method, f"{client.base_url}".rstrip("/") + "/" + "/".join(path), params=query, content=body
            )
            if method == "HEAD":
                assert answer.status_code < 500
            else:
                _is_polite(answer)

        ask()
    _well(shared_service)


def test_no_event_breaks_the_service(shared_service: Service) -> None:
    """Each posted event is applied, dropped or put among the dead letters; none stops those that come after it."""
    client = _http(shared_service)

    @settings(max_examples=80)
    @given(st.data())
    def post(data: st.DataObject) -> None:
        run = new_run_id()
        history = [json.loads(envelope.to_json()) for envelope in lives.finished(run)]
        broken = data.draw(st.integers(0, len(history) - 1))
        history[broken] = data.draw(mutated(history[broken]))
        # httpx writes no NaN, and the service must read it all the same.
        answer = client.post("/events", content=json.dumps(history).encode())
        _is_polite(answer)
        assert sum(answer.json().values()) == len(history)
        rows = shared_service.client.query("epochs", runs=run).to_pylist()
        epochs = [row["epoch"] for row in rows]
        assert epochs == sorted(set(epochs))

    post()
    client.close()
    _well(shared_service)


DEEP = "[" * 100_000


@pytest.mark.parametrize("path", ["/events", "/query/runs", "/backup"])
def test_a_body_that_is_nested_without_end_is_refused(shared_service: Service, path: str) -> None:
    with _http(shared_service) as client:
        answer = client.post(path, content=DEEP, headers={"Content-Type": "application/json"})
    _is_polite(answer)
    assert answer.status_code in (400, 422)
    _well(shared_service)


def test_an_entry_of_the_stream_that_is_nested_without_end_is_a_dead_letter(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    bad = [Received(DEEP, "stream", "1-0"), Received('{"version":' + "9" * 5000 + "}", "stream", "2-0")]
    applied = apply_batch(connection, [*bad, *lives.received(lives.finished("run1"))])
    assert applied.dead == 2
    assert connection.execute("SELECT state FROM runs").fetchall() == [("finished",)]
    reasons = connection.execute("SELECT reason FROM dead_letters ORDER BY position").fetchall()
    assert reasons[0] == ("the event is nested too deep to be read",)


SPEC = json.loads(RunSpec.parse({"dataset": "karate", "model": "gat", "scheme": "dq-int4", "seed": 1}).to_json())


@settings(max_examples=300)
@given(mutated(SPEC))
def test_a_malformed_spec_is_refused_in_a_sentence(found: Any) -> None:
    with suppress(InputError):  # any other error fails the test
        spec = RunSpec.from_json(json.dumps(found))
        assert RunSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "1", '"x"', "{}" * 2, "[" * 100_000, '{"seed": 1e999}'])
def test_what_is_no_spec_at_all_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        RunSpec.from_json(text)


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _npz() -> bytes:
    packed = io.BytesIO()
    edges = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
    np.savez(packed, x=np.eye(4, dtype=np.float32), edge_index=edges, y=np.array([0, 1, 0, 1]))
    return packed.getvalue()


TABLES = {"nodes.csv": node_table().encode(), "edges.csv": edge_table().encode()}
WHOLE = {"tables": _zip(TABLES), "arrays": _zip({"graph.npz": _npz()}), "bare": _npz()}


def _keep(packed: bytes, home: Path) -> None:
    """Kept whole, or refused in a sentence with nothing left behind."""
    where = Settings(home=home)
    before = set(uploads_folder(where).glob("*"))
    kept = set()
    with suppress(InputError):  # any other error fails the test
        found = keep_upload(io.BytesIO(packed), "file", "mine", "classes", where)
        kept = {uploads_folder(where) / found.id}
        assert (uploads_folder(where) / found.id / "upload.json").is_file()
    assert set(uploads_folder(where).iterdir()) == before | kept


@pytest.mark.parametrize("kind", WHOLE)
def test_a_damaged_upload_is_kept_whole_or_refused(kind: str) -> None:
    whole = WHOLE[kind]
    with tempfile.TemporaryDirectory() as folder:

        @settings(max_examples=80)
        @given(
            st.integers(0, len(whole)),
            st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4),
        )
        def damage(end: int, flips: list[tuple[int, int]]) -> None:
            found = bytearray(whole)
            for place, byte in flips:
                found[place] = byte
            _keep(bytes(found[:end]) if not flips else bytes(found), Path(folder))

        damage()


@settings(max_examples=100)
@given(st.binary(max_size=200), st.sampled_from(["nodes.csv", "edges.csv"]))
def test_a_table_of_anything_is_refused(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _keep(_zip(TABLES | {name: content}), Path(folder))


@pytest.mark.parametrize(
    "name",
    ["../nodes.csv", "/etc/nodes.csv", "a/nodes.csv", "..\\nodes.csv", "C:nodes.csv", "nodes.csv\x00.py", ".nodes.csv",
     "nodes.py", "nodes.csv/", "-rf.csv", "x" * 200 + ".csv"],
)  # fmt: skip
def test_a_name_that_leaves_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    packed = _zip({"nodes.csvx": b""}) if "\x00" in name else _zip({name: b"id\n"})
    with pytest.raises(InputError, match="is not allowed: letters, digits"):
        keep_upload(io.BytesIO(packed), "file", "mine", "classes", Settings(home=tmp_path))
    assert list(uploads_folder(Settings(home=tmp_path)).iterdir()) == []


def test_a_link_in_an_upload_is_only_text(tmp_path: Path) -> None:
    """A symbolic link in a zip is a file with a mode; it is written as a file, never followed."""
    secret = tmp_path / "secret.csv"
    secret.write_text("the secret")
    link = zipfile.ZipInfo("nodes.csv")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, str(secret))
        archive.writestr("edges.csv", edge_table())
    with pytest.raises(InputError) as refusal:
        keep_upload(packed, "file", "mine", "classes", Settings(home=tmp_path / "home"))
    assert "the secret" not in str(refusal.value)


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("nodes.csv", "w") as file:
        for _ in range(201):
            file.write(bytes(2**20))
    assert len(packed.getvalue()) < 2**20
    with pytest.raises(InputError) as refusal:
        keep_upload(packed, "file", "mine", "classes", Settings(home=tmp_path))
    assert str(refusal.value) == (
        "the upload has 201 MiB: at most 200 MiB; train larger data by its path with `bitfront run`"
    )


def test_arrays_that_unpack_to_too_much_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An .npz is a zip of its own, so what an upload unpacks to may be packed once more."""
    monkeypatch.setattr(uploads, "LARGEST_ARRAYS", 2**20)
    inner = io.BytesIO()
    np.savez_compressed(inner, x=np.zeros((2**10, 2**9), dtype=np.float32))
    assert len(inner.getvalue()) < 2**14
    with pytest.raises(InputError) as refusal:
        keep_upload(io.BytesIO(_zip({"graph.npz": inner.getvalue()})), "file", "", "classes", Settings(home=tmp_path))
    assert str(refusal.value) == (
        "graph.npz is too large: 2 MiB unpacked, at most 1 MiB; train larger data by its path with `bitfront run`"
    )
    assert list(uploads_folder(Settings(home=tmp_path)).iterdir()) == []


def _crowd(name: str, entries: int) -> bytes:
    """A zip whose list names one and the same small file so often: 46 bytes and the name for each."""
    packed = _zip({name: b"id\n"})
    start = packed.index(b"PK\x01\x02")
    end = packed.index(b"PK\x05\x06")
    entry = packed[start:end]
    count = min(entries, 2**16 - 1)
    closing = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entry) * entries, start, 0)
    return packed[:start] + entry * entries + closing


CROWD = uploads.LARGEST_DIRECTORY // (46 + len("nodes.csv")) + 1


def test_a_list_of_more_files_than_may_be_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry costs its sender 55 bytes, and us a Python object."""
    made: list[str] = []
    plain = zipfile.ZipInfo.__init__
    monkeypatch.setattr(
        zipfile.ZipInfo, "__init__", lambda info, *given, **more: (made.append(""), plain(info, *given, **more))[1]
    )
    crowd = _crowd("nodes.csv", CROWD)
    made.clear()
    with pytest.raises(InputError) as refusal:
        keep_upload(io.BytesIO(crowd), "file", "mine", "classes", Settings(home=tmp_path))
    assert str(refusal.value) == "the upload lists too many files: at most 20000"
    assert made == []
    assert list(uploads_folder(Settings(home=tmp_path)).iterdir()) == []


def test_a_list_that_is_short_enough_is_read_and_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        keep_upload(io.BytesIO(_crowd("nodes.csv", 20_001)), "file", "mine", "classes", Settings(home=tmp_path))
    assert str(refusal.value) == "the upload has 20001 files: at most 20000"


def test_an_arrays_list_is_bounded_as_well(tmp_path: Path) -> None:
    packed = _zip({"graph.npz": _crowd("nodes.csv", CROWD)})
    with pytest.raises(InputError) as refusal:
        keep_upload(io.BytesIO(packed), "file", "mine", "classes", Settings(home=tmp_path))
    assert str(refusal.value) == "graph.npz lists too many files: at most 20000"


def test_a_fault_of_the_stores_own_is_one_sentence_and_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = StoreOwner(Settings(home=tmp_path))
    try:
        api = create_app(owner, ensure_tokens(owner.settings))

        def broken(*_: object) -> None:
            raise RuntimeError("the secret of the table")

        monkeypatch.setattr(owner, "query", broken)

        async def ask() -> list[httpx.Response]:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
                return [await client.get("/health"), await client.get("/query/runs"), await client.get("/alive")]

        # In a thread of its own: a test of the browser may have left a loop running in this one.
        with structlog.testing.capture_logs() as logged, ThreadPoolExecutor(1) as pool:
            *faulty, alive = pool.submit(asyncio.run, ask()).result()
    finally:
        owner.close()
    for answer in faulty:
        assert (answer.status_code, answer.json()) == (
            500,
            {"detail": "the store met a fault of its own: whoever runs it finds the cause in its log"},
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert alive.status_code == 200
    event = {"event": "a request could not be answered", "log_level": "error", "exc_info": True, "method": "GET"}
    assert logged == [event | {"path": path} for path in ("/health", "/query/runs")]
