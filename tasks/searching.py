"""Drives searches: launches the runs that a search asks for, and tells it what came of them.

A search's state is its file and its trials' outcomes, which the store has: a driver that starts anew begins each search
from its file, and the same outcomes lead it to where it was. The ids of its runs follow from the search's id and their
number, so that a run which is launched twice is one run. Only validation metrics reach the search (the query ``trials``
has no others); the test of the confirmed winner is read here, after the search has its result.
"""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from redis import Redis
from redis.exceptions import RedisError

from engine.datasets import GraphSize
from engine.errors import BitfrontError, RunError
from engine.events import AskedTrial, Body, Envelope, RunQueued, SearchEnded, TrialsAsked
from engine.ledger.runs import trained_size
from engine.search.course import Outcome, Search, Trial
from engine.search.file import read_search
from engine.settings import Settings
from store.client import StoreClient, connect
from tasks import keys
from tasks.connection import patient
from tasks.log import logger
from tasks.submit import UNFINISHED, cancel

Query = Callable[..., pa.Table]

ACTIVE_SECONDS, IDLE_SECONDS = 0.5, 3.0
"""How often the store is asked, while a search goes on and while none does."""
ATTEMPTS_SECONDS = 5.0
"""A launch that the store has not heard of for so long is said again."""
MOST_ATTEMPTS = 12
"""So often: what the store will not take then, it will not take."""


def run_of(search: str, trial: Trial) -> str:
    """The id of a trial's run."""
    return f"{search}-{trial.number}"


class Driven:
    """One search that goes on."""

    def __init__(self, search: str, file: dict[str, Any], query: Query) -> None:
        self.id, self.query = search, query
        self.file = read_search(file)
        self.search = Search(self.file, self._size)
        self.open: dict[str, Trial] = {}
        """Trials that were asked for and have no outcome yet, by their run."""
        self.said: dict[str, tuple[int, float]] = {}
        """How often each was launched, and when last."""

    def step(self) -> list[Trial]:
        """Tell the search what is known; gives the trials that are to be launched now.

        Raises RunError where what the store has of a trial is of another one, or where it takes a launch not at all.
        """
        rows = {row["run"]: row for row in self.query("trials", search=self.id).to_pylist()}
        while True:
            self.open |= {run_of(self.id, trial): trial for trial in self.search.ask()}
            ended = {run for run, row in rows.items() if row["state"] and row["state"] not in UNFINISHED}
            over = [run for run in self.open if run in ended]
            for run in over:
                _check(self.open[run], rows[run])
                self.search.tell(self.open.pop(run).number, _outcome(rows[run]))
            if not over:
                break
        now = time.monotonic()
        unknown = [run for run in self.open if run not in rows or rows[run]["state"] is None]
        due = [run for run in unknown if now - self.said.get(run, (0, -math.inf))[1] > ATTEMPTS_SECONDS]
        for run in due:
            attempts = self.said.get(run, (0, now))[0] + 1
            if attempts > MOST_ATTEMPTS:
                raise RunError(
                    f"the store has not taken the run {run} in {MOST_ATTEMPTS} tries: its log and the dead letters of "
                    "`bitfront status` say why"
                )
            self.said[run] = attempts, now
        return [self.open[run] for run in due]

    def _size(self) -> GraphSize:
        """What the reference trained on."""
        rows = self.query("run", run=f"{self.id}-0").to_pylist()
        size = trained_size(json.loads(rows[0]["provenance"] or "{}")) if rows else None
        if size is None:
            raise RunError("the fp32 model's run does not say what it trained on")
        return size


def _check(trial: Trial, row: dict[str, Any]) -> None:
    """Raise RunError where a row is not of this trial: other code, or other outcomes, now lead elsewhere."""
    asked = trial.spec.scheme, trial.spec.seed, None if trial.point is None else list(trial.point)
    known = row["scheme"], row["seed"], None if row["point"] is None else list(row["point"])
    if asked != known:
        raise RunError(
            f"trial {trial.number} was {known[0]} with seed {known[1]}, and would now be {asked[0]} with seed "
            f"{asked[1]}: the search cannot go on from what it has measured; start it anew under another name"
        )


def _outcome(row: dict[str, Any]) -> Outcome:
    """What a search is told of a run that is over."""
    if row["state"] != "finished":
        return Outcome(reason=row["reason"] or f"its run was {row['state']}")
    return Outcome(value=row["val_best"], content=row["content"] or "", reason="it has no validation metric")


