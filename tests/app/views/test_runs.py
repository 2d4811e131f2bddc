"""The Runs page: the queue, the chosen runs' curves and details, reasons, cancelling, outages."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.live_points import COLUMN, OVERLAP, RUN
from app.phrases import literal
from engine.events import CancelRequested, ResumeRequested, RunCancelled, RunQueued, RunStarted, new_run_id
from store.stream import STREAM
from tests.app.views.conftest import Dashboard, files, pictures, stream
from tests.store import lives
from tests.store.conftest import Service, Valkey
from tests.store.waiting import until


def messages(elements) -> list[str]:
    return [element.value for element in elements]


def sent(page: AppTest) -> dict:
    """What the page's live component was given."""
    (component,) = page.get("bidi_component")
    return json.loads(component.proto.json)


def charts(page: AppTest) -> list[str]:
    """The live charts, each curve with the points that came apart from it, as JSON text."""
    message = sent(page)["message"]
    for trace in (trace for figure in message["figures"] for trace in figure["data"]):
        if len(trace.get("meta", ())) > COLUMN and trace["meta"][RUN] in message["points"]:
            columns = message["points"][trace["meta"][RUN]]["columns"]
            trace |= {"x": columns["epoch"], "y": columns[trace["meta"][COLUMN]]}
    return [json.dumps(figure, separators=(",", ":")) for figure in message["figures"]]


def lines(page: AppTest) -> list[list[str]]:
    """The texts of the live table's cells, a list a run."""
    rows = sent(page)["table"]["rows"]
    return [
        [cell["text"] if "text" in cell else " ".join(name for name, _ in cell["states"]) for cell in row]
        for row in rows
    ]


def table(page: AppTest):
    return page.dataframe[0].value


@pytest.fixture
def run(store: Service) -> str:
    """A finished run of the test's own."""
    run = new_run_id()
    store.client.post_events(lives.finished(run, sweep=f"sweep-{run}"))
    return run


def test_no_runs_yet_says_so_and_leads_to_launch(dashboard: Dashboard, service: Service) -> None:
    dashboard.use(service)
    page = dashboard.open("runs")
    assert "No runs yet" in messages(page.subheader)
    assert page.page_link[0].value == "Launch a run"
    assert not page.dataframe


