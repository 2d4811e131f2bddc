"""The named queries: what they give, by hand-made histories; and that many runs do not make them slow."""

from __future__ import annotations

import json
import math
import statistics
import time
from datetime import UTC, datetime

import duckdb
import pytest
from scipy import stats

from engine.errors import InputError
from engine.events import CancelRequested, Envelope, PrecisionChanged, RunFinished, RunQueued
from engine.spec import RunSpec
from store.ingest import Received, apply_batch
from store.queries import catalogue, parse
from tests.store import lives
from tests.store.tables import ask


def apply(connection: duckdb.DuckDBPyConnection, *batches: list) -> None:
    for batch in batches:
        result = apply_batch(connection, lives.received(batch))
        assert (result.dead, result.dropped) == (0, 0)


def names(rows: list[dict]) -> list[str]:
    return [row["run"] for row in rows]


def test_runs_come_newest_first_page_by_page(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, [lives.queued(f"r{number}", at=lives.BEGAN + number) for number in range(5)])
    assert names(ask(connection, "runs")) == ["r4", "r3", "r2", "r1", "r0"]
    assert names(ask(connection, "runs", limit=2, offset=1)) == ["r3", "r2"]


def test_runs_can_be_filtered(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", scheme="fp32", sweep="a"), lives.failed("r1"), [lives.queued("r2")])
    assert names(ask(connection, "runs", states="finished, failed")) == ["r1", "r0"]
    assert names(ask(connection, "runs", scheme="fp32")) == names(ask(connection, "runs", sweep="a")) == ["r0"]
    assert names(ask(connection, "runs", runs=["r0", "r2"])) == ["r2", "r0"]
    assert names(ask(connection, "runs", search="FP3")) == ["r0"]
    assert ask(connection, "runs", dataset="cora") == ask(connection, "runs", model="gat") == []


@pytest.mark.parametrize("text", ["'; DROP TABLE runs; --", "%", "_", "\\", "\x00", "é", "a" * 10_000])
def test_a_search_is_text_and_nothing_else(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    apply(connection, [lives.queued("r0")])
    assert ask(connection, "runs", search=text) == []
    assert names(ask(connection, "runs")) == ["r0"]


def test_the_queue_is_served_by_priority_then_age(connection: duckdb.DuckDBPyConnection) -> None:
    apply(
        connection,
        [lives.queued("late", at=lives.BEGAN + 2), lives.queued("early", at=lives.BEGAN + 1)],
        [lives.queued("urgent", at=lives.BEGAN + 3, priority=0)],
    )
    assert names(ask(connection, "dispatchable")) == ["urgent", "early", "late"]
    positions = {row["run"]: row["queue_position"] for row in ask(connection, "runs")}
    assert positions == {"urgent": 1, "early": 2, "late": 3}


def test_dispatchable_are_the_runs_that_are_not_over(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("done"), lives.failed("bad"), [lives.queued("new"), lives.queued("going")])
    apply(connection, [lives.started("going"), lives.started("going", attempt=2), lives.queued("ending")])
    apply(connection, [lives.started("ending"), lives.event("ending", 0, 0, CancelRequested())])
    found = {
        row["run"]: (row["state"], row["attempt"], row["attempts_failed"]) for row in ask(connection, "dispatchable")
    }
    assert found == {"new": ("queued", 0, 0), "going": ("running", 2, 1), "ending": ("cancelling", 1, 0)}
    assert RunSpec.from_json(ask(connection, "dispatchable")[0]["spec"]).dataset.name == "karate"


def test_a_local_run_is_not_dispatchable_and_not_in_the_queue(connection: duckdb.DuckDBPyConnection) -> None:
    local = lives.event("r0", 0, 0, RunQueued(spec=lives.spec(), origin="local"))
    apply(connection, [local])
    assert ask(connection, "dispatchable") == []
    assert [row["queue_position"] for row in ask(connection, "runs")] == [None]


def test_a_long_queue_is_given_in_part_for_each_device(connection: duckdb.DuckDBPyConnection) -> None:
    devices = ("cpu", "cuda", "auto")
    queue = [lives.queued(f"{device}{n}", device=device) for device in devices for n in range(4)]
    apply(connection, [*queue, lives.queued("zgoing"), lives.started("zgoing")])
    got = names(ask(connection, "dispatchable", limit=2))
    assert got == ["auto0", "auto1", "cpu0", "cpu1", "cuda0", "cuda1", "zgoing"]


def test_a_group_counts_the_newest_finished_run_of_each_seed(connection: duckdb.DuckDBPyConnection) -> None:
    apply(
        connection,
        lives.finished("r0", test=10.0, seed=0),
        lives.finished("r1", test=80.0, seed=0),
        lives.finished("r2", test=82.0, seed=1),
        lives.finished("r3", test=86.0, seed=2),
        [lives.queued("r4", seed=3)],
    )
    (group,) = ask(connection, "groups")
    assert (group["seeds"], group["runs"], group["n"], group["unfinished"]) == ([0, 1, 2], ["r1", "r2", "r3"], 3, 1)
    values = [80.0, 82.0, 86.0]
    mean = sum(values) / 3
    std = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
    assert group["test_mean"] == pytest.approx(mean)
    assert group["test_std"] == pytest.approx(std)
    assert group["test_ci95"] == pytest.approx(stats.t.ppf(0.975, 2) * std / math.sqrt(3), rel=1e-6)
    assert group["last_mean"] == pytest.approx(mean - 1)
    assert "seed" not in json.loads(group["spec"])


def folded(run: str, fold: int, test: float, scheme: str = "int8", seed: int = 0) -> list[Envelope]:
    task = f"graph-classification(folds=3,fold={fold})"
    return lives.finished(run, test=test, dataset="mutag", model="gin", task=task, scheme=scheme, seed=seed)


def test_the_folds_of_a_cross_validation_are_one_group_and_each_counts(connection: duckdb.DuckDBPyConnection) -> None:
    apply(
        connection,
        folded("r0", 0, 10.0),
        folded("r1", 0, 80.0),
        folded("r2", 1, 82.0),
        folded("r3", 2, 86.0),
        folded("r4", 2, 70.0, seed=1),
    )
    (group,) = ask(connection, "groups")
    assert (group["seeds"], group["runs"], group["n"]) == ([0, 1], ["r1", "r2", "r3", "r4"], 4)
    assert group["test_mean"] == pytest.approx((80 + 82 + 86 + 70) / 4)
    assert "fold" not in json.loads(group["spec"])["task"]
    rows = {row["run"]: row for row in ask(connection, "runs")}
    assert [rows[run]["fold"] for run in ("r1", "r2", "r3")] == [0, 1, 2]
    assert rows["r1"]["task"] == "graph-classification"


def test_pairs_are_of_one_seed_and_fold(connection: duckdb.DuckDBPyConnection) -> None:
    for number, scheme in enumerate(("int8", "int4")):
        apply(connection, *(folded(f"{scheme}-{fold}", fold, 80.0 + fold + number, scheme) for fold in range(3)))
    apply(connection, folded("int4-again", 0, 60.0, "int4", seed=1))
    groups = {row["scheme"]: row["group_id"] for row in ask(connection, "groups")}
    (pair,) = ask(connection, "paired", pairs=[f"{groups['int4']}:{groups['int8']}"])
    assert (pair["n"], pair["seeds"], pair["difference"], pair["std"]) == (
        3,
        [0],
        pytest.approx(1.0),
        pytest.approx(0.0),
    )


def test_a_run_says_from_its_task_which_way_is_better(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, [lives.queued("r0", dataset="zinc", model="gin"), lives.queued("r1")])
    found = {row["run"]: (row["metric"], row["unit"], row["higher_is_better"]) for row in ask(connection, "runs")}
    assert found == {"r0": ("MAE", "", False), "r1": ("accuracy", "%", True)}


def test_other_metrics_of_a_run_are_kept(connection: duckdb.DuckDBPyConnection) -> None:
    *events, last = lives.finished("r0")
    assert isinstance(last.body, RunFinished)
    summary = last.body.summary.model_copy(update={"also": {"accuracy at ½ (%)": 77.5}})
    apply(connection, [*events, last.model_copy(update={"body": last.body.model_copy(update={"summary": summary})})])
    (run,) = ask(connection, "run", run="r0")
    assert json.loads(run["also"]) == {"accuracy at ½ (%)": 77.5}


def test_a_group_of_one_has_no_deviation(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0"))
    (group,) = ask(connection, "groups")
    assert (group["n"], group["test_mean"], group["test_std"], group["test_ci95"]) == (1, 80.0, None, None)


def test_a_group_without_a_finished_run_is_shown_empty(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.failed("r0"))
    (group,) = ask(connection, "groups")
    assert (group["n"], group["runs"], group["failed"], group["test_mean"]) == (0, [], 1, None)


def test_a_groups_densities_are_of_the_scope_and_coverage_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", memory=4.0, seed=0), lives.finished("r1", memory=6.0, seed=1))

    def density(**asked: str) -> tuple:
        (group,) = ask(connection, "groups", **asked)
        return group["density_scope"], group["density_coverage"], group["memory_density"]

    assert density() == ("training", "quantized part", 5.0)
    assert density(coverage="whole step") == ("training", "whole step", 2.5)
    assert density(scope="inference") == ("inference", "quantized part", 6.0)
    assert density(scope="inference", coverage="whole step") == (None, None, None)


def test_filters_choose_groups_and_leave_their_statistics(connection: duckdb.DuckDBPyConnection) -> None:
    apply(
        connection,
        lives.finished("r0", seed=0, sweep="a"),
        lives.finished("r1", seed=1),
        lives.finished("r2", scheme="fp32"),
    )
    assert [group["n"] for group in ask(connection, "groups", sweep="a")] == [2]
    assert [group["scheme"] for group in ask(connection, "groups", scheme="fp32")] == ["fp32"]
    assert [group["n"] for group in ask(connection, "groups", search="r2")] == [1]
    chosen = group_of(connection, "r2")
    assert [group["group_id"] for group in ask(connection, "groups", groups=[chosen, "none"])] == [chosen]


@pytest.mark.parametrize("freedom", [1, 2, 5, 9, 19, 30, 31, 60, 500, 100_000])
def test_students_t_is_scipys(connection: duckdb.DuckDBPyConnection, freedom: int) -> None:
    ((value,),) = connection.execute("SELECT t975($1)", [freedom]).fetchall()
    assert value == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-7)


def group_of(connection: duckdb.DuckDBPyConnection, run: str) -> str:
    return ask(connection, "run", run=run)[0]["group_id"]


def test_two_groups_are_compared_seed_by_seed(connection: duckdb.DuckDBPyConnection) -> None:
    a, b = {0: 70.0, 1: 74.5, 2: 72.25, 3: 71.0, 7: 60.0}, {0: 69.0, 1: 70.0, 2: 72.5, 3: 68.0, 8: 99.0}
    for scheme, tests in (("int8", a), ("int4", b)):
        for seed, test in tests.items():
            apply(connection, lives.finished(f"{scheme}-{seed}", test=test, seed=seed, scheme=scheme))
    first, second = group_of(connection, "int8-0"), group_of(connection, "int4-0")
    (found,) = ask(connection, "paired", pairs=[f"{first}:{second}"])
    with_both = [0, 1, 2, 3]
    differences = [a[seed] - b[seed] for seed in with_both]
    reference = stats.ttest_rel([a[seed] for seed in with_both], [b[seed] for seed in with_both])
    interval = reference.confidence_interval(0.95)
    assert (found["seeds"], found["n"], found["unit"]) == (with_both, 4, "%")
    assert found["difference"] == pytest.approx(statistics.fmean(differences), rel=1e-12)
    assert found["std"] == pytest.approx(statistics.stdev(differences), rel=1e-12)
    assert found["difference"] - found["ci95"] == pytest.approx(interval.low, rel=1e-9)
    assert found["difference"] + found["ci95"] == pytest.approx(interval.high, rel=1e-9)
    (turned,) = ask(connection, "paired", pairs=f"{second}:{first}")
    assert (turned["difference"], turned["ci95"]) == (-found["difference"], found["ci95"])


def test_pairs_come_in_the_order_asked_and_stay_empty_without_a_common_seed(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    apply(connection, lives.finished("r0", seed=0), lives.finished("r1", seed=1, scheme="int4"))
    apply(connection, lives.finished("r2", seed=0, scheme="fp32", test=81.0))
    a, b, c = (group_of(connection, run) for run in ("r0", "r1", "r2"))
    found = ask(connection, "paired", pairs=[f"{a}:{b}", f"{a}:{c}", f"{a}:none"])
    assert [(row["n"], row["difference"], row["std"], row["ci95"]) for row in found] == [
        (0, None, None, None),
        (1, -1.0, None, None),
        (0, None, None, None),
    ]


def test_a_pair_counts_the_newest_finished_run_of_each_seed(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", test=10.0), lives.finished("r1", test=80.0))
    apply(connection, lives.finished("r2", scheme="fp32", test=79.0))
    (found,) = ask(connection, "paired", pairs=f"{group_of(connection, 'r0')}:{group_of(connection, 'r2')}")
    assert (found["n"], found["mean_a"], found["difference"]) == (1, 80.0, 1.0)


def test_what_waits_comes_in_the_order_of_service(connection: duckdb.DuckDBPyConnection) -> None:
    late, urgent = lives.queued("r1", at=lives.BEGAN + 1), lives.queued("r2", at=lives.BEGAN + 2, priority=0)
    apply(connection, [lives.queued("r0"), late, urgent, lives.queued("r3"), lives.started("r3")])
    found = ask(connection, "waiting", limit=2)
    assert [(row["place"], row["run"], row["total"]) for row in found] == [(1, "r2", 3), (2, "r0", 3)]


def test_every_table_says_how_many_rows_it_holds(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0"), lives.finished("r1"))
    found = {row["name"]: row["rows"] for row in ask(connection, "storage")}
    assert (found["runs"], found["epochs"], found["views"]) == (2, 6, 0)


def test_sweeps_count_their_runs_by_state(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", sweep="a"), [lives.queued("r1", sweep="a"), lives.queued("r2", sweep="b")])
    apply(connection, [lives.started("r2"), lives.event("r1", 0, 0, CancelRequested())])
    found = {row["sweep"]: row for row in ask(connection, "sweeps")}
    assert [found["a"][name] for name in ("total", "finished", "cancelled", "queued", "running")] == [2, 1, 1, 0, 0]
    assert [found["b"][name] for name in ("total", "finished", "cancelled", "queued", "running")] == [1, 0, 0, 0, 1]
    assert names(ask(connection, "sweep", sweep="a")) == ["r0", "r1"]


def test_epochs_can_be_read_from_where_one_was(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0"), lives.finished("r1"))
    got = [(row["run"], row["epoch"]) for row in ask(connection, "epochs", runs=["r1", "r0"], after=1)]
    assert got == [("r0", 2), ("r0", 3), ("r1", 2), ("r1", 3)]


def test_of_each_run_epochs_can_be_read_from_where_it_was(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0"), lives.finished("r1"), lives.finished("r2"))
    since = ["r0:2", "r1:3", "no pair", "r2:x"]
    got = [(row["run"], row["epoch"]) for row in ask(connection, "epochs", runs=["r0", "r1", "r2"], since=since)]
    assert got == [("r0", 3), ("r2", 1), ("r2", 2), ("r2", 3)]


def test_a_run_has_the_memory_of_the_worker_that_trains_it_now(connection: duckdb.DuckDBPyConnection) -> None:
    now = time.time()
    apply(connection, [lives.queued("r0"), lives.started("r0"), lives.heartbeat("w1", now - 9, "r0", 1)])
    assert [row["worker_memory"] for row in ask(connection, "runs")] == [250_000_000]
    apply(connection, [lives.heartbeat("w1", now)])
    assert [row["worker_memory"] for row in ask(connection, "runs")] == [None]


def test_formats_come_by_site_and_decisions_once(connection: duckdb.DuckDBPyConnection) -> None:
    apply_batch(connection, lives.received([*lives.finished("r0")[:4], lives.event("r0", 1, 4, lives.precision(12))]))
    formats = ask(connection, "precision", runs="r0", after=1)
    assert [(row["site"], row["layer"], row["format"]) for row in formats] == [
        ("aggregate", 0, "int16"),
        ("weight", 0, "int16"),
    ]
    start, later = ask(connection, "switches", runs="r0,none")
    assert (start["epoch"], start["label"], start["signal"], start["value"]) == (1, "int8", "start", None)
    assert (later["epoch"], later["label"], later["signal"]) == (12, "int16", "loss plateau")
    assert (later["value"], later["threshold"], later["changes"]) == (0.95, 0.9, 2)
    assert later["reason"] == "mean loss 0.95 of the five epochs before"


def test_a_decision_that_changes_no_format_is_kept(connection: duckdb.DuckDBPyConnection) -> None:
    plain = PrecisionChanged(epoch=1, label="fp32", changes=[], signal="start", reason="nothing is quantized")
    apply_batch(connection, lives.received([*lives.finished("r0")[:2], lives.event("r0", 1, 2, plain)]))
    (formats,) = ask(connection, "precision", runs="r0")
    assert (formats["site"], formats["format"], formats["label"]) == (None, None, "fp32")
    assert [row["changes"] for row in ask(connection, "switches", runs="r0")] == [0]


def test_a_groups_densities_have_both_means(connection: duckdb.DuckDBPyConnection) -> None:
    apply_batch(connection, lives.received(lives.finished("r0", memory=3.0)))
    (group,) = ask(connection, "groups")
    assert (group["memory_density"], group["memory_density_thesis"], group["peak_memory_density"]) == (3.0, 4.5, 2.0)
    assert (group["arithmetic_density"], group["arithmetic_density_thesis"]) == (7.7, 8.7)
    (run,) = ask(connection, "runs")
    assert (run["arithmetic_density"], run["arithmetic_density_thesis"], run["memory_density_thesis"]) == (
        7.7,
        8.7,
        4.5,
    )
    assert [row["arithmetic_thesis"] for row in ask(connection, "densities", run="r0")] == [8.7] * 3


def test_diagnostics_are_of_the_newest_epoch_or_of_the_one_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    later = lives.event("r1", 1, 2, lives.diagnostics(9))
    apply(connection, lives.finished("r0"), [lives.queued("r1"), lives.started("r1"), later])

    def found(**asked: str | int) -> set[tuple[str, int]]:
        return {(row["run"], row["epoch"]) for row in ask(connection, "diagnostics", runs=["r0", "r1"], **asked)}

    assert found() == found(epochs="all") == {("r0", 1), ("r1", 9)}
    assert found(epoch=9) == {("r1", 9)}
    assert found(epoch=2) == set()


def test_of_several_epochs_with_diagnostics_the_newest_is_shown_and_all_are_named(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    bodies = [lives.event("r0", 1, 1 + place, lives.diagnostics(epoch)) for place, epoch in enumerate((1, 5, 7), 1)]
    apply(connection, [lives.queued("r0"), lives.started("r0"), *bodies])
    assert ask(connection, "diagnostic_epochs", run="r0") == [{"epoch": 1}, {"epoch": 5}, {"epoch": 7}]
    assert {row["epoch"] for row in ask(connection, "diagnostics", runs="r0")} == {7}
    whole = [(row["site"], row["bucket"], row["sqnr"]) for row in ask(connection, "diagnostics", runs="r0", epoch=5)]
    assert whole == [("message", None, 25.0), ("message", 0, 30.0), ("message", 1, 10.0), ("weight", None, 45.0)]


def test_facets_and_history_sum_up_what_is_there(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0"), lives.finished("r1", seed=1), [lives.queued("r2", scheme="fp32")])
    facets = {(row["kind"], row["value"]): row["n"] for row in ask(connection, "facets")}
    assert facets == {("dataset", "karate"): 3, ("model", "gcn"): 3, ("scheme", "int8"): 2, ("scheme", "fp32"): 1}
    karate = json.dumps(lives.spec()["dataset"], sort_keys=True, separators=(",", ":"))
    pace = {"seconds_per_epoch": pytest.approx(8 / 3), "n": 2}
    assert ask(connection, "history") == [
        {"dataset": karate, "model": "gcn", "scheme": "int8", **pace},
        {"dataset": karate, "model": "gcn", "scheme": None, **pace},
        {"dataset": karate, "model": None, "scheme": None, **pace},
        {"dataset": None, "model": None, "scheme": None, **pace},
    ]


def test_a_dataset_of_other_options_has_a_pace_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    small, large = "sbm(nodes=1000)", "sbm(nodes=1000000)"
    apply(connection, lives.finished("r0", dataset=small))
    life = lives.finished("r1", dataset=large)
    apply(connection, [*life[:-1], life[-1].model_copy(update={"at": life[-1].at + 1000})])
    apply(connection, [lives.queued("r2", dataset=small, sweep="small", training={"epochs": 3})])
    apply(connection, [lives.queued("r3", dataset=large, sweep="large", training={"epochs": 3})])
    paces = {json.loads(row["dataset"])["nodes"]: row["n"] for row in ask(connection, "history") if row["scheme"]}
    assert paces == {1000: 1, 1_000_000: 1}
    left = {row["sweep"]: row["seconds_left"] for row in ask(connection, "sweeps")}
    assert left == {"small": pytest.approx(8), "large": pytest.approx(1008)}


def test_every_query_says_what_it_gives_and_what_its_parameters_do(connection: duckdb.DuckDBPyConnection) -> None:
    for query in catalogue().values():
        assert query.about
        assert all(parameter.about for parameter in query.parameters)
        assert query.columns(connection.cursor())


def test_a_header_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="the query 'x' has a header line that cannot be read"):
        parse("x", "-- About.\n-- $y number: a number\nSELECT 1")


def test_a_required_parameter_is_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(InputError) as failure:
        ask(connection, "sweep")
    assert str(failure.value) == "the query 'sweep' needs the parameter 'sweep': id of the sweep"


def test_ten_thousand_runs_are_listed_quickly(connection: duckdb.DuckDBPyConnection) -> None:
    def launch(start: int, stop: int) -> None:
        whole = lives.spec()
        for first in range(start, stop, 2500):
            last = min(stop, first + 2500)
            bodies = [
                lives.event(
                    f"r{n:05d}", 0, 0, RunQueued(spec=whole | {"seed": n}, sweep=f"s{n // 50}"), lives.BEGAN + n
                )
                for n in range(first, last)
            ]
            apply_batch(connection, [Received(item.to_json(), "http") for item in bodies])

    def best(name: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            ask(connection, name)
            times.append(time.perf_counter() - began)
        return min(times)

    launch(0, 300)
    few = {name: best(name) for name in ("runs", "sweeps")}
    launch(300, 10_000)
    assert ask(connection, "counts") == [{"state": "queued", "n": 10_000}]
    for name, seconds in few.items():
        assert best(name) < max(10 * seconds, 0.25)


def test_times_are_utc(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, [lives.queued("r0")])
    (run,) = ask(connection, "runs")
    assert run["submitted_at"] == datetime.fromtimestamp(lives.BEGAN, UTC)
    assert str(run["submitted_at"].tzinfo) == "UTC"


def test_the_figures_of_a_group_are_the_mean_over_its_counted_runs(connection: duckdb.DuckDBPyConnection) -> None:
    apply(
        connection,
        lives.finished("r0", memory=2.0, seed=0),
        lives.finished("r1", memory=4.0, seed=1),
        lives.finished("r2", memory=9.0, seed=1, at=lives.BEGAN - 50),
        lives.failed("r3"),
    )
    (group,) = {row["group_id"] for row in ask(connection, "runs", states="finished")}
    counted = {row["run"] for row in ask(connection, "group_work", groups=group)}
    assert "r0" in counted
    assert len(counted) == 2
    means = {row["name"]: row["value"] for row in ask(connection, "group_figures", groups=group)}
    second = {"r1": 4.0, "r2": 9.0}[(counted - {"r0"}).pop()]
    assert means == {"bit_operations.inference": 1e6 * (2.0 + second) / 2, "energy.inference": None}
    assert ask(connection, "group_figures", groups="another") == []


def test_the_work_of_a_group_is_summed_over_layers_and_sites(connection: duckdb.DuckDBPyConnection) -> None:
    events = lives.finished("r0")
    ledger = next(event.body for event in events if event.body.type == "ledger_recorded")
    rows = [row.model_copy(update={"layer": layer}) for row in ledger.rows for layer in (0, 1)]
    body = ledger.model_copy(update={"rows": [*rows, rows[0].model_copy(update={"partner": "fp32"})]})
    apply(connection, [event.model_copy(update={"body": body}) if event.body is ledger else event for event in events])
    (group,) = {row["group_id"] for row in ask(connection, "runs")}
    found = ask(connection, "group_work", groups=group)
    assert [(row["partner"], row["macs"], row["elements"], row["written"]) for row in found] == [
        ("fp32", 5, 6, 7),
        ("int4", 10, 12, 14),
    ]
    assert {(row["run"], row["best_epoch"], row["format"]) for row in found} == {("r0", 3, "int8")}
