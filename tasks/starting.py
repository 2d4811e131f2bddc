"""The model that a run starts from, fetched from the store by its content, before the run begins."""

from __future__ import annotations

import time

from engine.artifacts import MANIFEST
from engine.errors import RunError
from engine.settings import Settings
from engine.spec import RunSpec
from engine.starting import start_file
from store.client import StoreUnavailable, connect

PATIENCE_SECONDS = 60.0
"""How long a store that does not answer is waited for: it may be on its way up again."""


def provide_start(settings: Settings, spec: RunSpec) -> None:
    """Have the model of ``training.start_from``, if any, where the engine looks for it.

    Raises RunError where no run has left it, StoreUnavailable where the store does not answer for a minute.
    """
    content = spec.training.start_from
    if not content or start_file(content, settings).exists():
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            _fetch(settings, content)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def _fetch(settings: Settings, content: str) -> None:
    target = start_file(content, settings)
    with connect(settings) as store:
        found = store.query("models", content=content).to_pylist()
        if not found:
            raise RunError(
                f"no run has left the model that training.start_from names ({content[:12]}…): train it first"
            )
        settings.models.mkdir(parents=True, exist_ok=True)
        run, attempt, name = found[0]["run"], found[0]["attempt"], found[0]["name"]
        store.get_artifact(run, attempt, MANIFEST, target.with_suffix(".json"))
        store.get_artifact(run, attempt, name, target)  # last: who sees it sees both
