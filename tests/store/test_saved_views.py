"""Saved views: kept, changed, forgotten, and brought back by a rebuild."""

from __future__ import annotations

import duckdb
import pytest
import structlog

from engine.errors import BitfrontError, InputError
from engine.settings import Settings
from store.reader import open_read_only
from store.rebuild import rebuild
from store.saved_views import NewView, ViewEdit, add_view, delete_view, edit_view
from tests.store.conftest import Service
from tests.store.tables import ask

NEW = NewView(title="Front of Cora", note="for the talk", page="compare", query="data=cora&log=true")


def test_a_view_is_kept_changed_and_forgotten(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    folder = settings.saved_views
    first = add_view(connection, folder, NEW)
    second = add_view(connection, folder, NewView(title=" Runs ", page="runs"))
    newest, oldest = ask(connection, "views")
    assert (newest["view"], newest["title"], newest["note"], newest["query"]) == (second, "Runs", None, "")
    assert {name: oldest[name] for name in NewView.model_fields} == NEW.model_dump()
    edit_view(connection, folder, first, ViewEdit(title="Front"))
    edit_view(connection, folder, second, ViewEdit(note="later"))
    edit_view(connection, folder, first, ViewEdit(note=None))
    found = {row["view"]: (row["title"], row["note"]) for row in ask(connection, "views")}
    assert found == {first: ("Front", None), second: ("Runs", "later")}
    assert [row["view"] for row in ask(connection, "views", text="front")] == [first]
    assert [row["view"] for row in ask(connection, "views", text="later")] == [second]
    assert [row["view"] for row in ask(connection, "views", limit=1)] == [second]
    delete_view(connection, folder, first)
    assert [row["view"] for row in ask(connection, "views")] == [second]
    assert [path.name for path in folder.iterdir()] == [f"{second}.json"]


def test_a_rebuild_brings_views_back_and_names_a_broken_file(
    connection: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    add_view(connection, settings.saved_views, NEW)
    want = ask(connection, "views")
    connection.close()
    (settings.saved_views / "broken.json").write_text("{")
    (kept,) = (path for path in settings.saved_views.glob("*.json") if path.name != "broken.json")
    (settings.saved_views / "copy of it.json").write_bytes(kept.read_bytes())
    with structlog.testing.capture_logs() as logs:
        rebuild(settings)
    with open_read_only(settings) as reader:
        assert reader.query("views").to_pylist() == want
    broken, copy = (settings.saved_views / name for name in ("broken.json", "copy of it.json"))
    assert [entry["event"] for entry in logs] == [
        f"the saved view {broken} cannot be read: ValidationError",
        f"the saved view {copy} is a copy of {kept.stem}: it is passed over",
    ]


def test_a_view_whose_file_cannot_be_written_is_not_kept(
    connection: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    settings.saved_views.write_text("in the way")
    with pytest.raises(BitfrontError) as failure:
        add_view(connection, settings.saved_views, NEW)
    assert str(failure.value) == f"the view cannot be kept in {settings.saved_views}: File exists"
    assert ask(connection, "views") == []


def test_views_go_through_the_store(shared_service: Service) -> None:
    client = shared_service.client
    view = client.add_view("Mine", "compare", "data=karate", "a note")
    client.edit_view(view, note=None)
    (row,) = client.query("views", views=view).to_pylist()
    assert (row["title"], row["note"], row["page"], row["query"]) == ("Mine", None, "compare", "data=karate")
    client.delete_view(view)
    assert client.query("views", views=view).num_rows == 0
    for act in (lambda: client.delete_view(view), lambda: client.edit_view(view, title="x")):
        with pytest.raises(InputError) as failure:
            act()
        assert str(failure.value) == f"there is no saved view {view!r}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"title": " ", "page": "compare"}, "title: String should have at least 1 character"),
        ({"title": "x", "page": "secrets"}, "page: Input should be 'compare', 'runs', 'launch', 'sweeps' or 'search'"),
        (
            {"title": "x", "page": "compare", "query": "a b"},
            "query: String should match pattern '^[!-~]*$'",
        ),
    ],
)
def test_a_view_that_does_not_fit_is_refused(shared_service: Service, given: dict, message: str) -> None:
    with pytest.raises(InputError) as failure:
        shared_service.client.add_view(**given)
    assert str(failure.value) == message


def test_a_title_cannot_be_taken_away(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    view = add_view(connection, settings.saved_views, NEW)
    with pytest.raises(InputError) as failure:
        edit_view(connection, settings.saved_views, view, ViewEdit(title=None))
    assert str(failure.value) == "a view needs a title: 1 to 200 characters"
