"""Groups by the whole configuration and by less; what they say where their runs differ."""

from __future__ import annotations

import pytest

from app.comparison.frames import Frame
from app.comparison.groups import WHOLE, gather, with_groups, with_metric
from tests.app.comparison.runs import run, table


def gathered(every: Frame, by: tuple[str, ...] = WHOLE, **options) -> dict[str, dict]:
    found = gather(with_groups(every, by), every, by=by, **options)
    return {row["scheme"]: row for row in found.to_dict("records")}


RUNS = table(
    *(run("fp32", seed, test=80.0 + seed) for seed in range(3)),
    *(run("int8", seed, test=79.0 + 2 * seed) for seed in range(3)),
    run("int8", 9, test=None, state="running"),
    run("int4", 0, test=None, state="failed"),
)


def test_a_group_has_its_statistics_and_its_difference_to_fp32() -> None:
    found = gathered(RUNS)
    row = found["int8"]
    assert (row["n"], row["test_mean"], row["last_mean"], row["max_mean"], row["val_mean"]) == (3, 81, 80, 83, 82)
    assert (row["test_std"], row["unfinished"]) == (2, 1)
    assert (row["difference"], row["pairs"]) == (0, 3)
    assert row["p"] == pytest.approx(1)
    assert (found["fp32"]["pairs"], found["int4"]["n"], found["int4"]["failed"]) == (0, 0, 1)
    assert gathered(RUNS, value="max", against="int8")["fp32"]["difference"] == 0


def test_other_groupings_take_the_runs_together_and_count_what_differs() -> None:
    every = table(*(run(scheme, seed, dataset=dataset) for scheme in ("int8", "int4") for dataset in ("cora", "pubmed")
                    for seed in (0, 1)))  # fmt: skip
    found = gather(with_groups(every, ("Scheme family",)), every, by=("Scheme family",)).to_dict("records")
    assert [(row["family"], row["scheme"], row["dataset"], row["n"], row["seeds"]) for row in found] == [
        ("affine", "2 schemes", "2 datasets", 8, 2)
    ]
    by_dataset = gather(with_groups(every, ("Dataset",)), every, by=("Dataset",))
    assert sorted(by_dataset["dataset"]) == sorted(by_dataset["name"]) == ["cora", "pubmed"]
    assert len(set(by_dataset["group_id"])) == 2


def test_a_group_never_mixes_metrics() -> None:
    every = table(run("int8"), run("int8", metric="MAE", unit=""))
    assert len(gather(with_groups(every, ("Scheme",)), every, by=("Scheme",))) == 2


def test_a_groups_id_is_the_same_whatever_else_is_there() -> None:
    by = ("Scheme", "Dataset")
    alone = with_groups(table(run("int8")), by)["group"].iloc[0]
    assert alone in set(with_groups(table(run("fp32"), run("int8")), by)["group"])


def test_another_test_metric_takes_the_place_of_the_runs_own() -> None:
    found = with_metric(table(run(also='{"F1 (%)": 55.0}'), run("int4")), "F1 (%)")
    assert found["test"].iloc[0] == 55
    assert found["test"].isna().tolist() == [False, True]
    assert found["last"].isna().all()
    assert set(zip(found["metric"], found["unit"], strict=True)) == {("F1", "%")}


def test_no_run_makes_no_group() -> None:
    assert len(gather(with_groups(table(run())[:0]), table(run()))) == 0
