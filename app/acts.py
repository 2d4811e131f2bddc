"""What a visitor changes, each act only for those who may: the pages' one way to launch, cancel, measure and upload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app import connection, visitor
from app.roles import role_of
from engine.errors import BitfrontError
from engine.spec import RunSpec
from engine.sweep import Sweep
from store.access import Role
from store.client import StoreUnavailable
from tasks import submit, sweeps
from tasks.sweeps import Launched

WHY = {
    "readonly": "this Bitfront is read-only: nothing can be changed here",
    "oidc": "you may look and share, not change: ask whoever runs this Bitfront to put you on the list of runners",
}


class NotAllowed(BitfrontError):  # noqa: N818 - an answer, as people read it
    """The visitor's role does not allow it."""


def role() -> Role:
    """What the visitor of this page may do."""
    return role_of(connection.settings(), visitor.claims())


def may_change() -> bool:
    """Whether the visitor may launch, cancel, measure, upload and edit."""
    return role() is Role.RUNNER


def why_not() -> str | None:
    """Why the visitor may change nothing, in a sentence; None where they may."""
    return None if may_change() else WHY[connection.settings().auth]


def launch(
    specs: Sequence[RunSpec], *, priority: int = 5, sweep: str | None = None, parent: str | None = None
) -> list[str]:
    """Launch all the runs or none; gives their ids. Raises NotAllowed, and what ``tasks.submit.submit`` raises."""
    _check()
    return submit.submit(connection.settings(), specs, priority=priority, sweep=sweep, parent=parent)


def launch_sweep(sweep: Sweep, *, again: bool = False, parent: str | None = None) -> Launched:
    """Launch what is missing of a sweep, all of it or nothing; where the store does not say what is there, all of it
    that the budget allows.

    Raises NotAllowed, and what ``tasks.sweeps.launch`` raises.
    """
    _check()
    try:
        return sweeps.launch(connection.settings(), sweep, again=again, parent=parent)
    except StoreUnavailable:
        return sweeps.launch(connection.settings(), sweep, again=True, parent=parent)


def go_on_with_sweep(sweep: Sweep, launched_as: str) -> Launched:
    """Have what failed, was cancelled or is missing of a sweep go on. Raises NotAllowed, and what
    ``tasks.sweeps.go_on`` raises: nothing goes on where the store does not say what is there."""
    _check()
    return sweeps.go_on(connection.settings(), sweep, launched_as)


def cancel_sweep(sweep: str) -> int:
    """Ask to cancel what a sweep has launched; gives how many runs. Raises NotAllowed, InputError, QueueUnavailable,
    StoreUnavailable."""
    _check()
    return sweeps.cancel(connection.settings(), sweep)


def cancel_search(search: str) -> None:
    """Ask to end a search and to cancel its runs. Raises NotAllowed, QueueUnavailable, StoreUnavailable."""
    _check()
    submit.cancel_search(connection.settings(), search)


def cancel(runs: Sequence[str]) -> None:
    """Ask to cancel runs. Raises NotAllowed, QueueUnavailable."""
    _check()
    submit.cancel(connection.settings(), runs)


def cancel_all() -> int:
    """Ask to cancel whatever is queued or running; gives how many runs. Raises NotAllowed, QueueUnavailable,
    StoreUnavailable."""
    _check()
    return submit.cancel_all(connection.settings())


def resume(runs: Mapping[str, int]) -> None:
    """Have cancelled or failed runs go on, each with its newest attempt. Raises NotAllowed, QueueUnavailable."""
    _check()
    submit.resume(connection.settings(), runs)


def measure(*runs: str) -> None:
    """Ask the workers to measure runs. Raises NotAllowed, QueueUnavailable."""
    _check()
    submit.measure(connection.settings(), *runs)


def upload(files: Mapping[str, bytes], kind: str, name: str, labels: str) -> dict[str, Any]:
    """Have the store check and keep a dataset's files. Raises NotAllowed, InputError with the row, StoreUnavailable."""
    _check()
    return connection.upload(files, kind, name, labels)


def edit_run(run: str, **changes: Any) -> None:
    """Change a run's name, tags or notes. Raises NotAllowed, InputError, StoreUnavailable."""
    _check()
    connection.edit_run(run, **changes)


def save_view(title: str, page: str, query: str, note: str | None = None) -> str:
    """Keep a view of a page; its id. Raises NotAllowed, InputError, StoreUnavailable."""
    _check()
    return connection.add_view(title, page, query, note)


def edit_view(view: str, **changes: Any) -> None:
    """Change a saved view's title or note. Raises NotAllowed, InputError, StoreUnavailable."""
    _check()
    connection.edit_view(view, **changes)


def delete_view(view: str) -> None:
    """Forget a saved view. Raises NotAllowed, InputError, StoreUnavailable."""
    _check()
    connection.delete_view(view)


def _check() -> None:
    if why := why_not():
        raise NotAllowed(why)