class Driver:
    """All searches of one store; ``tick`` looks once."""

    def __init__(self, settings: Settings, redis: Redis, query: Query) -> None:
        self.settings, self.redis, self.query = settings, redis, query
        self.driven: dict[str, Driven] = {}
        self._ended: set[str] = set()

    def tick(self) -> bool:
        """Look at every search once; whether one goes on. Raises what Redis and the store raise."""
        rows = self.query("searches", states="running,cancelled").to_pylist()
        going = {row["search"]: row for row in rows if row["state"] == "running" and row["search"] not in self._ended}
        for row in rows:
            if row["state"] == "cancelled" and row["unfinished"]:
                trials = self.query("trials", search=row["search"]).to_pylist()
                cancel(self.settings, [each["run"] for each in trials if each["state"] in ("queued", "running")])
        for search in self.driven.keys() - going.keys():
            del self.driven[search]
        for search, row in going.items():
            self._drive(search, json.loads(row["file"]))
        return bool(going)

    def _drive(self, search: str, file: dict[str, Any]) -> None:
        try:
            if search not in self.driven:
                self.driven[search] = Driven(search, file, self.query)
            driven = self.driven[search]
            trials = driven.step()
        except BitfrontError as error:
            if _is_passing(error):
                raise
            self._end(search, SearchEnded(reason=str(error)))
            return
        except (RedisError, OSError):
            raise
        except Exception as error:  # a fault of one search stops no other
            logger.exception("a search failed", search=search)
            self._end(search, SearchEnded(reason=f"the search failed: {type(error).__name__}: {error}"))
            return
        if trials:
            self._launch(search, driven.file.priority, trials)
        result = driven.search.result
        if result is None:
            return
        report = {**result.to_json(), "metric": driven.search.objective.metric, "unit": driven.search.objective.unit}
        if result.scheme:
            report["test"] = compared(self.query("confirmation", search=search).to_pylist())
        self._end(search, SearchEnded(reason=result.reason or None, result=report))

    def _launch(self, search: str, priority: int, trials: Sequence[Trial]) -> None:
        now = time.time()
        rows = [
            AskedTrial(
                number=trial.number,
                run=run_of(search, trial),
                stage=trial.stage,
                batch=trial.batch,
                scheme=trial.spec.scheme,
                seed=trial.spec.seed,
                point=None if trial.point is None else list(trial.point),
                cost=trial.cost,
                predicted=trial.predicted,
            )
            for trial in trials
        ]
        bodies: list[tuple[str, Body]] = [(search, TrialsAsked(rows=rows))]
        for trial in trials:
            queued = RunQueued(spec=trial.spec.model_dump(mode="json"), priority=priority)
            bodies.append((run_of(search, trial), queued))
        with self.redis.pipeline(transaction=True) as pipe:
            for place, (run, body) in enumerate(bodies):
                at = now - (len(bodies) - place) * 2e-6  # the order of the trials is the order of service
                pipe.xadd(keys.EVENTS, {"e": Envelope(run=run, at=at, body=body).to_json()})
            pipe.execute()
        logger.info("search asks", search=search, stage=trials[0].stage, runs=len(trials))

    def _end(self, search: str, body: SearchEnded) -> None:
        self.redis.xadd(keys.EVENTS, {"e": Envelope(run=search, at=time.time(), body=body).to_json()})
        self._ended.add(search)
        self.driven.pop(search, None)
        logger.info("search ended", search=search, reason=body.reason)


def _is_passing(error: BitfrontError) -> bool:
    from store.client import StoreError, StoreUnavailable

    return isinstance(error, StoreUnavailable | StoreError)


def compared(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The winner's test metric beside fp32's, over the seeds that both have: means, and the difference's interval."""
    pairs = [(row["winner"], row["fp32"]) for row in rows if row["winner"] is not None and row["fp32"] is not None]
    if not pairs:
        return {"n": 0}
    differences = [a - b for a, b in pairs]
    n = len(pairs)
    report: dict[str, Any] = {
        "n": n,
        "seeds": [row["seed"] for row in rows if row["winner"] is not None and row["fp32"] is not None],
        "winner": statistics.fmean(a for a, _ in pairs),
        "fp32": statistics.fmean(b for _, b in pairs),
        "difference": statistics.fmean(differences),
    }
    if n > 1:
        from scipy.stats import t

        report["winner_std"] = statistics.stdev(a for a, _ in pairs)
        report["fp32_std"] = statistics.stdev(b for _, b in pairs)
        report["difference_ci95"] = float(t.ppf(0.975, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
    return report


class SearchThread(threading.Thread):
    """Drives searches beside the dispatcher, while it holds the lock; sits out a Redis or a store that is away."""

    def __init__(self, settings: Settings, holds: Callable[[], bool]) -> None:
        super().__init__(name="searches", daemon=True)
        self.settings, self.holds = settings, holds
        self.over, self.news = threading.Event(), threading.Event()
        self._client: StoreClient | None = None
        self._driver: Driver | None = None

    def run(self) -> None:
        trouble = ""
        while not self.over.is_set():
            pause = IDLE_SECONDS
            try:
                if self.holds():
                    pause = ACTIVE_SECONDS if self._drive() else IDLE_SECONDS
                    trouble = ""
                else:
                    self._driver = None  # another drives meanwhile
            except (RedisError, BitfrontError, OSError) as error:
                if str(error) != trouble:
                    trouble = str(error)
                    logger.warning("searches wait", reason=trouble)
            except Exception:
                logger.exception("searches wait")
                self._driver = None
            self.news.wait(pause)
            self.news.clear()

    def end(self) -> None:
        self.over.set()
        self.news.set()

    def _drive(self) -> bool:
        if self._driver is None:
            self._driver = Driver(self.settings, patient(self.settings), self._query)
        return self._driver.tick()

    def _query(self, name: str, **parameters: Any) -> pa.Table:
        if self._client is None:
            self._client = connect(self.settings)
        return self._client.query(name, **parameters)
