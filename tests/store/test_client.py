"""The client: where it finds its store, and what it says when there is none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pyarrow as pa
import pytest

from engine.errors import InputError
from engine.settings import Settings
from store.client import StoreClient, StoreUnavailable, connect
from tests.store import lives
from tests.store.conftest import Service


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_without_a_store_it_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(StoreUnavailable) as failure:
        connect(settings)
    assert str(failure.value) == "no store is running on this home: start it with `bitfront up`"


def test_a_store_that_does_not_answer_is_one_sentence(settings: Settings) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(StoreUnavailable) as failure:
        connect(settings.model_copy(update={"store_url": url}))
    assert str(failure.value) == f"the store does not answer at {url}: start it with `bitfront up`"


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("127.0.0.1:8000", "http://["):
        with pytest.raises(InputError) as failure:
            StoreClient(url)
        assert str(failure.value) == f"{url!r} is not the address of a store, such as http://127.0.0.1:8000"


def test_it_finds_the_store_and_the_token_of_the_home(service: Service, settings: Settings) -> None:
    settings.endpoints.parent.mkdir(parents=True, exist_ok=True)
    settings.endpoints.write_text(json.dumps({"store": service.client.url}))
    with connect(settings) as client:
        assert client.post_events([lives.queued("run1")]) == 1


def test_it_outlives_a_restart_of_its_store(service: Service) -> None:
    port = service.client.url.rpartition(":")[2]
    with StoreClient(service.client.url) as client:
        client.query("counts")
        service.stop()
        with pytest.raises(StoreUnavailable):
            client.query("counts")
        service.start("--port", port)
        assert client.query("counts").num_rows == 0


def test_a_query_is_an_arrow_table_with_typed_columns(shared_service: Service, run: str) -> None:
    shared_service.client.post_events([lives.queued(run)])
    table = shared_service.client.query("runs", runs=run, states=["queued", "running"], limit=None)
    assert table.schema.field("submitted_at").type == pa.timestamp("us", tz="UTC")
    assert (table["run"].to_pylist(), table["tags"].to_pylist()) == ([run], [[]])


def test_an_empty_answer_has_its_columns(shared_service: Service) -> None:
    assert shared_service.client.query("epochs", runs="none").column_names[:2] == ["run", "epoch"]


def test_a_list_too_long_for_an_address_is_asked_all_the_same(shared_service: Service, run: str) -> None:
    shared_service.client.post_events([lives.queued(run)])
    names = [f"missing{number:06d}" for number in range(20_000)]
    assert shared_service.client.query("runs", runs=[*names, run])["run"].to_pylist() == [run]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("runz", {}, "unknown query 'runz': did you mean run or runs? Allowed: alike, artifacts, attempts, "),
        ("runs", {"limit": "many"}, "limit = 'many' is not allowed: it should be a whole number"),
        ("runs", {"limit": -1}, "limit = -1 is not allowed: it should be from 0 to 1000000"),
        ("runs", {"offset": -1}, "offset = -1 is not allowed: it should be at least 0"),
        (
            "epochs",
            {"runs": "a", "after": 2**63},
            "after = 9223372036854775808 is not allowed: it should be from 0 to 9223372036854775807",
        ),
        (
            "runs",
            {"states": ["queued", "done"]},
            "states = 'done' is not allowed: "
            "it should be one of queued, running, cancelling, finished, failed, cancelled",
        ),
        ("run", {}, "the query 'run' needs the parameter 'run': run id"),
        ("counts", {"x": 1}, "the query 'counts' takes no parameters, 'x' was given"),
        (
            "epochs",
            {"run": "a"},
            "unknown parameter 'run': did you mean runs? Allowed: runs, after",
        ),
    ],
)
def test_what_is_asked_wrongly_is_said(shared_service: Service, name: str, parameters: dict, message: str) -> None:
    with pytest.raises(InputError) as failure:
        shared_service.client.query(name, **parameters)
    assert str(failure.value).startswith(message)


def test_it_needs_neither_duckdb_nor_torch() -> None:
    code = "import sys, store.client; print(sorted({'duckdb', '_duckdb', 'torch', 'fastapi'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_the_service_needs_no_torch() -> None:
    code = "import sys, store.service; print(sorted({'torch', 'streamlit', 'celery'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
