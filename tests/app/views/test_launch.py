"""The Launch page: a form grown from the catalogues, an estimate, exact errors, all runs or none."""

from __future__ import annotations

import json

import pytest

from app.forms import option_names
from app.phrases import literal
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.events import RunQueued, new_run_id
from engine.models import MODELS
from engine.scheme import parse_scheme
from engine.spec import read_toml
from engine.sweep import expand
from tests.app.views.conftest import Dashboard, stream
from tests.store.conftest import Service, Valkey
from tests.store.lives import finished


def messages(elements) -> list[str]:
    return [element.value for element in elements]


def test_the_form_offers_what_the_catalogues_hold(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    assert page.selectbox(key="dataset").options == [*DATASETS, *DATASETS.members]
    assert page.selectbox(key="model").options == list(MODELS)


@pytest.mark.parametrize("name", [*DATASETS, "like:reddit"])
def test_each_datasets_options_are_fields(dashboard: Dashboard, name: str) -> None:
    page = dashboard.open("launch", dataset=name)
    for option in option_names(DATASETS[name].spec):
        assert page.get_by_key(f"dataset.{option}")


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


def test_expected_time_comes_from_earlier_runs(dashboard: Dashboard, store: Service) -> None:
    store.client.post_events(finished(new_run_id(), dataset="karate", scheme="int8"))
    dashboard.use(store)
    page = dashboard.open("launch", dataset="karate", schemes=["int8"], **{"training.epochs": "10"})
    assert page.metric[1].value == "15 s"  # 0.5 s an epoch, 10 epochs, 3 seeds
    assert dashboard.open("launch", dataset="sbm").metric[1].value == "unknown"


def test_another_dataset_brings_its_task_and_settings(dashboard: Dashboard) -> None:
    page = dashboard.open("launch")
    assert page.selectbox(key="task").value == "node-classification"
    page.selectbox(key="dataset").set_value("mutag").run()
    assert not page.exception
    assert page.selectbox(key="task").value == "graph-classification"
    assert page.number_input(key="training.epochs").value == 250
    assert page.number_input(key="training.batch_size").value == 128
    assert page.selectbox(key="model.readout").value == "mean"
    assert messages(page.code)[0] == "bitfront run --dataset mutag --model gcn --scheme fp32 --seeds 3"
    assert not page.button(key="launch").disabled


def test_another_task_brings_its_settings(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="cora", schemes=["int8"])
    page.selectbox(key="task").set_value("link-prediction").run()
    assert page.number_input(key="model.hidden").value == 128
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


def test_a_synthetic_dataset_is_marked(dashboard: Dashboard) -> None:
    page = dashboard.open("launch", dataset="sbm")
    assert any("Synthetic data" in text for text in messages(page.markdown))
