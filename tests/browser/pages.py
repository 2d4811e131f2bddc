"""How a person moves about the dashboard, for the browser tests and the screenshots."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CHARTS = "() => [...document.querySelectorAll('.js-plotly-plot')].filter(chart => chart.calcdata)"


FRONTS = "[class*=st-key-front-] .js-plotly-plot"
"""The fronts on Compare, which has other charts too."""


def go(page: Page, title: str) -> None:
    """Follow the navigation to a page by its title."""
    page.get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()


def pick_schemes(page: Page, schemes: Iterable[str]) -> None:
    """Pick schemes in the form's list, by typing their names."""
    field = page.get_by_role("combobox", name="Schemes")
    for scheme in schemes:
        field.fill(scheme)
        page.get_by_role("option", name=scheme, exact=True).click()
    field.press("Escape")


def set_number(page: Page, label: str, value: int) -> None:
    field = page.get_by_role("spinbutton", name=label)
    field.fill(str(value))
    field.press("Enter")


LEARNING = CHARTS.replace(".js-plotly-plot", ".live-chart.js-plotly-plot")

POINTS = f"({LEARNING})().reduce((all, chart) => all + chart.calcdata.reduce((sum, trace) => sum + trace.length, 0), 0)"
"""Points in all learning curves of the page."""


def wait_for_points(page: Page, *, more_than: int, patience: float | None = None) -> int:
    """Wait, at most ``patience`` milliseconds, until the charts hold more points than this; how many they hold then."""
    drawn = f"least => {POINTS} > least && {POINTS}"
    return page.wait_for_function(drawn, arg=more_than, timeout=patience).json_value()


def wait_for_all_points(page: Page, number: int) -> None:
    """Wait until the charts hold exactly so many points."""
    page.wait_for_function(f"number => {POINTS} === number", arg=number)


def front_groups(page: Page, density: str = "") -> dict[str, dict]:
    """The seed groups on the one front, by scheme: x, y, the error bar's length, the pixel place.

    Waits until it is drawn with this density on its x axis, and the chart before it is gone.
    """
    page.wait_for_function(
        f"""density => {{
            const charts = ({CHARTS.replace(".js-plotly-plot", FRONTS)})();
            return charts.length === 1 && charts[0]._fullLayout.xaxis.title.text.startsWith(density);
        }}""",
        arg=density,
    )
    return page.evaluate(
        """fronts => Object.fromEntries([...document.querySelectorAll(fronts)].flatMap(chart => {
            const box = chart.getBoundingClientRect(), {xaxis, yaxis, _size} = chart._fullLayout;
            return chart._fullData.flatMap(trace => (trace.customdata || []).map((details, index) => [
                /<b>(.*?)<.b>/.exec(details[1])[1],
                {x: trace.x[index], y: trace.y[index], error: trace.error_y.array[index],
                 left: box.left + _size.l + xaxis.d2p(trace.x[index]),
                 top: box.top + _size.t + yaxis.d2p(trace.y[index])},
            ]));
        }))""",
        FRONTS,
    )


def pick_point(page: Page, scheme: str, picked: int) -> None:
    """Click a scheme's point on the one front; wait until so many groups are picked."""
    point = front_groups(page)[scheme]
    page.mouse.click(point["left"], point["top"])
    page.wait_for_function(
        "n => (new URL(location).searchParams.get('group') || '').split(',').filter(Boolean).length === n", arg=picked
    )


def axis_title(page: Page) -> str:
    """The x axis' title of the first chart."""
    return page.evaluate("document.querySelector('.js-plotly-plot')._fullLayout.xaxis.title.text")


def elsewhere(url: str, base: str) -> str:
    """The same link on another server."""
    parts = urlsplit(url)
    return f"{base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
