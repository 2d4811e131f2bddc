"""Launch a sweep, all of it in one write; what is there already is not trained again. Cancel a sweep as a whole.

A sweep's id follows from its name and its runs (engine.sweep.Sweep.id), so that launching the same file again is the
same sweep: what has finished or goes on stays, what was cancelled or has failed goes on from its last checkpoint, and
only what is missing is launched. A run counts as there where its whole spec and the code that trained it are the same,
whoever launched it. Which run stands for which cell is said with the launch and kept by the store. Going on with a
sweep is less: what stands for a cell and has finished stays, whatever code trained it.

Imported by the dashboard and the command line, so neither Celery nor torch is needed here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from engine.code_version import code_version
from engine.errors import InputError
from engine.events import Envelope, SweepCell, SweepLaunched
from engine.settings import Settings
from engine.spec import RunSpec
from engine.sweep import Sweep
from store.client import StoreUnavailable, connect
from tasks import submit

Query = Callable[..., pa.Table]
Act = Literal["keep", "resume", "launch", "leave out"]
GOING = ("queued", "running")
ENDED_EARLY = ("cancelled", "failed")
UNDONE = (*ENDED_EARLY, "missing")
LAUNCH_SECONDS = 60
"""How long a launch keeps others of the same sweep out at most, should it never say that it is done."""


@dataclass(frozen=True)
class Decided:
    """What a launch would do with one cell."""

    spec: RunSpec
    hash: str
    act: Act
    run: str | None = None
    """The run that stands for the cell already (keep, resume)."""
    state: str = "missing"
    """Of that run."""
    attempt: int = 0
    own: bool = False
    """Whether this sweep launched the run before."""


@dataclass(frozen=True)
class Launched:
    """What a launch did: the run of each cell, in the order of service (None: left out), and how many of each kind."""

    sweep: str
    runs: tuple[str | None, ...]
    launched: int
    resumed: int
    finished: int
    """Cells whose run was finished already."""
    going: int
    """Cells whose run was queued or running already."""
    left_out: int
    """Cells that the budget does not allow."""
    measured: tuple[str, ...] = field(default=())
    """The runs that are asked to be measured."""


def decide(query: Query, sweep: Sweep, *, again: bool = False, going_on: bool = False) -> list[Decided]:
    """What launching would do with each cell, in the order of service; nothing is written.

    ``query``: the store's named queries; ``again``: as if nothing were there; ``going_on``: only with what has failed,
    was cancelled or is missing.
    """
    rows = query("alike", groups=[cell.group for cell in sweep.cells]).to_pylist()
    best: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for row in () if again else rows:
        rank = _rank(row)
        if rank is not None and (row["hash"] not in best or rank < best[row["hash"]][0]):
            best[row["hash"]] = rank, row
    cells = query("sweep_cells", sweep=sweep.id).to_pylist()
    ours = {row["run"] for row in cells if row["own"]}
    standing = {row["hash"]: row for row in cells} if going_on else {}
    room = None
    if sweep.budget.runs is not None:
        room = sweep.budget.runs - sum(row["sweep"] == sweep.id for row in rows)
    decided: list[Decided] = []
    for spec, hash in zip(sweep.runs, sweep.hashes, strict=True):
        cell = standing.get(hash)
        if cell is not None and cell["state"] not in UNDONE:
            decided.append(Decided(spec, hash, "keep", cell["run"], cell["state"], cell["attempt"], cell["own"]))
        elif cell is not None and _goes_on(cell) and (hash not in best or best[hash][0] == 2):
            decided.append(Decided(spec, hash, "resume", cell["run"], cell["state"], cell["attempt"], cell["own"]))
        elif hash in best:
            rank, row = best[hash]
            own = row["run"] in ours or row["sweep"] == sweep.id
            act: Act = "keep" if rank < 2 else "resume"
            decided.append(Decided(spec, hash, act, row["run"], row["state"], row["attempt"], own))
        elif room is None or room > 0:
            decided.append(Decided(spec, hash, "launch"))
            room = None if room is None else room - 1
        else:
            decided.append(Decided(spec, hash, "leave out"))
    return decided


def _rank(row: Mapping[str, Any]) -> int | None:
    """How good a run is for a cell: 0 finished, 1 goes on, 2 can go on; None: it does not stand for it."""
    begun, ours = row["attempt"] > 0, row["code"] == code_version()
    if row["state"] == "finished":
        return 0 if ours else None
    # One that nobody trains yet will be trained by this code; one that trains elsewhere is nobody's to wait for.
    if row["origin"] != "queue" or (begun and not ours):
        return None
    return 1 if row["state"] in GOING else 2 if row["state"] in ENDED_EARLY else None


def _goes_on(cell: Mapping[str, Any]) -> bool:
    """Whether the run of a cell can be taken up again, whatever code began it: as `bitfront resume RUN` does."""
    return cell["state"] in ENDED_EARLY and cell["origin"] == "queue"


def launch(settings: Settings, sweep: Sweep, *, again: bool = False, parent: str | None = None) -> Launched:
    """Launch what is missing of a sweep, all of it or nothing, and have the store know its whole grid.

    ``again``: train all of it, whatever is there. ``parent``: the run that new ones were cloned from. Raises
    StoreUnavailable where nobody can say what is there (but for ``again``), QueueUnavailable, NotNow where the store is
    behind or the sweep is being launched by somebody else, and InputError where the budget's hours are spent, or where
    ``tasks.submit.submit`` does.
    """
    with _alone(settings, sweep):
        return _launch(settings, sweep, *_look(settings, sweep, again=again), parent)


def go_on(settings: Settings, sweep: Sweep, launched_as: str) -> Launched:
    """Have those cells of a sweep go on that have failed, were cancelled or are missing; the others stay as they are.

    ``launched_as``: the id of the sweep that is meant. Raises InputError where the table gives other runs by now, and
    what ``launch`` raises.
    """
    if sweep.id != launched_as:
        raise InputError(
            f"the runs of {launched_as} would be others by now ({sweep.id}), so it cannot go on: launch its file again"
        )
    with _alone(settings, sweep):
        return _launch(settings, sweep, *_look(settings, sweep, going_on=True), None)


def _alone(settings: Settings, sweep: Sweep) -> AbstractContextManager[None]:
    busy = f"somebody else is launching the sweep {sweep.id} right now: nothing was launched; try again in a moment"
    return submit.alone(settings, f"launch:{sweep.id}", LAUNCH_SECONDS, busy, "launched")


def _launch(
    settings: Settings, sweep: Sweep, decided: Sequence[Decided], measured: set[str], parent: str | None
) -> Launched:
    new = [one for one in decided if one.act == "launch"]
    resumed = {one.run: one.attempt for one in decided if one.act == "resume" and one.run is not None}
    if new:
        submit.check_room(settings, len(new) + len(resumed))
    specs = [one.spec for one in new]
    envelopes = submit.queued(specs, [sweep.priority_of(spec) for spec in specs], sweep.id, parent)
    runs = _runs(decided, [envelope.run for envelope in envelopes])
    cells = [_cell(one, run) for one, run in zip(decided, runs, strict=True)]
    body = SweepLaunched(
        sweep=sweep.id,
        name=sweep.name,
        table=dict(sweep.table),
        cells=cells,
        most_runs=sweep.budget.runs,
        most_hours=sweep.budget.hours,
    )

    def fill(pipe: Any) -> None:
        submit.say(pipe, [Envelope(run="", at=time.time(), body=body)])
        submit.say_resumed(pipe, resumed)
        submit.say(pipe, envelopes)

    submit.write(settings, fill, "launched")
    to_measure = {spec.hash for spec in sweep.measured}
    asked = tuple(
        run for one, run in zip(decided, runs, strict=True) if run and one.hash in to_measure and run not in measured
    )
    submit.measure(settings, *asked)
    kept = [one.state for one in decided if one.act == "keep"]
    return Launched(
        sweep=sweep.id,
        runs=tuple(runs),
        launched=len(new),
        resumed=len(resumed),
        finished=kept.count("finished"),
        going=len(kept) - kept.count("finished"),
        left_out=sum(one.act == "leave out" for one in decided),
        measured=asked,
    )


def _look(
    settings: Settings, sweep: Sweep, *, again: bool = False, going_on: bool = False
) -> tuple[list[Decided], set[str]]:
    """What is to be done with each cell, and the runs among them that were measured."""
    try:
        with connect(settings) as store:
            if not submit.catch_up(settings, store, "launched"):
                raise submit.NotNow(
                    "the store has not heard yet of all that happened, so nobody can say what is there: "
                    "nothing was launched; try again in a moment"
                )
            decided = decide(store.query, sweep, again=again, going_on=going_on)
            _check_hours(store.query, sweep, decided)
            runs = [one.run for one in decided if one.run]
            return decided, set(store.query("measurements", runs=runs)["run"].to_pylist()) if runs else set()
    except StoreUnavailable as error:
        if not again:
            raise StoreUnavailable(f"{error}; nothing was launched") from None
    most = len(sweep.runs) if sweep.budget.runs is None else sweep.budget.runs
    pairs = enumerate(zip(sweep.runs, sweep.hashes, strict=True))
    return [Decided(spec, hash, "launch" if place < most else "leave out") for place, (spec, hash) in pairs], set()


def _check_hours(query: Query, sweep: Sweep, decided: Sequence[Decided]) -> None:
    """Raises InputError where something is to be launched, and the hours that it may take are spent."""
    wanted = sum(one.act in ("launch", "resume") for one in decided)
    rows = query("sweeps", sweep=sweep.id).to_pylist()
    if sweep.budget.hours is None or not rows or not wanted or rows[0]["hours"] < sweep.budget.hours:
        return
    raise InputError(
        f"the sweep {sweep.id} has spent {rows[0]['hours']:.2f} of its {sweep.budget.hours:g} hours, and {wanted} of "
        f"its {len(decided)} runs are not done: raise budget.hours to launch them"
    )


def _runs(decided: Sequence[Decided], new: Sequence[str]) -> list[str | None]:
    fresh = iter(new)
    return [next(fresh) if one.act == "launch" else one.run for one in decided]


def _cell(one: Decided, run: str | None) -> SweepCell:
    spec = one.spec
    return SweepCell(
        group=spec.group,
        dataset=spec.dataset.name,
        model=spec.model.name,
        scheme=spec.scheme,
        seed=spec.seed,
        fold=spec.fold,
        hash=one.hash,
        run=run,
        own=one.own or one.act in ("launch", "resume"),
    )


def cancel(settings: Settings, sweep: str) -> int:
    """Ask to cancel what a sweep has launched and is not over; gives how many runs.

    Runs that were there before it, and only count, go on; those that newer ones of the sweep replaced do not. Raises
    InputError for an unknown sweep, QueueUnavailable, StoreUnavailable.
    """
    with connect(settings) as store:
        submit.catch_up(settings, store, "cancelled")
        rows = store.query("sweep_cells", sweep=sweep).to_pylist()
        groups = list(dict.fromkeys(row["group_id"] for row in rows))
        alike = store.query("alike", groups=groups).to_pylist() if groups else []
    if not rows:
        raise InputError(f"there is no sweep {sweep!r}: bitfront list sweeps names them")
    own = [row for row in rows if row["own"]] + [row for row in alike if row["sweep"] == sweep]
    runs = list(dict.fromkeys(row["run"] for row in own if row["state"] in GOING))
    submit.cancel(settings, runs)
    return len(runs)
