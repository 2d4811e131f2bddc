"""The command line as a person uses it: what it prints, exit codes, one sentence for a mistake."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from scipy import stats

from app.cli import main
from app.cli.reading import open_reader
from app.cli.recording import deliver
from app.cli.run import parse_seeds
from engine.catalogue import unknown
from engine.datasets import DATASETS
from engine.events import Measurement, RunMeasured
from engine.measure import QUANTITIES
from engine.settings import Settings
from tests.conftest import find_mirror
from tests.engine.own_data.files import write_tables
from tests.store import lives


class CommandLine:
    """Runs `bitfront` commands on one empty home: in this process, which has torch already, or in one of their own."""

    def __init__(self, home: Path, data: Path) -> None:
        mirror = find_mirror()
        self.home = home
        self.report: dict[str, Any] = {}
        self.data = data
        self.environment = {
            "BITFRONT_HOME": str(home),
            "BITFRONT_DATA": str(data),
            "BITFRONT_MIRROR": str(mirror or ""),
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        logging = structlog.get_config()
        with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
            for name, value in {**self.environment, **environment}.items():
                patched.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main(arguments)
        structlog.configure(**logging)
        return subprocess.CompletedProcess(arguments, *_ended(end.value.code, out, err))

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from app.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            timeout=300,
            check=False,
        )

    def json(self, *arguments: str):
        return _json(self(*arguments))

    def json_of_process(self, *arguments: str):
        return _json(self.process(*arguments))


def _ended(code: str | int | None, *streams: io.TextIOWrapper) -> tuple[int, str, str]:
    assert code is None or isinstance(code, int)
    out, err = (cast(io.BytesIO, stream.buffer).getvalue().decode() for stream in streams)
    return code or 0, out, err


def _json(done: subprocess.CompletedProcess[str]):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def bitfront(tmp_path: Path, data_root: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", data_root)


def test_a_graph_task_by_folds_is_one_group_and_can_be_taken_up_again(bitfront: CommandLine, mirror: Path):
    command = ["run", "--dataset", "mutag", "--model", "gin", "--folds", "3", "--epochs", "2", "--resume", "--json"]
    report = bitfront.json(*command)
    assert report["task"] == "graph-classification"
    assert (report["seeds"], report["folds"]) == ([0], [0, 1, 2])
    assert len({run["group"] for run in report["runs"]}) == 1
    assert bitfront.json(*command) == report, "nothing is trained again"
    more = bitfront.json(*command[:6], "4", *command[7:])
    assert more["folds"] == [0, 1, 2, 3]
    assert {run["run"] for run in more["runs"]}.isdisjoint(run["run"] for run in report["runs"])


def test_a_run_saves_its_model_where_it_is_told_to(bitfront: CommandLine, tmp_path: Path):
    target = tmp_path / "best.safetensors"
    report = bitfront.json(*RUN, "--scheme", "int8", "--save", str(target), "--json")
    kept = bitfront.home / "artifacts" / report["runs"][0]["run"] / "1"
    assert target.read_bytes() == (kept / "model.safetensors").read_bytes()
    assert target.with_suffix(".json").read_bytes() == (kept / "model.json").read_bytes()
    run = kept.parent.name
    done = bitfront("export", run, "--vectors", str(tmp_path / "vectors"))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "vectors" / "manifest.json").read_text())["run"]["scheme"] == "int8"
    assert sorted(path.suffix for path in (tmp_path / "vectors").iterdir())[0] == ".json"


def test_link_prediction_reports_both_metrics(bitfront: CommandLine):
    report = bitfront.json(
        "run", "--dataset", "sbm(nodes=200)", "--task", "link-prediction(width=8)", "--epochs", "3", "--json"
    )
    assert (report["metric"], report["unit"], report["higher_is_better"]) == ("ROC-AUC", "%", True)
    assert 0 < report["also"]["accuracy at ½ (%)"]["mean"] < 100


def test_folds_of_a_task_without_any_are_refused(bitfront: CommandLine):
    done = bitfront("run", "--dataset", "karate", "--folds", "5")
    assert done.returncode == 2
    assert done.stderr.startswith("bitfront: unknown setting 'task.folds'")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> CommandLine:
    """A home with one int8 group of two runs, only read by the tests."""
    command_line = CommandLine(tmp_path_factory.mktemp("trained"), data_root)
    command_line.report = command_line.json_of_process(*RUN, "--scheme", "int8", "--seeds", "2", "--json")
    command_line.json("status", "--json")
    return command_line


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> tuple[CommandLine, Path]:
    """A home with two schemes of three seeds, and the sweep file that they fit."""
    folder = tmp_path_factory.mktemp("compared")
    command_line = CommandLine(folder / "home", data_root)
    for scheme in ("fp32", "int4"):
        command_line.json(*RUN, "--scheme", scheme, "--seeds", "3", "--json")
    file = folder / "study.toml"
    file.write_text(
        'name = "study"\nseeds = 3\nbaseline = "fp32"\n'
        '[spec]\ndataset = "karate"\nmodel = "gcn"\nscheme = ["fp32", "int4", "int8"]\ntraining.epochs = 5\n'
        '[[compare]]\na = "fp32"\nb = "int4"\n'
        '[[published]]\ndataset = "karate"\nmodel = "gcn"\nscheme = "fp32"\nvalue = 91.5\nstd = 2.0\n'
        'source = "a paper, Table 1"\nselection = "best test"\nprovenance = "given"\n'
    )
    return command_line, file


RUN = ("run", "--dataset", "karate", "--model", "gcn", "--epochs", "5")


def test_help_names_every_command(bitfront: CommandLine):
    done = bitfront.process("--help")
    assert done.returncode == 0
    commands = [
        "up",
        "down",
        "run",
        "sweep",
        "status",
        "cancel",
        "export",
        "list",
        "measure",
        "replay",
        "rebuild",
        "backup",
        "restore",
    ]
    assert [name for name in commands if f" {name} " not in done.stdout] == []


def test_run_prints_one_json_object(trained: CommandLine):
    report = trained.report
    assert report["dataset"] == "karate"
    assert report["model"] == "gcn"
    assert report["scheme"] == "int8"
    assert report["seeds"] == [0, 1]
    assert report["memory_density"] == 4.0
    assert report["arithmetic_density"] == 7.7
    assert report["density_scope"] == "training"
    assert report["average_bits"] == 8.0
    for selection, field in (("test", "test_at_best_val"), ("test_last", "test_last"), ("test_max", "test_max")):
        values = [run[field] for run in report["runs"]]
        assert report[selection]["mean"] == pytest.approx(sum(values) / 2)
        assert report[selection]["std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert report["seconds"] > 0


def test_run_prints_a_table_for_people(bitfront: CommandLine):
    done = bitfront(*RUN, "--scheme", "int8", "--seeds", "0,3")
    assert done.returncode == 0
    assert "karate × gcn × int8, node-classification, seeds 0, 3" in done.stdout
    assert "test accuracy at best validation" in done.stdout
    assert "memory density, harmonic mean (training, quantized part)" in done.stdout
    assert done.stderr == f"2 runs kept in {bitfront.home / 'outbox'} for the store's next start.\n"


def test_a_schemes_list_is_printed_and_not_taken_for_markup(bitfront: CommandLine):
    done = bitfront(*RUN, "--scheme", "sdq[int4,int8]")
    assert "karate × gcn × sdq[int4,int8], node-classification, seeds 0" in done.stdout


def test_runs_are_seen_without_a_server(trained: CommandLine):
    rows = trained.json("status", "--json")
    assert {row["run"] for row in rows} == {run["run"] for run in trained.report["runs"]}
    assert {row["state"] for row in rows} == {"finished"}
    one = trained.json("status", rows[0]["run"], "--json")
    assert one["test_at_best_val"] == rows[0]["test_at_best_val"]


def test_histories_are_exported(trained: CommandLine):
    assert len(json.loads(trained("export", "--format", "json").stdout)) == 2
    epochs = trained("export", "--format", "csv", "--table", "epochs").stdout.splitlines()
    assert len(epochs) == 1 + 2 * 5
    assert trained("export", "--format", "csv", "--table", "groups").stdout.count("\n") == 1 + 1


def test_where_accuracy_is_lost_is_told_and_exported(bitfront: CommandLine):
    run = "0lost0000aaaaa"
    (bitfront.home / "outbox").mkdir(parents=True)
    lines = [event.to_json() for event in lives.finished(run)]
    (bitfront.home / "outbox" / f"{run}.jsonl").write_text("\n".join(lines))
    told = bitfront("status", run).stdout
    assert "Where accuracy is lost, epoch 1" in told
    (row,) = (line.split() for line in told.splitlines() if "4–168" in line)
    assert row == ["message", "0", "aggregate", "int8", "4–168", "10.0", "1.00", "2.00"]
    assert [row["sqnr"] for row in bitfront.json("status", run, "--json")["diagnostics"]] == [21.0, 30.0, 10.0, 41.0]
    exported = json.loads(bitfront("export", "--format", "json", "--table", "diagnostics").stdout)
    assert [(row["run"], row["epoch"], row["sqnr"]) for row in exported] == [
        (run, 1, sqnr) for sqnr in (21.0, 30.0, 10.0, 41.0)
    ]


def test_another_schedule_is_replayed_on_a_run(bitfront: CommandLine):
    options = ("--dataset", "karate", "--model", "gcn", "--epochs", "20", "--scheme", "int4")
    run = bitfront.json("run", *options, "--json")["runs"][0]["run"]
    found = bitfront.json("replay", run, "--scheme", "sdq[int4, int8]", "--json")
    assert (found["scheme"], found["ran"], found["epochs"], found["start"]) == ("sdq[int4,int8]", "int4", 20, "int4")
    (switch,) = found["switches"]
    assert (switch["epoch"], switch["label"], switch["signal"]) == (11, "int8", "epoch clock")
    assert (found["exact_until"], found["bits"]) == (10, [4.0, 8.0])
    done = bitfront("replay", run, "--scheme", "sdq[int4,int8]")
    assert "epoch clock" in done.stdout
    assert done.stdout.endswith(
        "Exact up to the switch after epoch 10; from there on an estimate, on the losses of a run that trained with "
        "int4.\n"
    )
    refused = bitfront("replay", run, "--scheme", "int8")
    assert (refused.returncode, refused.stderr) == (
        2,
        "bitfront: the scheme 'int8' has no schedule to replay: give one of adq, cpt, dsq, muppet, pfq, sdq\n",
    )


def test_changes_of_precision_are_told_and_exported(bitfront: CommandLine):
    options = ("--dataset", "karate", "--model", "gcn", "--epochs", "8", "--scheme", "sdq[int4,int8]")
    trained = bitfront.json("run", *options, "--json")
    assert trained["arithmetic_density"] < trained["arithmetic_density_thesis"]
    run = trained["runs"][0]["run"]
    decisions = bitfront.json("status", run, "--json")["precision"]
    assert [(row["epoch"], row["label"], row["signal"]) for row in decisions] == [
        (1, "int4", "start"),
        (5, "int8", "epoch clock"),
    ]
    assert "Precision by epoch" in bitfront("status", run).stdout
    rows = bitfront.json("export", "--table", "precision", "--format", "json")
    assert {(row["epoch"], row["format"]) for row in rows} == {(1, "int4"), (5, "int8")}
    (exported,) = bitfront.json("export", "--format", "json")
    assert exported["arithmetic_density_thesis"] == trained["arithmetic_density_thesis"]
    bits = [row["average_bits"] for row in bitfront.json("export", "--table", "epochs", "--format", "json")]
    assert bits == [4.0] * 4 + [8.0] * 4


def test_a_sweeps_table_is_printed_again_without_launching(compared: tuple[CommandLine, Path]):
    bitfront, file = compared
    done = bitfront("sweep", str(file), "--table")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert " ".join(lines[0].split()) == (
        "dataset model scheme n test accuracy (%) at best val 95 % test accuracy (%) last bits memory arithmetic "
        "bits and densities of published"
    )
    assert [line.split()[2:4] for line in lines[1:3]] == [["fp32", "3"], ["int4", "3"]]
    ours = bitfront.json("sweep", str(file), "--table", "--json")["groups"][0]["max_mean"]
    assert lines[1].endswith(f"91.50 ± 2.00, a paper, Table 1 (best test: ours {ours:.2f})")
    assert "training, quantized part" in lines[2]
    assert lines[3] == "1 of 3 groups have no finished run yet."
    assert lines[5] == "Paired by seed: the first scheme minus the second"
    assert [line.split()[2:6] for line in lines[7:] if "−" in line] == [
        ["fp32", "−", "int4", "3"],
        ["int4", "−", "fp32", "3"],
        ["int8", "−", "fp32", "0"],
    ]


def test_the_status_of_a_sweep_says_what_a_launch_would_do(compared: tuple[CommandLine, Path]):
    bitfront, file = compared
    done = bitfront("sweep", str(file), "--status")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[:4] == ["scheme karate · gcn", "fp32 3 of 3", "int4 3 of 3", "int8 0 of 3 · 3 missing"]
    assert re.fullmatch(r"study@\w{8} was not launched yet\.", lines[4])
    assert lines[5:] == ["A launch now would launch 3 runs."]
    found = bitfront.json("sweep", str(file), "--status", "--json")
    assert (found["progress"], found["acts"]) == (None, {"keep": 6, "launch": 3})


def test_a_sweeps_table_concludes_shows_curves_and_what_a_paper_says_of_the_costs(
    compared: tuple[CommandLine, Path], tmp_path: Path
):
    bitfront, _ = compared
    file = tmp_path / "concluded.toml"
    file.write_text(
        'name = "concluded"\nseeds = 3\nbaseline = "fp32"\ncurves = ["val_loss"]\n'
        '[spec]\ndataset = "karate"\nmodel = "gcn"\nscheme = ["fp32", "int4"]\ntraining.epochs = 5\n'
        '[conclusion]\nwithin = 100.0\n[[conclusion.families]]\nname = "fixed point"\nschemes = ["int4"]\n'
        '[[published]]\ndataset = "karate"\nmodel = "gcn"\nscheme = "int4"\nfigure = "feature_saving"\nvalue = 9.5\n'
        'source = "a paper"\nprovenance = "given"\n'
    )
    found = bitfront.json("sweep", str(file), "--table", "--json")
    (row,) = found["conclusion"]
    pair = found["paired"][0]
    assert (row["family"], row["scheme"], row["n"]) == ("fixed point", "int4", 3)
    assert (row["difference"], row["arithmetic_density"]) == (pair["difference"], 20.9)
    curve = [point for point in found["curves"]["val_loss"] if point["group_id"] == pair["a"]]
    assert [(point["epoch"], point["n"]) for point in curve] == [(epoch, 3) for epoch in range(1, 6)]

    lines = [" ".join(line.split()) for line in bitfront("sweep", str(file), "--table").stdout.splitlines()]
    assert lines[2].endswith("9.50×, a paper (Saving of feature memory: ours 8.00×)")
    start = lines.index("The densest of each family within 100 of fp32")
    assert lines[start + 2].startswith(f"fixed point karate · gcn · node-classification int4 {row['difference']:+.2f}")
    assert lines[start + 2].endswith("3 8.00× 20.90× 8.00× / 20.90×")
    start = lines.index("Validation loss by epoch, mean over runs")
    assert lines[start + 1] == "dataset model scheme 1 2 3 4 5"
    means = {point["epoch"]: f"{point['mean']:.4g}" for point in curve}
    assert f"karate gcn int4 {' '.join(means[epoch] for epoch in range(1, 6))}" in lines[start + 2 : start + 4]


def test_a_sweeps_table_shows_what_was_measured_and_published(compared: tuple[CommandLine, Path], tmp_path: Path):
    bitfront, study = compared
    file = tmp_path / "measured.toml"
    file.write_text(
        'name = "measured"\nseeds = 3\nmeasure = true\n'
        '[spec]\ndataset = "karate"\nmodel = "gcn"\nscheme = ["fp32", "int4"]\ntraining.epochs = 5\n'
        '[[published]]\ndataset = "karate"\nmodel = "gcn"\nscheme = "int4"\nmetric = "peak_torch"\nvalue = 3e6\n'
        'source = "a paper"\nprovenance = "given"\n'
    )
    [run, *_] = bitfront.json("sweep", str(study), "--table", "--json")["groups"][1]["runs"]
    rows = [
        Measurement(quantity="peak_torch", variant="run", value=1.5e6),
        Measurement(quantity="peak_torch", variant="fp32", value=1e6),
        Measurement(quantity="epoch_seconds", variant="run", value=0.0125),
    ]
    about = {"host": "here", "cpu": "some", "device": "cpu", "threads": 1, "allocator": "some", "epochs": 1}
    deliver(run, RunMeasured(rows=rows, **about), Settings(home=bitfront.home))
    lines = [" ".join(line.split()) for line in bitfront("sweep", str(file), "--table").stdout.splitlines()]
    start = lines.index("Measured, each in a fresh process; in brackets: to fp32")
    assert lines[start + 1] == (
        "dataset model scheme Peak memory, torch-allocated plus features Epoch "
        "published: peak memory, torch-allocated plus features"
    )
    assert lines[start + 2 : start + 4] == [
        "karate gcn fp32",
        "karate gcn int4 1.50 MB (1.50×) 12.50 ms 3.00 MB, a paper",
    ]


def test_a_sweeps_paired_difference_is_scipys(compared: tuple[CommandLine, Path]):
    bitfront, file = compared
    found = bitfront.json("sweep", str(file), "--table", "--json")
    fp32, int4 = found["groups"]
    values = {
        group["scheme"]: [bitfront.json("status", run, "--json")["test_at_best_val"] for run in group["runs"]]
        for group in (fp32, int4)
    }
    pair = found["paired"][0]
    interval = stats.ttest_rel(values["fp32"], values["int4"]).confidence_interval(0.95)
    low, high = pair["difference"] - pair["ci95"], pair["difference"] + pair["ci95"]
    assert (pair["seeds"], pair["unit"]) == ([0, 1, 2], "%")
    assert (low, high) == pytest.approx((interval.low, interval.high), rel=1e-8)
    assert fp32["published"] == [
        {
            "value": 91.5,
            "std": 2.0,
            "source": "a paper, Table 1",
            "selection": "best test",
            "of": None,
            "unit": None,
            "ours": fp32["max_mean"],
        }
    ]


def test_a_table_of_runs_that_nobody_launched_says_so(compared: tuple[CommandLine, Path]):
    bitfront, file = compared
    done = bitfront("sweep", str(file), "--table", "--epochs", "6")
    assert " ".join(done.stdout.split()) == (
        f"No run of this file is known here: launch it with `bitfront sweep {file}`."
    )


def test_rebuild_backup_and_restore_give_the_same_runs(bitfront: CommandLine, tmp_path: Path):
    """Two processes train the same spec: every loss of every epoch is equal, bit for bit, and stays so."""

    def epochs(command_line: CommandLine) -> list[list[tuple[Any, ...]]]:
        tables: dict[str, list[tuple[Any, ...]]] = {}
        for row in json.loads(command_line("export", "--format", "json", "--table", "epochs").stdout):
            values = (row["epoch"], row["train_loss"], row["val_loss"], row["test_loss"], row["test_metric"])
            tables.setdefault(row["run"], []).append(values)
        return list(tables.values())

    for train in (bitfront.json, bitfront.json_of_process):
        train(*RUN, "--scheme", "int4", "--json")
    first, second = epochs(bitfront)
    assert len(first) == 5
    assert first == second

    archive = tmp_path / "backup.duckdb"
    assert bitfront("backup", str(archive)).returncode == 0
    (bitfront.home / "bitfront.duckdb").unlink()
    assert bitfront("rebuild").returncode == 0
    assert epochs(bitfront) == [first, second]

    other = CommandLine(tmp_path / "other", bitfront.data)
    done = other("restore", str(archive))
    assert done.returncode == 0, done.stderr
    assert epochs(other) == [first, second]


def test_measure_compares_with_fp32_and_keeps_what_it_found(trained: CommandLine):
    run = trained.report["runs"][0]["run"]
    found = trained.json("measure", run, "--epochs", "3", "--allocator", "tuned", "--json")
    assert (found["run"], found["scheme"], found["epochs"]) == (run, "int8", 3)
    assert "MALLOC_MMAP_THRESHOLD_=1073741824" in found["allocator"]
    values = {(row["quantity"], row["variant"]): row["value"] for row in found["rows"]}
    assert set(values) == {(name, variant) for name in QUANTITIES for variant in ("run", "fp32")}
    assert all(value > 0 for value in values.values())
    # The second layer's quantized weight, 16 × 4 floats, is held beside the weight; the first one's has no product.
    assert values["held_for_backward", "run"] - values["held_for_backward", "fp32"] == 4 * 16 * 4
    kept = open_reader(Settings(home=trained.home)).query("measurements", runs=run).to_pylist()
    assert {(row["quantity"], row["variant"]): row["value"] for row in kept} == values


@pytest.mark.parametrize(("text", "seeds"), [("3", [0, 1, 2]), ("0,4,7", [0, 4, 7]), ("7,", [7])])
def test_seeds_are_a_number_a_list_or_one(text: str, seeds: list[int]):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("kind", ["datasets", "models", "schemes", "formats"])
def test_list_as_table_and_as_json(bitfront: CommandLine, kind: str):
    rows = bitfront.json("list", kind, "--json")
    table = bitfront("list", kind).stdout
    assert rows
    assert all(row["name"] in table for row in rows)


def test_formats_are_listed_with_their_densities(bitfront: CommandLine):
    rows = {row["name"]: row for row in bitfront.json("list", "formats", "--json")}
    assert rows["int8"]["arithmetic_density"] == 7.7
    assert rows["int8"]["arithmetic_density_is"] == "published"
    assert rows["msfp13"]["bits_an_element"] == 5.5
    assert rows["int6"]["arithmetic_density_is"] == "interpolated"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("run", "--dataset", "coar"),
            str(unknown("dataset", "coar", list(DATASETS))),
        ),
        (
            ("run", "--model", "gnc"),
            "unknown model 'gnc': did you mean gin or gcn or agnn? Allowed: agnn, gat, gcn, gin, sage",
        ),
        (
            ("run", "--epochs", "0"),
            "training.epochs = 0 is not allowed: it should be greater than or equal to 1",
        ),
        (
            ("run", "--epochs", "-3"),
            "training.epochs = -3 is not allowed: it should be greater than or equal to 1",
        ),
        (
            ("run", "--set", "training.lr"),
            "--set 'training.lr' is not allowed: write key=value, as in training.lr=0.02",
        ),
        (("run", "--set", "seed=3"), "--set seed is not allowed: name the seeds by --seeds"),
        (
            ("run", "--seeds", "many"),
            "--seeds 'many' is not allowed: give a number of seeds (3), a list (0,4,7) or one seed (7,)",
        ),
        (("run", "--seeds", "1,1"), "--seeds 1,1 names a seed twice"),
        (("run", "--scheme", "int8("), "cannot read the scheme 'int8(' at the end: expected the name of an option"),
        (("sweep", "absent.toml"), "there is no file absent.toml"),
        (
            ("bench", "fromats"),
            "unknown bench 'fromats': did you mean formats? Allowed: machine, formats, rematching, signals, train, "
            "memory, inference, throughput, aggregation, large, dashboard",
        ),
        (
            ("bench", "large", "--set", "fracton=1"),
            "unknown option of the bench 'large' 'fracton': did you mean fraction? Allowed: fraction, epochs, threads",
        ),
        (
            ("bench", "large", "--set", "fraction=all"),
            "--set fraction=all is not allowed: fraction is a number, such as 0.02",
        ),
        (
            ("sweep", "studies/cora-formats.toml", "--table", "--wait"),
            "--table and --status launch nothing: give one of them alone, or --wait, or --again",
        ),
        (("cancel",), "name the runs or the sweep to cancel, or give --all-queued or --all"),
        (("resume",), "name the runs to resume"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(bitfront: CommandLine, arguments: tuple[str, ...], sentence: str):
    done = bitfront(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"bitfront: {sentence}\n")


def test_a_broken_sweep_file_names_the_place(bitfront: CommandLine, tmp_path: Path):
    file = tmp_path / "broken.toml"
    file.write_text("name = = 3")
    done = bitfront.process("sweep", str(file))
    assert done.returncode == 2
    assert done.stderr.startswith(f"bitfront: {file} is not valid TOML: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_run_that_fails_says_why_and_keeps_its_history(bitfront: CommandLine):
    done = bitfront(*RUN, "--set", "training.lr=1e30")
    assert done.returncode == 1
    assert done.stderr.startswith("bitfront: the ")
    assert "loss is no longer a finite number at epoch" in done.stderr
    row = bitfront.json("status", "--json")[0]
    assert row["state"] == "failed"
    assert done.stderr == f"bitfront: {row['reason']}\n"
    assert row["epoch"] >= 1


def test_a_queue_that_is_down_launches_nothing(bitfront: CommandLine, tmp_path: Path):
    file = tmp_path / "sweep.toml"
    file.write_text('[spec]\ndataset = "karate"\nmodel = "gcn"\n')
    done = bitfront("sweep", str(file), REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nothing was launched" in done.stderr


def test_an_empty_home_says_so(bitfront: CommandLine):
    done = bitfront("status")
    assert done.returncode == 1
    assert done.stderr == (
        f"bitfront: there is no database at {bitfront.home / 'bitfront.duckdb'}: "
        "nothing was run yet, or BITFRONT_HOME names another home\n"
    )


def test_an_unknown_run_is_named(trained: CommandLine):
    done = trained("status", "nosuchrun")
    assert (done.returncode, done.stderr) == (2, "bitfront: there is no run 'nosuchrun': bitfront status lists them\n")


def test_datasets_are_listed_with_their_place_and_needs(bitfront: CommandLine):
    rows = {row["name"]: row for row in bitfront.json("list", "datasets", "--json")}
    assert rows["karate"]["where"] == "here"
    assert rows["karate"]["needs"] == "nothing"
    assert (rows["reddit"]["where"], rows["reddit"]["needs"]) == (
        "to download",
        "1290 MB download or mirror archive",
    )
    assert rows["reddit"]["nodes"] == 232_965
    assert rows["tox21"]["needs"] == "0.3 MB download or mirror archive; package rdkit"
    assert rows["zinc"]["tasks"] == ["graph-regression"]
    assert rows["qm9"]["graphs"] == 130_831
    assert rows["file"]["nodes"] is None
    named = [row for name, row in rows.items() if not name.startswith("like:")]
    assert all(row["splits"] and row["licence"] and row["metric"] for row in named)


def test_a_datasets_place_follows_the_data_folder(bitfront: CommandLine, tmp_path: Path, mirror: Path):
    bitfront.environment |= {"BITFRONT_DATA": str(tmp_path / "data")}
    before = {row["name"]: row["where"] for row in bitfront.json("list", "datasets", "--json")}
    assert (before["cora"], before["flickr"]) == ("in the mirror", "to download")
    bitfront.json("run", "--dataset", "cora", "--epochs", "1", "--json")
    after = {row["name"]: row["where"] for row in bitfront.json("list", "datasets", "--json")}
    assert after["cora"] == "here"


def test_a_caveat_is_beside_the_result(bitfront: CommandLine, mirror: Path):
    rows = json.loads((mirror / "index.json").read_text())
    said = next(row["caveat"] for row in rows if "zinc" in row["datasets"])
    report = bitfront.json("run", "--dataset", "zinc", "--model", "gin(hidden=8)", "--epochs", "1", "--json")
    assert (report["dataset_label"], report["caveat"]) == ("ZINC-12k (rebuilt)", said)
    done = bitfront("run", "--dataset", "karate", "--epochs", "1")
    assert "20 test nodes: one node is 5 points" in done.stdout


def test_ones_own_data_by_its_path(bitfront: CommandLine, tmp_path: Path):
    folder = write_tables(tmp_path / "my data")
    report = bitfront.json("run", "--dataset", f'file(path="{folder}")', "--epochs", "2", "--json")
    assert report["dataset"] == "file"
    (folder / "edges.csv").write_text("source,target\nn0,n99\n")
    done = bitfront("run", "--dataset", f'file(path="{folder}")', "--epochs", "2")
    assert done.returncode == 2
    assert done.stderr == "bitfront: edges.csv, line 2: the target 'n99' is no node of nodes.csv\n"
