"""Uploads through the service: checked before the answer, kept over a restart, fetched by other machines."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import httpx
import pytest

from engine.errors import InputError, RunError
from engine.own_data.uploads import locate, uploads_folder
from engine.settings import Settings
from store.client import StoreClient, StoreError
from tests.engine.own_data.files import edge_table, node_table
from tests.store.conftest import Service

FILES = {"nodes.csv": node_table().encode(), "edges.csv": edge_table().encode()}


def test_an_upload_is_answered_with_what_it_is_and_stays(service: Service, settings: Settings) -> None:
    found = service.client.upload(FILES, "file", "mine")
    assert (found["nodes"], found["edges"], found["name"]) == (12, 12, "mine")
    assert found["dataset"] == f"file(upload={found['id']})"
    assert (uploads_folder(settings) / found["id"] / "files" / "nodes.csv").read_bytes() == FILES["nodes.csv"]
    service.stop()
    assert service.start().uploads() == [found]


def test_a_faulty_upload_is_refused_with_its_row(service: Service, settings: Settings) -> None:
    with pytest.raises(InputError) as caught:
        service.client.upload({**FILES, "edges.csv": b"source,target\nn0,n1\nn0,n99\n"}, "file")
    assert str(caught.value) == "edges.csv, line 3: the target 'n99' is no node of nodes.csv"
    with pytest.raises(InputError) as caught:
        service.client.upload({"../nodes.csv": b""}, "file")
    assert str(caught.value).startswith("the file name '../nodes.csv' is not allowed: ")
    assert service.client.uploads() == []
    assert list(uploads_folder(settings).iterdir()) == []


def test_a_kind_that_is_none_is_refused(service: Service) -> None:
    with pytest.raises(InputError) as caught:
        service.client.upload(FILES, "files")
    assert str(caught.value) == "query.kind: Input should be 'file' or 'folder'"


def test_uploading_needs_the_token(service: Service) -> None:
    with StoreClient(service.client.url) as stranger, pytest.raises(StoreError) as caught:
        stranger.upload(FILES, "file")
    assert str(caught.value) == "writing to the store needs its token: set BITFRONT_STORE_TOKEN"


def test_a_worker_on_another_machine_fetches_the_files_once(service: Service, tmp_path: Path) -> None:
    upload = service.client.upload(FILES, "file")["id"]
    elsewhere = Settings(home=tmp_path / "elsewhere", store_url=service.client.url)
    copy = locate(upload, elsewhere)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == FILES
    service.stop()
    assert locate(upload, elsewhere) == copy


def test_an_upload_that_the_store_has_not_is_named(service: Service, tmp_path: Path) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere", store_url=service.client.url)
    with pytest.raises(RunError) as caught:
        locate("u0123456789abcdef", elsewhere)
    assert str(caught.value) == ("the store has no upload u0123456789abcdef (status 422): upload the files again")
    answer = httpx.get(f"{service.client.url}/uploads/..%2f..%2fstore.token/files")
    assert answer.status_code in (404, 422)


def test_the_files_come_back_as_they_were(service: Service) -> None:
    upload = service.client.upload(FILES, "file")["id"]
    answer = httpx.get(f"{service.client.url}/uploads/{upload}/files")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
