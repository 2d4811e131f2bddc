"""A report as one file: nothing from outside, figures alive, text as it was typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pandas as pd
import plotly.graph_objects as go

from app.report import MOST_ROWS, Drawn, Listed, Said, Section, Written, report_html

MADE = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
FIGURE = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))


def body(*sections: Section, title: str = "Report", text: str = "") -> str:
    """What follows plotly's own library."""
    return report_html(title, text, sections, MADE).split("</head>")[1]


def test_a_report_asks_nothing_of_any_server() -> None:
    made = body(Section("Front", parts=[Drawn("cora", FIGURE, "alt")], link="http://127.0.0.1/compare?a=b&c=d"))
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=", made) == []
    assert '<a href="http://127.0.0.1/compare?a=b&amp;c=d">This view in Bitfront</a>' in made


def test_the_library_is_there_once_however_many_figures() -> None:
    page = report_html("Report", "", [Section("Two", parts=[Drawn("a", FIGURE, "x"), Drawn("b", FIGURE, "y")])], MADE)
    assert page.count("plotly.js v") == 1
    assert page.count("Plotly.newPlot(") == report_html("Report", "", [], MADE).count("Plotly.newPlot(") + 2
    assert [name in page for name in ('id="figure-1"', 'id="figure-2"', 'aria-label="y"')] == [True] * 3


def test_what_people_typed_is_text() -> None:
    nasty = "<script>alert(1)</script>"
    made = body(Section(nasty, nasty, remarks=[nasty, nasty]), title=nasty, text=nasty)
    assert "<script>alert" not in made
    assert made.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 5


def test_numbers_have_the_digits_of_their_column_and_gaps_stay_empty() -> None:
    table = pd.DataFrame(
        {
            "n": [1200, 3],
            "Test": [81.456, None],
            "Less": [-0.001, -0.01],
            "p": [0.000123456, 1.0],
            "Scheme": ["<int8>", None],
        }
    )
    made = body(Section("Table", parts=[Listed("Groups", table, {"Test": "%.2f", "Less": "%+.2f"})]))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", made)
    assert cells == ["1,200", "81.46", "+0.00", "0.0001235", "&lt;int8&gt;", "3", "", "-0.01", "1", ""]


def test_a_long_table_says_what_is_left_out() -> None:
    made = body(Section("Table", parts=[Listed("Groups", pd.DataFrame({"n": range(MOST_ROWS + 5)}))]))
    assert made.count("<tr>") == MOST_ROWS + 1
    assert "5 more rows." in made


def test_paragraphs_and_texts_as_they_were_typed_stand_among_the_parts() -> None:
    made = body(Section("Sweep", parts=[Said("3 of 4 <runs>"), Written("Scheme", "emb[2 -> 4]\n")]))
    assert "<p>3 of 4 &lt;runs&gt;</p><h3>Scheme</h3><pre>emb[2 -&gt; 4]\n</pre>" in made


def test_what_is_not_known_is_empty_and_a_yes_is_a_word() -> None:
    table = pd.DataFrame({"Bits": pd.array([4.0, None], dtype="Float64"), "Met": [True, False]})
    made = body(Section("Table", parts=[Listed("Trials", table)]))
    assert re.findall(r"<td[^>]*>(.*?)</td>", made) == ["4", "yes", "", "no"]
