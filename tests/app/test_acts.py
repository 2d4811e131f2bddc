"""Each act asks for the role, whatever the page has drawn."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isfunction

import pytest

from app import acts, connection, visitor
from app.acts import NotAllowed
from engine.settings import Settings
from engine.sweep import expand
from tests.tasks.stack import karate

ACTS: dict[str, Callable[[], object]] = {
    "launch": lambda: acts.launch([karate()], priority=5, sweep=None),
    "launch sweep": lambda: acts.launch_sweep(expand({"spec": {"dataset": "karate", "model": "gcn"}})),
    "go on with sweep": lambda: acts.go_on_with_sweep(expand({"spec": {"dataset": "karate", "model": "gcn"}}), "a@0"),
    "cancel sweep": lambda: acts.cancel_sweep("mine@0"),
    "cancel": lambda: acts.cancel(["run1"]),
    "cancel all": acts.cancel_all,
    "resume": lambda: acts.resume({"run1": 1}),
    "measure": lambda: acts.measure("run1"),
    "cancel search": lambda: acts.cancel_search("search1"),
    "edit run": lambda: acts.edit_run("run1", name="mine"),
    "save view": lambda: acts.save_view("Mine", "compare", ""),
    "edit view": lambda: acts.edit_view("view1", title="Yours"),
    "delete view": lambda: acts.delete_view("view1"),
    "upload": lambda: acts.upload({"nodes.csv": b""}, "file", "", "classes"),
}


def test_every_act_is_tried() -> None:
    asks = ("role", "may_change", "why_not")
    public = {name for name, each in vars(acts).items() if isfunction(each) and each.__module__ == acts.__name__}
    assert {act.replace(" ", "_") for act in ACTS} == {name for name in public if name[0] != "_"} - set(asks)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("changes", "claims", "sentence"),
    [
        ({"auth": "readonly"}, {}, "this Bitfront is read-only: nothing can be changed here"),
        (
            {"auth": "oidc", "viewers": "vera@example.org"},
            {"is_logged_in": True, "email": "vera@example.org"},
            "you may look and share, not change: ask whoever runs this Bitfront to put you on the list of runners",
        ),
        (
            {"auth": "oidc", "runners": "ada@example.org"},
            {},
            "you may look and share, not change: ask whoever runs this Bitfront to put you on the list of runners",
        ),
    ],
)
def test_who_may_not_is_refused(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    changes: dict[str, str],
    claims: dict[str, object],
    sentence: str,
) -> None:
    found = settings.model_copy(update=changes)
    monkeypatch.setattr(connection, "settings", lambda: found)
    monkeypatch.setattr(visitor, "claims", lambda: claims)
    assert acts.why_not() == sentence
    with pytest.raises(NotAllowed) as refusal:
        ACTS[act]()
    assert str(refusal.value) == sentence


def test_who_may_goes_on_to_the_queue(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "settings", lambda: settings)
    monkeypatch.setattr(visitor, "claims", dict)
    assert acts.why_not() is None
    with pytest.raises(acts.submit.QueueUnavailable, match="no queue is running for this home"):
        ACTS["cancel"]()