def test_filters_that_nothing_fits_say_so(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", find="no such thing")
    assert messages(page.info) == ["No run fits these filters."]


def test_the_table_shows_state_progress_and_place_in_the_queue(dashboard: Dashboard, store: Service) -> None:
    sweep, going, waiting = (new_run_id() for _ in range(3))
    store.client.post_events([
        lives.queued(going, sweep=sweep),
        lives.started(going, total_epochs=4),
        lives.event(going, 1, 2, lives.row(1)),
        lives.queued(waiting, at=lives.BEGAN + 1, sweep=sweep, scheme="msfp13", seed=7),
    ])  # fmt: skip
    dashboard.use(store)
    rows = table(dashboard.open("runs", sweep=sweep)).to_dict("records")
    assert [([*row["State"]], row["Scheme"], row["Seed"]) for row in rows] == [
        (["queued"], "msfp13", 7),
        (["running", "silent"], "int8", 0),  # its worker spoke long ago
    ]
    assert rows[0]["Epochs"] == "next in the queue"
    assert (rows[1]["Progress"], rows[1]["Epochs"]) == (25, "1 of 4 · 1.5 s left")
    assert (rows[1]["Validation"], rows[1]["Test"]) == (21, 31)


def test_the_state_filter_is_part_of_the_link(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    assert len(table(dashboard.open("runs", sweep=f"sweep-{run}", state="finished"))) == 1
    page = dashboard.open("runs", sweep=f"sweep-{run}", state="failed")
    assert messages(page.info) == ["No run fits these filters."]


def test_a_linked_run_shows_curves_and_three_selections(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    loss, metric = charts(page)
    assert '"Loss"' in loss
    assert '"Accuracy (%)"' in metric
    for split in ("Train", "Validation", "Test"):
        assert f'"name":"{split}"' in metric
    assert {found.label: (found.value, found.delta) for found in page.metric} == {
        "Test accuracy at best validation": ("80.00 %", "headline, epoch 3"),
        "Test accuracy at last epoch": ("79.00 %", "second selection"),
        "Best test accuracy": ("82.00 %", "never the headline"),
        "Best validation accuracy": ("81.00 %", "chooses the epoch"),
    }


def test_details_show_every_density_with_scope_and_coverage(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    rows = page.dataframe[2].value
    assert rows[["scope", "coverage", "memory"]].to_numpy().tolist() == [
        ["training", "quantized part", 4.0],
        ["training", "whole step", 2.0],
        ["inference", "quantized part", 5.0],
    ]


def test_details_show_the_spec_in_three_forms(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    as_json, as_toml, as_command = messages(dashboard.open("runs", run=run).code)
    assert '"scheme": "int8"' in as_json
    assert 'scheme = "int8"' in as_toml
    assert as_command == "bitfront run --dataset karate --model gcn --scheme int8 --seeds 1"


def test_details_show_where_accuracy_is_lost(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    by_site, by_degree = (json.loads(chart.proto.spec) for chart in page.get("plotly_chart"))
    assert by_site["data"][0]["x"] == ["message", "weight"]
    assert by_site["data"][0]["y"] == [21.0, 41.0]
    assert by_degree["data"][0]["x"] == ["0–3", "4–168"]
    assert "Nodes of the highest in-degree suffer more: their SQNR is below that of the lowest at 1 of 1 places" in (
        " ".join(messages(page.markdown))
    )
    rows = page.dataframe[1].value
    assert rows[["Site", "In-degree", "SQNR", "Saturated"]].to_numpy().tolist() == [
        ["message", "all", 21.0, 1.0],
        ["message", "0–3", 30.0, 1.0],
        ["message", "4–168", 10.0, 1.0],
        ["weight", "all", 41.0, 1.0],
    ]


def test_diagnostics_of_an_earlier_epoch_are_part_of_the_link(dashboard: Dashboard, store: Service) -> None:
    run = new_run_id()
    later = [lives.event(run, 1, 1 + epoch, lives.diagnostics(epoch)) for epoch in (1, 2)]
    store.client.post_events([lives.queued(run), lives.started(run), *later, lives.event(run, 1, 4, lives.row(1))])
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    (choice,) = (box for box in page.selectbox if box.label == "Epoch")
    assert choice.options == ["newest (2)", "2", "1"]
    for given, sqnr in ((None, [22.0, 42.0]), ("1", [21.0, 41.0])):
        page = dashboard.open("runs", run=run, **({"lost-at": given} if given else {}))
        assert json.loads(page.get("plotly_chart")[0].proto.spec)["data"][0]["y"] == sqnr


def test_a_run_without_diagnostics_says_why(dashboard: Dashboard, store: Service) -> None:
    dashboard.use(store)
    plain, going, failed = (new_run_id() for _ in range(3))
    store.client.post_events([lives.queued(plain, scheme="fp32"), lives.queued(going), *lives.failed(failed)])
    said = {
        plain: "Nothing is quantized in this run, so nothing is lost to quantization.",
        going: "The first diagnostics come with one of the first epochs.",
        failed: "This run recorded no diagnostics: it ended before the first ones, or was trained by an older "
        "Bitfront.",
    }
    for run, words in said.items():
        page = dashboard.open("runs", run=run)
        assert words in messages(page.caption)
        assert not page.get("plotly_chart")


def test_several_runs_are_overlaid_by_validation(dashboard: Dashboard, store: Service, run: str) -> None:
    other = new_run_id()
    store.client.post_events(lives.finished(other, scheme="msfp13"))
    dashboard.use(store)
    loss, _ = charts(dashboard.open("runs", run=f"{run},{other}"))
    assert '"name":"int8"' in loss
    assert '"name":"msfp13"' in loss
    assert "Train" not in loss


def test_chosen_runs_say_how_far_and_how_fast_they_are_and_who_has_them(dashboard: Dashboard, store: Service) -> None:
    going, waiting, done = new_run_id(), new_run_id(), new_run_id()
    store.client.post_events([
        lives.queued(going),
        lives.started(going, total_epochs=4),
        lives.event(going, 1, 2, lives.row(1)),
        lives.queued(waiting, scheme="msfp13"),
        *lives.finished(done, scheme="int4"),
        lives.heartbeat("w1", time.time(), going, 1),
    ])  # fmt: skip
    dashboard.use(store)
    page = dashboard.open("runs", run=f"{done},{going},{waiting}")
    assert [column["title"] for column in sent(page)["table"]["columns"]][:4] == ["Run", "State", "Epochs", "Time left"]
    over, now, later = lines(page)
    assert over == ["int4 · seed 0", "finished", "3 of 3", "took 1.5 s", "2", "81.00 %", "1 MB", "w1", "–"]
    assert now == ["int8 · seed 0", "running", "1 of 4", "1.5 s", "2", "21.00 %", "250 MB", "w1", "now"]
    assert later[:3] == ["msfp13 · seed 0", "queued", later[2]]
    assert later[2].startswith(("next in the queue", "place "))


def test_a_run_that_nobody_hears_of_says_so_and_foretells_nothing(dashboard: Dashboard, store: Service) -> None:
    run = new_run_id()
    store.client.post_events([lives.queued(run), lives.started(run), lives.event(run, 1, 2, lives.row(1))])
    dashboard.use(store)
    ((_, state, epochs, left, *_, heard),) = lines(dashboard.open("runs", run=run))
    assert re.fullmatch(r"running silent, last heard \d+ d ago", state)
    assert (epochs, left) == ("1 of 3", "–")
    assert heard.endswith(" d ago")


def test_axes_and_smoothing_are_part_of_the_link(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    plain = dashboard.open("runs", run=run)
    assert [json.loads(chart)["layout"]["xaxis"].get("type") for chart in charts(plain)] == [None, None]
    page = dashboard.open("runs", run=run, log_axes=["Loss", "Epochs"], smooth="0.6")
    loss, metric = (json.loads(chart)["layout"] for chart in charts(page))
    assert [(each["xaxis"]["type"], each["yaxis"]["type"]) for each in (loss, metric)] == [
        ("log", "log"),
        ("log", "linear"),
    ]
    assert sent(page)["smoothing"] == 0.6


def test_what_a_page_has_is_not_sent_again_and_one_that_lost_it_gets_it(dashboard: Dashboard, store: Service) -> None:
    runs = [new_run_id(), new_run_id()]
    for run in runs:
        store.client.post_events([lives.queued(run), lives.started(run), lives.event(run, 1, 2, lives.row(1))])
    dashboard.use(store)
    page = dashboard.open("runs", run=",".join(runs))
    assert {run: found["start"] for run, found in sent(page)["message"]["points"].items()} == dict.fromkeys(runs, 0)
    for _ in range(OVERLAP):
        page.run()
    assert sent(page)["message"]["points"] == {}
    store.client.post_events([lives.event(runs[1], 1, 3, lives.row(2))])
    message = sent(page.run())["message"]
    columns = {"epoch": [2], "val_loss": [1.0], "val_metric": [41.0]}
    assert (message["figures"], message["points"]) == (None, {runs[1]: {"start": 1, "columns": columns}})
    page.session_state["live-points"].begin_anew()
    again = sent(page.run())["message"]
    assert len(again["figures"]) == 2
    assert {run: found["start"] for run, found in again["points"].items()} == dict.fromkeys(runs, 0)


def test_bits_are_drawn_under_the_loss_with_every_switch(dashboard: Dashboard, store: Service) -> None:
    run = new_run_id()
    store.client.post_events(lives.climbing(run))
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    loss, metric = (json.loads(chart) for chart in charts(page))
    bits = {trace["name"]: trace for trace in loss["data"] if trace.get("yaxis") == "y2"}
    assert bits["mean over elements"]["y"] == [4.0] * 11 + [5.0] * 5 + [6.0] * 4
    assert bits["switches"]["x"] == [1, 12, 17]
    assert "loss plateau: 1 against 0.9" in bits["switches"]["customdata"][1]
    assert not [trace for trace in metric["data"] if trace.get("yaxis") == "y2"]
    decisions, formats = (frame.value for frame in page.dataframe if {"Why", "From epoch"} & set(frame.value.columns))
    assert decisions[["Epochs", "Precision", "Signal"]].to_numpy().tolist() == [
        ["1–11", "int4", "start"],
        ["12–16", "int5", "loss plateau"],
        ["17–20", "int6", "loss plateau"],
    ]
    assert len(formats) == 12


def test_another_schedule_is_replayed_into_the_chart(dashboard: Dashboard, store: Service) -> None:
    run = new_run_id()
    store.client.post_events(lives.climbing(run, scheme="int4", climb={1: ("int4", 4.0)}))
    dashboard.use(store)
    page = dashboard.open("runs", run=run, replay="true")
    assert schedule(page).value == "adq[int4,int8]"
    assert ":blue-badge[exact up to epoch 11]" in " ".join(messages(page.markdown))
    assert replayed(page) == {"adq[int4,int8]": [1, 12, 17]}

    sliders(page)[0].set_value(1.1).run()
    assert schedule(page).value == "adq[int4,int8](theta=1.1)"
    assert replayed(page) == {"adq[int4,int8](theta=1.1)": [1]}
    assert ":green-badge[exact up to epoch 20]" in " ".join(messages(page.markdown))

    page.pills(key="replay-controller-adq").set_value("dsq").run()
    assert schedule(page).value == "dsq[int4,int4,int4,int16 -> int16,int6,int6,int16]"
    assert ":gray-badge[an estimate]" in " ".join(messages(page.markdown))

    schedule(page).set_value("int8").run()
    assert messages(page.error) == [
        literal("the scheme 'int8' has no schedule to replay: give one of adq, cpt, dsq, muppet, pfq, sdq")
    ]


def test_the_schedule_that_is_asked_is_part_of_the_link(dashboard: Dashboard, store: Service) -> None:
    run, other = new_run_id(), new_run_id()
    for name, scheme in ((run, "int4"), (other, "int5")):
        store.client.post_events(lives.climbing(name, scheme, climb={1: (scheme, 4.0)}))
    dashboard.use(store)
    page = dashboard.open("runs", run=run, replay="true", replayed="pfq[int4,int8](epsilon=0.3)")
    assert schedule(page).value == "pfq[int4,int8](epsilon=0.3)"
    assert [slider.value for slider in sliders(page)] == [0.3, 0.3]

    sliders(page)[0].set_value(0.1).run()
    assert page.query_params["replayed"] == "pfq[int4,int8](epsilon=0.1)"
    page.query_params["run"] = other
    page.query_params.pop("replayed")
    page.run()
    assert schedule(page).value == "adq[int5,int9]"


def schedule(page: AppTest):
    (field,) = (field for field in page.text_input if field.label == "Schedule")
    return field


def sliders(page: AppTest) -> list:
    """Those of the replayed schedule's numbers."""
    return [slider for slider in page.slider if slider.label != "Smoothing"]


def replayed(page: AppTest) -> dict[str, list[int]]:
    """The epochs at which a replayed schedule switches, by its scheme."""
    traces = [trace for trace in json.loads(charts(page)[0])["data"] if "replayed" in trace["name"]]
    line, marks = traces
    return {line["name"].removeprefix("replayed: "): marks["x"]}


def test_a_replayed_schedule_is_launched_for_real_by_who_may(
    dashboard: Dashboard, store: Service, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run_id()
    store.client.post_events(lives.climbing(run, scheme="int4", climb={1: ("int4", 4.0)}))
    dashboard.use(store, valkey)
    page = dashboard.open("runs", run=run, replay="true", replayed="sdq[int4,int8]")
    page.button(key="replay-launch").click().run()
    (queued,) = stream(valkey)
    assert isinstance(queued.body, RunQueued)
    assert queued.body.spec == lives.spec(scheme="sdq[int4,int8]", training={"epochs": 20})
    assert messages(page.success) == ["Launched " + literal("sdq[int4,int8]") + "."]
    assert queued.body.parent == run
    assert f"run={queued.run}" in [link.proto.query_string for link in page.page_link]
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    dashboard.use(store, valkey)
    page = dashboard.open("runs", run=run, replay="true", replayed="sdq[int4,int8]")
    assert replayed(page)
    assert not [button for button in page.button if button.key == "replay-launch"]


def test_a_replay_of_a_run_without_signals_says_so(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run, replay="true")
    assert messages(page.error) == [
        literal("this run logged no signals: it was trained by an older Bitfront, so nothing can be replayed")
    ]


def test_a_failed_run_says_why_as_it_was_said(dashboard: Dashboard, store: Service) -> None:
    run, reason = new_run_id(), "the loss of epoch 2 is *nan* [see](http://here) :red[x]"
    store.client.post_events(lives.failed(run, reason))
    dashboard.use(store)
    assert messages(dashboard.open("runs", run=run).error) == [literal(reason)]


def test_a_synthetic_run_is_marked(dashboard: Dashboard, store: Service) -> None:
    run = new_run_id()
    store.client.post_events(lives.finished(run, dataset="sbm"))
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    assert any("synthetic data" in text for text in messages(page.subheader))
    assert "sbm (synthetic)" in table(page)["Dataset"].tolist()


def test_cancelling_asks_for_the_chosen_run(dashboard: Dashboard, store: Service, valkey: Valkey) -> None:
    run = new_run_id()
    store.client.post_events([lives.queued(run)])
    dashboard.use(store, valkey)
    page = dashboard.open("runs", run=run)
    page.button(key="cancel-chosen").click().run()
    (asked,) = stream(valkey)
    assert (asked.run, asked.body) == (run, CancelRequested())
    assert not page.error


def test_cancelling_while_the_queue_is_down_says_so(dashboard: Dashboard, store: Service) -> None:
    run = new_run_id()
    store.client.post_events([lives.queued(run)])
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    page.button(key="cancel-chosen").click().run()
    (message,) = messages(page.error)
    assert message.endswith("nothing was cancelled")


def test_a_cancelled_run_is_resumed_and_a_finished_one_cannot_be(
    dashboard: Dashboard, store: Service, valkey: Valkey
) -> None:
    run, over = new_run_id(), new_run_id()
    cancelled = lives.event(run, 1, 2, RunCancelled())
    store.client.post_events([lives.queued(run), lives.started(run), cancelled, *lives.finished(over)])
    dashboard.use(store, valkey)
    page = dashboard.open("runs", run=f"{run},{over}")
    button = page.button(key="resume-chosen")
    assert button.label == "Resume 1 chosen run"
    button.click().run()
    (asked,) = stream(valkey)
    assert (asked.run, asked.body) == (run, ResumeRequested())
    assert not page.error


def test_all_unfinished_runs_are_cancelled_in_one_go(dashboard: Dashboard, streaming: Service, valkey: Valkey) -> None:
    runs = [new_run_id() for _ in range(3)]
    streaming.client.post_events([*(lives.queued(run) for run in runs), *lives.finished(new_run_id())])
    dashboard.use(streaming, valkey)
    page = dashboard.open("runs", states="finished")  # those in the table are not what counts
    page.button(key="cancel-all").click().run()
    assert not page.error
    until(lambda: streaming.client.health()["counts"].get("cancelled") == 3, "all of them are cancelled")


def test_a_queue_that_does_not_answer_is_said_and_the_page_recovers(
    dashboard: Dashboard, streaming: Service, valkey: Valkey
) -> None:
    dashboard.use(streaming, valkey)
    until(lambda: streaming.client.health()["redis"] == "connected", "the store follows")
    assert not dashboard.open("runs").warning
    valkey.stop()
    until(lambda: streaming.client.health()["redis"] == "unreachable", "the store notices")
    (message,) = messages(dashboard.open("runs").warning)
    assert message.startswith("What happens now is not remembered yet: the queue does not answer (")
    assert message.endswith("): the workers keep what they have to say.")
    valkey.start()
    until(lambda: streaming.client.health()["redis"] == "connected", "the store follows again")
    assert not dashboard.open("runs").warning


def test_workers_are_shown(
    dashboard: Dashboard, streaming: Service, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = lives.heartbeat("worker-of-old", time.time())
    # When it was heard goes by the queue's clock, which made the entry's id.
    valkey.client().xadd(STREAM, {"e": beat.to_json()}, id=f"{int(1000 * time.time()) - 60_000}-0")
    until(lambda: streaming.client.query("workers").num_rows == 1, "the store has heard of it")
    dashboard.use(streaming, valkey)
    page = dashboard.open("runs", workers="true")
    workers = page.dataframe[-1].value
    assert workers[["Worker", "State", "Memory"]].to_numpy().tolist() == [["worker-of-old", "gone", "–"]]
    assert [found.label for found in page.expander if found.label.startswith("Workers")] == [
        "Workers (0 alive, 1 gone)"
    ]
    page = dashboard.open("system")
    (workers,) = (frame.value for frame in page.dataframe if "Worker" in frame.value)
    assert workers["State"].tolist() == ["gone"]
    assert health(page)["Queue"].startswith(":green-badge[well] Valkey ")
    assert health(page)["Dispatcher"] == (
        f":orange-badge[look] {literal('none is running, so queued runs wait: `bitfront up` starts it')}."
    )
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    dashboard.use(streaming, valkey)
    page = dashboard.open("system")
    (workers,) = (frame.value for frame in page.dataframe if "Worker" in frame.value)
    assert "Host" not in workers
    assert health(page)["Queue"].startswith(":green-badge[well] Valkey answers")


def health(page: AppTest) -> dict[str, str]:
    """What the System page says of each part."""
    lines = page.table[0].value
    return dict(zip(lines.index.astype(str), lines.iloc[:, 0], strict=True))


def test_the_chosen_runs_are_files_and_their_curves_pictures(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run, sweep=f"sweep-{run}")
    assert files(page) == {"Runs": 1, "Epochs": 3}
    assert pictures(page) == ["Loss", "Accuracy"]
    page = dashboard.open("runs", sweep=f"sweep-{run}")
    assert files(page) == {"Runs": 1}
    assert pictures(page) == []


def everything(page: AppTest) -> str:
    """All texts and cells of a page."""
    said = [text for part in (page.caption, page.markdown, page.warning, page.error) for text in messages(part)]
    said += [str(cell) for found in page.table for cell in found.value.to_numpy().ravel()]
    said += [str(cell) for frame in page.dataframe for cell in frame.value.to_numpy().ravel()]
    return " ".join([*said, json.dumps(sent(page)["table"])]).replace("\\", "")


def test_who_may_only_look_is_told_no_host_process_or_version_of_a_run(
    dashboard: Dashboard, store: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lost = new_run_id(), new_run_id()
    versions = {"packages": {"torch": "9.8.7"}, "platform": "Linux-6.5", "python": "3.11.99", "code": "c0ffee"}
    life = lives.finished(run)
    body = RunStarted(
        worker="cpu-1@machine-of-ours", host="machine-of-ours", pid=7, device="cpu", total_epochs=3, provenance=versions
    )
    life[1] = lives.event(run, 1, 1, body)
    fails = lives.failed(lost, "no file at /srv/ours/x.csv")
    store.client.post_events([*life, lives.measured(run), *fails])
    secrets = ("machine-of-ours", "on here (", "9.8.7", "Linux-6.5", "3.11.99", "c0ffee", "/srv/ours")

    def seen() -> str:
        dashboard.use(store)
        return everything(dashboard.open("runs", run=f"{run},{lost}", focus=run, cost="Measured"))

    shown = seen()
    assert [secret for secret in secrets if secret not in shown] == []
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    shown = seen()
    assert [secret for secret in secrets if secret in shown] == []
    assert "attempt 1 on cpu-1 (cpu)" in shown
    assert "no file at …" in shown


def test_a_store_that_is_down_is_said_and_the_page_comes_back(dashboard: Dashboard, service: Service) -> None:
    run = new_run_id()
    service.client.post_events(lives.finished(run))
    dashboard.use(service)
    port = service.client.url.rsplit(":", 1)[1]
    service.stop()
    page = dashboard.open("runs", run=run)
    (message,) = messages(page.error)
    assert message == f"the store does not answer at http://127.0.0.1:{port}: start it with `bitfront up`"
    service.start("--port", port)
    until(lambda: not page.run().error, "the page shows the run again")
    assert not page.exception
    assert table(page)["State"].tolist() == [["finished"]]


def test_a_runs_cost_card_has_every_figure_with_its_definition(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    labels = [tab.label for tab in page.tabs]
    first = labels.index("Figures")
    assert labels[first : first + 6] == ["Figures", "Where the bits are", "Memory", "Roofline", "Measured", "Export"]
    frames = [table.value for table in page.table if "Definition" in table.value]
    figures = frames[0].set_index("Figure")
    assert figures.loc["Memory density", "Holds for"].tolist() == ["training, quantized part", "training, whole step"]
    assert all(figures["Definition"].str.len() > 20)
    assert "Published area: Rouhani et al., MSFP, NeurIPS 2020" in " ".join(messages(page.caption))


@pytest.mark.parametrize(
    ("part", "title"),
    [
        ("Memory", "Memory (10⁶ bytes)"),
        ("Roofline", "Operational intensity (MAC a byte read or written)"),
    ],
)
def test_a_part_of_the_card_is_a_link(dashboard: Dashboard, store: Service, run: str, part: str, title: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run, cost=part)
    charts = [json.loads(chart.proto.spec)["layout"] for chart in page.get("plotly_chart")]
    assert title in [layout["xaxis"]["title"]["text"] for layout in charts if "title" in layout["xaxis"]]


def test_the_cards_scope_is_part_of_the_link(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run, **{"cost-scope": "inference"})
    frames = [table.value for table in page.table if "Definition" in table.value]
    assert {text.split(",")[0] for text in frames[0]["Holds for"]} == {"inference"}
    assert "Bit operations" in set(frames[0]["Figure"])


def test_measuring_is_asked_of_the_workers_and_shown(
    dashboard: Dashboard, store: Service, valkey: Valkey, run: str
) -> None:
    dashboard.use(store, valkey)
    page = dashboard.open("runs", run=run, cost="Measured")
    assert any(text.startswith("Not measured yet.") for text in messages(page.caption))
    page.button(key=f"measure-{run}").click().run()
    assert valkey.client().zscore("bitfront:measure", run) == 0
    assert "Waiting for a worker: runs that train go first." in messages(page.info)
    store.client.post_events([lives.measured(run)])
    page = dashboard.open("runs", run=run, cost="Measured")
    (table_,) = [frame.value for frame in page.dataframe if "Ratio" in frame.value]
    assert table_[["Quantity", "This run", "fp32", "Ratio"]].to_numpy().tolist() == [
        ["Peak memory, torch-allocated plus features", "17.56 MB", "35.12 MB", "0.50×"]
    ]


def test_without_a_queue_measuring_says_why(dashboard: Dashboard, store: Service, run: str) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run, cost="Measured")
    page.button(key=f"measure-{run}").click().run()
    said = literal("the queue at redis://127.0.0.1:9/0 does not answer")
    assert [text.startswith(said) for text in messages(page.error)] == [True]


def test_the_trained_model_can_be_downloaded_where_it_lies(
    dashboard: Dashboard, store: Service, run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path))
    dashboard.use(store)
    page = dashboard.open("runs", run=run, cost="Export")
    assert "model.safetensors (1.0 kB) lies on the machine of its worker" in [text.value for text in page.caption]
    folder = tmp_path / "artifacts" / run / "1"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"packed")
    page = dashboard.open("runs", run=run, cost="Export")
    labels = [button.proto.label for button in page.get("download_button")]
    assert labels == ["Card as SVG", "Card as JSON", "model.safetensors (1.0 kB)", "Log as text"]


def test_name_tags_and_notes_are_changed_by_who_may(
    dashboard: Dashboard, store: Service, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    page.text_input(f"name-{run}").set_value("best").run()
    page.multiselect(f"tags-{run}").set_value(["paper"]).run()
    page.text_area(f"notes-{run}").set_value("see *table*").run()
    page.button(f"save-{run}").click().run()
    (row,) = store.client.query("run", run=run).to_pylist()
    assert (row["name"], row["tags"], row["notes"]) == ("best", ["paper"], "see *table*")
    monkeypatch.setenv("BITFRONT_AUTH", "readonly")
    dashboard.use(store)
    page = dashboard.open("runs", run=run)
    assert ":blue-badge[paper]" in messages(page.markdown)
    assert literal("see *table*") in messages(page.markdown)
    assert not [field for field in page.text_input if field.key == f"name-{run}"]


def test_a_run_tells_its_log_and_where_it_differs_from_its_parent(
    dashboard: Dashboard, store: Service, run: str
) -> None:
    clone = new_run_id()
    spec = lives.spec(scheme="int4", training={"lr": 0.05})
    store.client.post_events([lives.event(clone, 0, 0, RunQueued(spec=spec, parent=run)), *lives.attempt_of(clone)])
    dashboard.use(store)
    page = dashboard.open("runs", run=clone)
    tables = {tuple(found.value.columns): found.value for found in page.dataframe}
    told = tables["Time (UTC)", "Event", ""]
    assert told["Event"].tolist() == ["queued", "started", "precision", "finished"]
    assert told[""].iloc[0].endswith(f"cloned from {run}")
    differing = tables["Field", run, "this run"]
    assert differing.values.tolist() == [["scheme", "int8", "int4"], ["training.lr", "0.01", "0.05"]]
    (link,) = [found for found in page.page_link if found.value == "Clone this run"]
    assert f"parent={clone}" in link.proto.query_string
