"""The Launch page: a form grown from the catalogues, an estimate, exact errors, all runs or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.clone import clone_parameters
from app.forms import option_names
from app.launching.presets import presets
from app.phrases import literal
from engine.datasets import DATASETS
from engine.datasets.known_inputs import keep_inputs
from engine.errors import InputError
from engine.events import RunQueued, new_run_id
from engine.input_magnitudes import input_magnitudes
from engine.models import MODELS
from engine.scheme import parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec, TrainingSpec, read_toml
from engine.sweep import expand
from tests.app.views.conftest import Dashboard, stream
from tests.store.conftest import Service, Valkey
from tests.store.lives import finished, queued


def messages(elements) -> list[str]:
    return [element.value for element in elements]


def test_the_form_offers_what_the_catalogues_hold(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    assert page.multiselect(key="dataset").options == [*DATASETS, *DATASETS.members]
    assert page.multiselect(key="model").options == list(MODELS)


def test_each_datasets_options_are_fields(dashboard: Dashboard) -> None:
    names = [*DATASETS, "like:reddit"]
    page = dashboard.open("launch", dataset=names, detail="Expert")
    fields = [f"dataset.{name}.{option}" for name in names for option in option_names(DATASETS[name].spec)]
    assert [field for field in fields if not has(page, field)] == []


def test_every_other_field_of_a_spec_is_in_the_experts_form(dashboard: Dashboard) -> None:
    expert = dashboard.open("launch", detail="Expert", model=["gcn", "gat"])
    fields = [f"training.{name}" for name in TrainingSpec.model_fields]
    fields += [f"model.{name}.{option}" for name in ("gcn", "gat") for option in option_names(MODELS[name].spec)]
    fields += ["device", "sweep.priority", "sweep.measure", "budget.runs", "budget.hours"]
    assert [field for field in fields if not has(expert, field)] == []
    basic = dashboard.open("launch")
    assert [field for field in fields if has(basic, field)] == [
        "training.epochs",
        "training.lr",
        "model.gcn.layers",
        "model.gcn.hidden",
    ]


def has(page: AppTest, key: str) -> bool:
    """Whether a field of this key is drawn."""
    try:
        return bool(page.get_by_key(key))
    except KeyError:
        return False


def test_a_field_that_a_link_sets_is_shown_to_everybody(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", **{"model.gcn.dropout": "0.25", "training.weight_decay": "0"})
    assert page.number_input(key="model.gcn.dropout").value == 0.25
    assert page.number_input(key="training.weight_decay").value == 0.0
    assert "--model 'gcn(dropout=0.25)'" in messages(page.code)[0]
    assert "--set training.weight_decay=0.0" in messages(page.code)[0]


def test_a_grid_of_datasets_and_architectures_is_counted_shown_and_written(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset=["karate", "cora"], model=["gcn", "gat"], schemes=["fp32", "int8"])
    assert page.metric[0].value == "24"
    table = page.dataframe[0].value
    assert table[["Scheme", "Dataset", "Architecture"]].drop_duplicates().shape == (8, 3)
    command, python, toml = messages(page.code)
    assert len(command.splitlines()) == 8
    compile(python, "notebook", "exec")
    assert len(expand(read_toml(toml, "the sweep")).runs) == 24


def test_settings_that_differ_between_runs_are_named_and_left_to_them(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset=["karate", "mutag"])
    epochs = page.number_input(key="training.epochs")
    assert (epochs.value, epochs.placeholder) == (None, "150/250")
    assert page.selectbox(key="task").value == "the first of each"
    toml = messages(page.code)[2]
    assert {run.training.epochs for run in expand(read_toml(toml, "the sweep")).runs} == {150, 250}
    epochs.set_value(20).run()
    toml = messages(page.code)[2]
    assert {run.training.epochs for run in expand(read_toml(toml, "the sweep")).runs} == {20}


def test_what_somebody_has_set_stays_when_another_dataset_joins(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    page.number_input(key="training.epochs").set_value(20).run()
    page.multiselect(key="dataset").set_value(["cora", "mutag"]).run()
    assert page.number_input(key="training.epochs").value == 20
    assert page.number_input(key="training.lr").value == 0.01
    assert page.number_input(key="model.gcn.hidden").value is None  # 16 or 64


def test_combinations_that_cannot_be_run_are_left_out_if_asked(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", model=["gcn", "gat"], schemes=["int8", "cwq(att=2,emb=8)"])
    (fault,) = messages(page.error)
    assert "which gcn does not have" in fault
    assert page.button(key="launch").disabled
    page.toggle(key="leave_out").set_value(True).run()
    assert (messages(page.error), page.metric[0].value) == ([], "9")
    assert len(expand(read_toml(messages(page.code)[2], "the sweep")).runs) == 9


def test_a_preset_fills_the_form_in(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    page.selectbox(key="preset").set_value("degree-quant-citations").run()
    assert not page.exception
    assert page.multiselect(key="dataset").value == ["cora", "citeseer"]
    assert page.number_input(key="training.epochs").value == 200
    assert page.toggle(key="model.gcn.input_dropout").value is True
    sweep = expand(read_toml(messages(page.code)[2], "the sweep"))
    assert {run.hash for run in sweep.runs} == {
        run.hash for run in expand(presets()["degree-quant-citations"].sweep).runs
    }
    assert any("Tailor et al." in text for text in messages(page.caption))
    page.selectbox(key="preset").set_value("thesis-links").run()
    assert page.selectbox(key="task").value == "link-prediction"
    assert page.multiselect(key="model").value == ["gcn"]
    assert not has(page, "model.gcn.input_dropout")


def test_what_the_form_cannot_say_is_taken_as_a_file(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    page.selectbox(key="preset").set_value("degree-quant-reddit-binary").run()
    assert not page.exception
    assert page.metric[0].value == "50"
    text = str(page.text_area(key="sweep-file").value)
    page.text_area(key="sweep-file").set_value(text + "[budget]\nrunz = 3\n").run()
    (fault,) = messages(page.error)
    assert fault.startswith(literal("unknown setting 'budget.runz': did you mean budget.runs"))
    assert page.button(key="launch").disabled


def test_the_form_goes_on_as_a_file(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="karate", schemes=["int8", "fp32"], seeds="0,4")
    page.segmented_control(key="detail").set_value("Sweep file").run()
    assert not page.exception
    text = str(page.text_area(key="sweep-file").value)
    assert [run.seed for run in expand(read_toml(text, "the sweep")).runs] == [0, 0, 4, 4]
    assert page.metric[0].value == "4"


def test_the_file_follows_the_form_until_somebody_edits_it(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="karate", schemes=["int8"], detail="Sweep file", seeds="2")
    assert not page.text_area(key="sweep-file").value
    show = page.segmented_control(key="detail").set_value
    for seeds in ("2", "4"):
        show("Basic").run()
        page.text_input(key="seeds").set_value(seeds).run()
        page.segmented_control(key="detail").set_value("Sweep file").run()
        assert page.metric[0].value == seeds
    text = str(page.text_area(key="sweep-file").value).replace("seeds = 4", "seeds = 5")
    page.text_area(key="sweep-file").set_value(text).run()
    page.segmented_control(key="detail").set_value("Basic").run()
    page.text_input(key="seeds").set_value("6").run()
    page.segmented_control(key="detail").set_value("Sweep file").run()
    assert page.metric[0].value == "5"


def test_a_preset_has_no_parent(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="karate", parent="r0", clone="mine@1")
    assert "Filled in from run r0" in str(messages(page.caption))
    page.selectbox(key="preset").set_value("degree-quant-citations").run()
    assert not {"parent", "clone"} & set(page.query_params)
    assert "Filled in from run r0" not in str(messages(page.caption))


def test_a_link_of_before_fills_the_fields_of_now(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="sbm", **{"dataset.nodes": "300", "model.hidden": "64", "priority": "2"})
    assert page.number_input(key="dataset.sbm.nodes").value == 300
    assert page.number_input(key="model.gcn.hidden").value == 64
    assert page.number_input(key="sweep.priority").value == 2
    assert not {"dataset.nodes", "model.hidden", "priority"} & set(page.query_params)
    page.selectbox(key="preset").set_value("degree-quant-citations").run()
    assert not has(page, "sweep.priority")


def test_the_estimate_counts_runs_and_shows_densities_with_their_scope(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", schemes=["fp32", "int8", "msfp13"])
    assert page.metric[0].value == "9"
    table = page.dataframe[0].value.set_index("Scheme")
    assert table.loc["int8", ["Memory", "Arithmetic"]].tolist() == pytest.approx([4.0, 7.7])
    assert table["Holds for"].tolist() == [
        "inference, quantized part",
        "training, quantized part",
        "training, quantized part",
    ]


def test_a_schedule_is_previewed_beside_the_static_schemes(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", schemes=["int8", "sdq[int4,int4,int6,int8]"], own="adq[int4,int8]")
    (chart,) = page.get("plotly_chart")
    lines = {trace["name"]: trace for trace in json.loads(chart.proto.spec)["data"]}
    assert lines["int8"]["y"] == [8.0, 8.0]
    assert lines["sdq[int4,int4,int6,int8]"]["x"] == [1, 38, 39, 75, 76, 113, 114, 150]
    assert lines["adq[int4,int8]"]["line"]["dash"] == "dash"
    assert any(text.startswith("Dashed: signals of the run decide.") for text in messages(page.caption))


def test_static_schemes_alone_have_no_preview_of_a_schedule(dashboard: Dashboard) -> None:
    assert not dashboard.open("launch", schemes=["int8", "fp32"]).get("plotly_chart")


def test_the_same_is_shown_as_command_python_and_sweep_file(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", schemes=["int8"], seeds="0,4", **{"training.epochs": "20"})
    command, python, toml = messages(page.code)
    assert command == "bitfront run --dataset cora --model gcn --scheme int8 --seeds 0,4 --epochs 20"
    assert "engine.RunSpec(dataset='cora', model='gcn', scheme=scheme, seed=seed, training={'epochs': 20})" in python
    assert [run.seed for run in expand(read_toml(toml, "the sweep")).runs] == [0, 4]


@pytest.mark.parametrize("text", ["int9000", "msfq13", "int4:wieght", "int8[4]", "int4+int8"])
def test_a_wrong_scheme_is_refused_in_the_engines_words(dashboard: Dashboard, text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_scheme(text)
    page = dashboard.open("launch", own=text)
    assert messages(page.error) == [literal(refused.value)]
    assert page.button(key="launch").disabled


def test_a_written_scheme_is_launched_with_the_picked_ones(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", own="int4:weights; int8")
    assert page.dataframe[0].value["Scheme"].tolist() == ["fp32", "int4:weight", "int8"]
    assert not page.button(key="launch").disabled


def test_wrong_seeds_are_refused(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", seeds="0,x")
    assert messages(page.error) == [
        "seeds = '0,x' is not allowed: give a count, such as 3, or a list of whole numbers, such as 0, 4, 7"
    ]
    assert page.button(key="launch").disabled


def test_a_wrong_setting_is_refused_in_the_specs_words(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    page.number_input(key="training.lr").set_value(0.0).run()
    assert messages(page.error) == ["training.lr = 0.0 is not allowed: it should be greater than 0"]
    assert page.button(key="launch").disabled


def test_no_scheme_is_said(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    page.multiselect(key="schemes").set_value([]).run()
    assert messages(page.error) == ["no scheme is chosen: pick at least one, or write one"]


def test_a_queue_that_is_down_launches_nothing_and_keeps_the_form(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", schemes=["int8", "msfp13"], own="int4:weight", seeds="2")
    page.button(key="launch").click().run()
    assert not page.exception
    (message,) = messages(page.error)
    assert message.startswith(literal("the queue at redis://127.0.0.1:9/0 does not answer"))
    assert message.endswith("nothing was launched")
    assert page.multiselect(key="schemes").value == ["int8", "msfp13"]
    assert page.text_input(key="own").value == "int4:weight"
    assert page.text_input(key="seeds").value == "2"


def test_launching_writes_every_run_and_links_to_them(dashboard: Dashboard, valkey: Valkey) -> None:
    dashboard.use(None, valkey)
    page = dashboard.open("launch", dataset="karate", schemes=["fp32", "int8"], seeds="2")
    page.button(key="launch").click().run()
    entries = stream(valkey)
    launched = [entry.body for entry in entries if isinstance(entry.body, RunQueued)]
    assert [(body.spec["scheme"], body.spec["seed"]) for body in launched] == [
        ("fp32", 0),
        ("int8", 0),
        ("fp32", 1),
        ("int8", 1),
    ]
    assert len({body.sweep for body in launched}) == 1
    assert messages(page.success) == ["Launched 4 runs."]
    assert entries[0].run in page.page_link[0].proto.query_string


def test_a_single_run_that_is_to_be_measured_is_a_sweep(dashboard: Dashboard, valkey: Valkey) -> None:
    dashboard.use(None, valkey)
    page = dashboard.open("launch", dataset="karate", seeds="1", **{"sweep.measure": "true"})
    page.button(key="launch").click().run()
    assert messages(page.success) == ["Launched 1 run."]
    (launched,) = [entry.body for entry in stream(valkey) if isinstance(entry.body, RunQueued)]
    assert launched.sweep


def test_expected_time_is_told_by_earlier_runs_as_the_time_left_of_a_sweep_is(
    dashboard: Dashboard, store: Service
) -> None:
    assert dashboard.open("launch", dataset="karate").metric[1].value == "unknown"
    store.client.post_events(finished(new_run_id(), dataset="karate", scheme="int8"))
    store.client.post_events([queued(new_run_id(), dataset="karate", scheme="int8", sweep="mine", seed=5)])
    dashboard.use(store)
    page = dashboard.open("launch", dataset="karate", schemes=["int8"], **{"training.epochs": "10"})
    assert page.metric[1].value == "1 min 20 s"  # 8 s for 3 epochs; 10 epochs, 3 seeds
    (sweep,) = store.client.query("sweeps", sweep="mine").to_pylist()
    (waiting,) = store.client.query("runs", sweep="mine").to_pylist()
    assert sweep["seconds_left"] == pytest.approx(waiting["total_epochs"] * 80 / 30)
    page = dashboard.open("launch", dataset="sbm", **{"training.epochs": "10"})
    assert page.metric[1].value == "1 min 20 s"
    assert page.metric[1].proto.help == (
        "From earlier runs of other datasets (whatever their other settings and device), as work of one worker; no "
        "worker is alive."
    )


def test_inputs_that_would_vanish_are_warned_of_once_the_dataset_was_loaded(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path))
    dashboard.use(None)
    chosen = {"dataset": "cora", "schemes": ["int2", "int8", "sgquant(bits=8)"], "own": "sdq[int2,int8]"}
    assert not dashboard.open("launch", **chosen).warning
    spec = DATASETS["cora"].spec(name="cora")
    words = torch.zeros(20, 100)
    for row in range(20):
        words[row, : row + 1] = 1 / (row + 1)  # row-normalized, from one word to twenty
    words[5] = 0  # a sixth lies on the boundary
    keep_inputs(spec, Settings(home=tmp_path), input_magnitudes(words))
    (warning,) = messages(dashboard.open("launch", **chosen).warning)
    assert warning == (
        "Of the non-zero inputs, these round more than half to zero before the first layer: "
        + literal("int2 on cora: 93 %; sdq[int2,int8] (its int2) on cora: 93 %")
        + ". Give the input more bits, or a scheme with a range a row."
    )


def test_another_dataset_brings_its_task_and_settings(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", detail="Expert")
    assert page.selectbox(key="task").value == "node-classification"
    page.multiselect(key="dataset").set_value(["mutag"]).run()
    assert not page.exception
    assert page.selectbox(key="task").value == "graph-classification"
    assert page.number_input(key="training.epochs").value == 250
    assert page.number_input(key="training.batch_size").value == 128
    assert page.selectbox(key="model.gcn.readout").value == "mean"
    assert messages(page.code)[0] == "bitfront run --dataset mutag --model gcn --scheme fp32 --seeds 3"
    assert not page.button(key="launch").disabled


def test_another_task_brings_its_settings(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="cora", schemes=["int8"])
    page.selectbox(key="task").set_value("link-prediction").run()
    assert page.number_input(key="model.gcn.hidden").value == 128
    command, python, toml = messages(page.code)
    assert command == "bitfront run --dataset cora --task link-prediction --model gcn --scheme int8 --seeds 3"
    assert "task='link-prediction'" in python
    assert {run.task.name for run in expand(read_toml(toml, "the sweep")).runs} == {"link-prediction"}


def test_every_fold_is_launched_as_command_python_and_sweep_say(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="proteins", model="gin", seeds="1")
    assert page.metric[0].value == "10"
    command, python, toml = messages(page.code)
    assert command == "bitfront run --dataset proteins --model gin --scheme fp32 --seeds 1 --folds 10"
    assert "        for fold in range(10):\n" in python
    assert "'fold': fold}" in python
    compile(python, "notebook", "exec")
    assert [run.fold for run in expand(read_toml(toml, "the sweep")).runs] == list(range(10))
    page.toggle(key="every_fold").set_value(False).run()
    assert page.metric[0].value == "1"


def test_a_link_of_one_fold_launches_one_fold(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="proteins", seeds="3", every_fold="false")
    assert page.toggle(key="every_fold").value is False
    assert page.metric[0].value == "3"


def test_a_link_with_nonsense_shows_the_form_all_the_same(dashboard: Dashboard) -> None:
    odd = {"task.folds": "ten", "dataset": ["gone", "proteins"], "model.gcn.hidden": "wide", "seeds": "2", "task": "x"}
    page = dashboard.open("launch", **odd)
    assert page.multiselect(key="dataset").value == ["proteins"]
    assert page.metric[0].value == "20"


def test_a_synthetic_dataset_is_marked(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="sbm")
    assert any("Synthetic data" in text for text in messages(page.markdown))


def test_the_clone_of_one_folds_run_launches_that_fold(dashboard: Dashboard) -> None:
    task = {"name": "graph-classification", "folds": 10, "fold": 3}
    spec = RunSpec.parse({"dataset": "proteins", "model": "gcn", "scheme": "int8", "task": task, "seed": 7})
    page = dashboard.open("launch", **clone_parameters(spec.model_dump(mode="json"), [7], "r0", one_fold=True))
    assert page.toggle(key="every_fold").value is False
    (run,) = expand(read_toml(page.code[2].value, "it")).runs
    assert run.hash == spec.hash
