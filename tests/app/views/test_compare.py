"""The Compare page: seed groups, one front a dataset, one scope a chart, what is picked in the link."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from scipy import stats

from app import share
from app.phrases import literal
from app.report import Drawn
from app.report_sections import section_of
from engine.events import new_run_id
from tests.app.views.conftest import Dashboard
from tests.store import lives
from tests.store.conftest import Service

SWEEP = "compare"
HERE = {"from": SWEEP}
TESTS = {"fp32": (81.0, 82.0, 83.0), "int8": (80.0, 81.0, 85.0), "int4": (70.0, 71.0, 72.0)}
MEMORY = {"fp32": 1.0, "int8": 4.0, "int4": 3.0}


@pytest.fixture(scope="module")
def filled(store: Service) -> Service:
    """Three schemes with three seeds on karate, one run on generated data."""
    for scheme, tests in TESTS.items():
        for seed, test in enumerate(tests):
            events = lives.attempt_of(run := new_run_id(), test=test, memory=MEMORY[scheme])
            store.client.post_events([lives.queued(run, sweep=SWEEP, scheme=scheme, seed=seed), *events])
    store.client.post_events(lives.finished(new_run_id(), dataset="sbm", sweep="generated"))
    return store


def figures(page) -> list[dict]:
    """The fronts, then the other charts."""
    data = [json.loads(chart.proto.json) for chart in page.get("bidi_component")]
    fronts = [json.loads(each["figure"]) for each in data if "figure" in each]
    return fronts + [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def points(figure: dict) -> dict[str, dict]:
    """The drawn groups by scheme: x, y, error, colour."""
    found = {}
    for trace in figure["data"]:
        for index, details in enumerate(trace.get("customdata") or []):
            scheme = details[1].split("</b>")[0].removeprefix("<b>")
            found[scheme] = {
                "x": trace["x"][index],
                "y": trace["y"][index],
                "error": trace["error_y"]["array"][index],
                "color": trace["marker"]["color"],
                "group": details[0],
            }
    return found


def test_nothing_to_compare_yet_leads_to_launch(dashboard: Dashboard, service: Service) -> None:
    dashboard.use(service)
    page = dashboard.open("compare")
    assert page.subheader[0].value == "Nothing to compare yet"
    assert page.page_link[0].value == "Launch a run"


def test_groups_stand_with_mean_and_deviation_over_seeds(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    rows = dashboard.open("compare", **{"from": SWEEP}).dataframe[0].value.set_index("Scheme")
    assert rows.loc["int8", ["n", "Test", "Last", "Best test"]].tolist() == [3, 82, 81, 84]
    assert rows.loc["int8", "Std"] == pytest.approx(7**0.5)


def test_the_front_has_error_bars_and_pale_dominated_points(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    (figure,) = figures(dashboard.open("compare", **{"from": SWEEP}))
    drawn = points(figure)
    assert {scheme: (point["x"], point["y"]) for scheme, point in drawn.items()} == {
        "fp32": (1, 82),
        "int8": (4, 82),
        "int4": (3, 71),
    }
    assert drawn["int8"]["error"] == pytest.approx(7**0.5)
    assert drawn["int8"]["color"].startswith("#")
    assert drawn["int4"]["color"].startswith("rgba")
    assert drawn["fp32"]["color"].startswith("rgba")


@pytest.mark.parametrize(
    ("parameters", "title", "x"),
    [
        ({}, "Memory density, harmonic mean (× fp32):<br>training, quantized part", 4),
        ({"coverage": "whole step"}, "Memory density, harmonic mean (× fp32):<br>training, whole step", 2),
        ({"scope": "inference"}, "Memory density, harmonic mean (× fp32):<br>inference, quantized part", 5),
        ({"density": "Arithmetic"}, "Arithmetic density, harmonic mean (× fp32):<br>training, quantized part", 7.7),
        (
            {"density": "Arithmetic", "mean": "thesis"},
            "Arithmetic density, thesis mean (× fp32):<br>training, quantized part",
            8.7,
        ),
        ({"mean": "thesis"}, "Memory density, thesis mean (× fp32):<br>training, quantized part", 6),
    ],
)
def test_chart_and_table_hold_one_scope_and_coverage(
    dashboard: Dashboard, filled: Service, parameters: dict, title: str, x: float
) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", **{"from": SWEEP}, **parameters)
    (figure,) = figures(page)
    assert figure["layout"]["xaxis"]["title"]["text"] == title
    assert points(figure)["int8"]["x"] == pytest.approx(x)
    held = title.split("<br>")[1]
    columns = json.loads(page.dataframe[0].proto.columns)
    assert columns["Memory"]["label"] == f"Memory density, harmonic mean ({held})"
    assert columns["Arithmetic"]["label"] == f"Arithmetic density, harmonic mean ({held})"
    assert columns["Arithmetic thesis"]["label"] == f"Arithmetic density, thesis mean ({held})"
    assert columns["Best test"]["label"] == "Best test, never the headline (%)"


def test_another_figure_is_an_axis_with_its_definition(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", density="Another figure", figure="Bit operations", scope="inference", **HERE)
    (figure,) = figures(page)
    axis = figure["layout"]["xaxis"]
    assert axis["title"]["text"] == "Bit operations (inference, BitOPs an epoch): lower is better"
    assert axis["autorange"] == "reversed"
    assert {scheme: point["x"] for scheme, point in points(figure).items()} == {"fp32": 1e6, "int8": 4e6, "int4": 3e6}
    assert any(text.value.startswith("Σ MACs·b\\_a·b\\_w over all products") for text in page.caption)


def test_what_was_measured_is_an_axis_for_the_groups_that_were(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    runs = [row["run"] for row in filled.client.query("runs", sweep=SWEEP).to_pylist() if row["scheme"] == "int8"]
    filled.client.post_events([lives.measured(run) for run in runs])
    choice = "Peak memory, torch-allocated plus features (measured)"
    page = dashboard.open("compare", density="Another figure", figure=choice, **HERE)
    (figure,) = figures(page)
    assert {scheme: point["x"] for scheme, point in points(figure).items()} == {"int8": pytest.approx(17.56)}
    said = "No value for 2 of 3 seed groups. 2: not measured yet: bitfront measure RUN, or the button on a run's page."
    assert said in [text.value for text in page.caption]


def test_a_price_says_its_source_and_why_it_is_not_known(
    dashboard: Dashboard, filled: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path))
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "broken.toml").write_text('title = "Broken"\nsource = "a test"\nkind = "area"\nunit = 5\n')
    dashboard.use(filled)
    page = dashboard.open("compare", density="Another figure", figure="Energy", **HERE)
    said = [text.value for text in page.caption]
    assert (
        literal(
            "No value for 3 of 3 seed groups. 3: the cost table 'Published area' gives no energies: "
            "choose one that does."
        )
        in said
    )
    (fault,) = [text.value for text in page.warning]
    assert fault == literal(f"the cost table {tmp_path}/costs/broken.toml needs a unit as text, not 5")
    assert figures(page) == []
    assert "None of them has a value on this axis." in [text.value for text in page.info]
    page = dashboard.open("compare", density="Another figure", figure="Energy", costs="Energy in 45 nm", **HERE)
    (source,) = [text.value for text in page.caption if text.value.startswith("Energy in 45 nm")]
    assert source.endswith("recalled]")
    (figure,) = figures(page)
    hovers = [details[1] for trace in figure["data"] for details in trace.get("customdata") or []]
    assert len(hovers) == 3
    assert all("Energy (training, J an epoch), Energy in 45 nm: " in hover for hover in hovers)


def test_another_cost_table_changes_the_arithmetic_density(
    dashboard: Dashboard, filled: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path))
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "mine.toml").write_text(
        'title = "Mine"\nsource = "a test"\nkind = "area"\n[mac.int]\n4 = 16\n8 = 4\n'
    )
    dashboard.use(filled)
    shown: list[dict] = []
    for costs in ("Mine", "mine"):  # a link has the title from the widget; the name is as good
        query = {"density": "Arithmetic", "costs": costs, **HERE}
        shown += figures(dashboard.open("compare", **query))
        with monkeypatch.context() as patch:
            patch.setattr(share, "is_embedded", lambda: True)
            shown += figures(dashboard.open("compare", **query))
        section = section_of({"title": "", "note": None, "page": "compare", "query": urlencode(query)}, "")
        shown += [json.loads(str(part.figure.to_json())) for part in section.parts if isinstance(part, Drawn)]
    assert len(shown) == 6
    assert {figure["layout"]["xaxis"]["title"]["text"] for figure in shown} == {
        "Arithmetic density (training, quantized part, ×)<br>Mine"
    }
    # A quarter of the ledger's work is protected, and stays in fp32.
    for figure in shown:
        found = [point["x"] for point in points(figure).values()]
        assert found == pytest.approx([1 / (0.75 / 4 + 0.25)] * len(TESTS))


@pytest.mark.parametrize("name", ["counted", "group_id", "test"])
def test_a_frame_and_a_report_group_by_no_column_that_is_not_offered(
    dashboard: Dashboard, filled: Service, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dashboard.use(filled)
    monkeypatch.setattr(share, "is_embedded", lambda: True)
    (figure,) = figures(dashboard.open("compare", by=name, **HERE))
    assert set(points(figure)) == set(TESTS)
    section = section_of({"title": "", "note": None, "page": "compare", "query": f"by={name}&from={SWEEP}"}, "")
    assert len(section.parts) == 2


def test_the_axis_can_be_logarithmic(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    (figure,) = figures(dashboard.open("compare", **{"from": SWEEP, "log": "true"}))
    assert figure["layout"]["xaxis"]["type"] == "log"


def test_each_dataset_has_its_own_front_and_generated_data_says_so(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare")
    titles = [text.value for text in page.markdown]
    assert "**karate** · 3 seed groups" in titles
    assert "**sbm (synthetic)** · 1 seed group" in titles
    assert "sbm (synthetic)" in page.dataframe[0].value["Dataset"].tolist()


def test_a_linked_group_is_opened_with_its_runs(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", **{"from": SWEEP})
    group = points(figures(page)[0])["int8"]["group"]
    page = dashboard.open("compare", **{"from": SWEEP, "group": group})
    assert {found.label: found.value for found in page.metric} == {
        "Test at best validation": "82.00 ± 2.65 %",
        "Test at last epoch": "81.00 ± 2.65 %",
        "Best test (never the headline)": "84.00 ± 2.65 %",
        "Best validation": "83.00 ± 2.65 %",
    }
    assert page.page_link[0].value == "Open 3 runs with curves"
    assert "seed" not in page.code[0].value.split()


def test_groups_are_filtered_by_anything_and_the_link_says_so(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    (run,) = [row["run"] for row in filled.client.query("runs", sweep=SWEEP).to_pylist() if row["scheme"] == "int8"][:1]
    filled.client.edit_run(run, tags=["paper"])
    page = dashboard.open("compare", tag="paper")
    assert page.dataframe[0].value[["Scheme", "n"]].values.tolist() == [["int8", 3]]
    assert "Filtered also by tag: paper" in [text.value for text in page.caption]
    page = dashboard.open("compare", family="fp32", until="2020-01-01")
    assert [text.value for text in page.info] == ["No run fits these filters."]


def test_groups_are_of_whatever_is_chosen_and_sorted(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", by=["Dataset", "Scheme family"], sort="Test", descending="false", **HERE)
    rows = page.dataframe[0].value
    assert "Family" in page.dataframe[0].proto.column_order
    assert {name.strip() for trace in figures(page)[0]["data"] for name in trace.get("text") or []} == {
        "karate · affine",
        "karate · fp32",
    }
    assert rows[["Family", "Scheme", "n", "Test"]].values.tolist() == [
        ["affine", "2 schemes", 6, 76.5],
        ["fp32", "fp32", 3, 82.0],
    ]


def test_differences_are_paired_with_fp32_by_seed(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", columns=["n", "Difference", "p", "Pairs"], **HERE)
    rows = page.dataframe[0].value.set_index("Scheme")
    assert rows.loc["int4", ["Difference", "Pairs"]].tolist() == [-11, 3]
    assert rows.loc["int8", "Difference"] == 0
    test = stats.ttest_rel(TESTS["int8"], TESTS["fp32"])
    assert rows.loc["int8", "p"] == pytest.approx(test.pvalue)
    assert list(page.dataframe[0].proto.column_order) == ["Scheme", "n", "Difference", "p", "Pairs"]
    columns = json.loads(page.dataframe[0].proto.columns)
    assert columns["Difference"]["label"] == "Difference to fp32 (%)"


def test_another_selection_stands_on_the_axis_and_the_band_around_fp32(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    (figure,) = figures(dashboard.open("compare", metric="Test at last epoch", **HERE))
    assert figure["layout"]["yaxis"]["title"]["text"] == "Test accuracy (%) at last epoch, mean ± std over seeds"
    assert points(figure)["int8"]["y"] == 81
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["within 1 % of fp32 (81.00)"]


def test_two_picked_groups_stand_side_by_side_with_their_curves(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", **HERE)
    groups = {scheme: point["group"] for scheme, point in points(figures(page)[0]).items()}
    page = dashboard.open("compare", group=f"{groups['int8']},{groups['int4']}", **HERE)
    assert "int8 and int4" in [text.value for text in page.subheader]
    results, differing = (page.dataframe[place].value for place in (0, 1))
    best = results.set_index("Quantity").loc["Test at best validation"].tolist()
    assert best == ["82.00 ± 2.65", "71.00 ± 1.00", "+11.00"]
    assert differing.values.tolist() == [["scheme", "int8", "int4"]]
    paired = stats.ttest_rel(TESTS["int8"], TESTS["int4"])
    said = f"p = {paired.pvalue:.2g} (paired t test), n = 3."
    assert any(text.value.endswith(literal(said)) for text in page.caption)
    curves = figures(page)[1]
    assert [trace["name"] for trace in curves["data"] if trace["mode"] == "lines"] == ["int8", "int4"]
    assert curves["data"][1]["y"] == [2.0, 1.0, pytest.approx(2 / 3)]
    assert page.page_link[0].value == "Open 6 runs with curves"


def test_the_table_is_handed_other_rows_until_something_is_picked(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", **HERE)
    every = page.dataframe[0]
    group = points(figures(page)[0])["int8"]["group"]
    filtered = dashboard.open("compare", scheme="int8", **HERE).dataframe[0]
    assert (len(filtered.value), filtered.proto.id) == (1, every.proto.id)
    picked = dashboard.open("compare", scheme="int8", group=group, **HERE).dataframe
    (table,) = (each for each in picked if each.proto.alt.startswith("Groups of runs"))
    assert table.proto.id != every.proto.id
    assert json.loads(table.proto.selection_default)["selection"]["rows"] == [0]


def test_a_link_to_a_picked_group_that_is_gone_shows_the_rest(dashboard: Dashboard, filled: Service) -> None:
    dashboard.use(filled)
    page = dashboard.open("compare", group="gone", **HERE)
    assert len(page.dataframe[0].value) == len(TESTS)


def test_a_store_that_is_down_is_said(dashboard: Dashboard) -> None:
    page = dashboard.open("compare")
    assert page.error[0].value == "the store does not answer at http://127.0.0.1:9: start it with `bitfront up`"
