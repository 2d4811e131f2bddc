"""The README's gallery, of real runs: `make gallery` writes docs/gallery/, each page in light, dark and on a phone.

Trains Cora × GCN in eleven schemes with three seeds each in a home of its own, and takes the pages of it.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from engine.search.file import read_search
from engine.settings import Settings
from engine.sweep import expand
from store.client import connect
from tasks import sweeps
from tasks.submit import search
from tests.browser.pages import CHARTS, FLAGS
from tests.conftest import ROOT, find_mirror
from tests.store.waiting import until
from tests.system.up import Up, bitfront

SCHEMES = ("fp32", "int8", "int6", "int5", "int4", "msfp16", "msfp15", "msfp14", "msfp13", "msfp12", "msfp11")
SEEDS = 3
FORMATS = "density=Arithmetic&log=true&family=fp32&family=affine&family=msfp"
"""Compare with these schemes, not the search's."""
SEARCH = {
    "name": "feature-bits-on-cora", "algorithm": "guided", "n_mea": 8, "n_sample": 200, "n_iter": 3,
    "figure": "feature_memory", "saving": 6.0, "epochs": 20, "finalists": 2, "final_seeds": 1, "confirm": 3,
    "spec": {"dataset": "cora", "model": "gcn"},
    "space": {"granularity": "lwq", "bits": [2, 3, 4, 6, 8], "per": ["row"], "sites": ["input", "feature"]},
}  # fmt: skip
PATIENCE = 120_000
WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => `${element.tagName} ${element.getAttribute("class")}`)"""
SCROLL = """(element, block) => {
    element.style.scrollMarginBlock = block === "start" ? "6rem" : "0.75rem";  // below the page's header
    element.scrollIntoView({ block, behavior: "instant" });
    return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
QUALITY = 72
"""Of the pictures, as WebP counts it: text stays sharp, and a page takes some 50 kB."""


@dataclass(frozen=True)
class Look:
    """How a page is looked at: pixels of CSS, how many dots each has, light or dark."""

    width: int
    height: int
    dots: float = 1.0
    dark: bool = False


LOOKS: Mapping[str, Look] = {
    "light": Look(1280, 900),
    "dark": Look(1280, 900, dark=True),
    "phone": Look(390, 844, dots=1.5),
}


@dataclass(frozen=True)
class Shot:
    """A page to take: the link's end, its heading, how many charts are drawn when it is whole, what must be seen."""

    name: str
    link: str
    heading: str
    charts: int = 0
    last: str = ""
    """The element that the picture ends with; empty: the page is seen from its top."""
    first_on_phone: str = ""
    """The one that a phone's begins with."""


def shots(runs: Sequence[str]) -> tuple[Shot, ...]:
    """Every page of the dashboard, with these runs' curves."""
    form = "&".join(f"schemes={scheme}" for scheme in ("fp32", "int8", "int4", "msfp13"))
    return (
        Shot("launch", f"/?{form}", "Launch"),
        Shot("runs", f"/runs?run={','.join(runs)}", "Runs", 2, ".live-runs", "h3"),
        Shot("sweeps", "/sweeps", "Sweeps"),
        Shot("search", "/search", "Search"),
        Shot("compare", f"/compare?{FORMATS}", "Compare", 1, ".front", ".front"),
        Shot("views", "/saved", "Views"),
        Shot("system", "/system", "System"),
    )


def take(browser: Browser, dashboard: str, shot: Shot, look: Look, target: Path) -> None:
    """Open a page in a fresh profile, wait until it is whole, and write what is seen as WebP."""
    context = browser.new_context(
        viewport={"width": look.width, "height": look.height},
        device_scale_factor=look.dots,
        color_scheme="dark" if look.dark else "light",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{dashboard}{shot.link}")
    wait_until_whole(page, shot)
    if faults or page.evaluate("document.scrollingElement.scrollWidth") > look.width:
        why = faults or f"it is wider than its window: {page.evaluate(WIDE)}"
        raise AssertionError(f"{shot.name} is no picture to show: {why}")
    place, block = (shot.first_on_phone, "start") if look is LOOKS["phone"] else (shot.last, "end")
    if place:
        page.locator(place).first.evaluate(SCROLL, block)
    page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(page.screenshot()))
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(target, "WEBP", quality=QUALITY, method=6)
    context.close()


def wait_until_whole(page: Page, shot: Shot) -> None:
    expect(page.get_by_role("heading", name=shot.heading, exact=True)).to_be_visible()
    page.wait_for_function(
        f"""least => ({CHARTS})().length >= least && !document.querySelector('[data-stale=true]')
            && !document.querySelector('[data-testid=stSkeleton], [data-testid=stAppSkeleton]')
            && !document.querySelector('[data-testid=stApp][data-test-script-state=running]')""",
        arg=shot.charts,
    )


def make_gallery(browser: Browser, dashboard: str, settings: Settings, folder: Path) -> None:
    """Launch the runs, wait for them, save a view, and take every page in every look."""
    spec = {"dataset": "cora", "model": "gcn", "scheme": list(SCHEMES)}
    plan = expand({"name": "formats-on-cora", "seeds": SEEDS, "spec": spec})
    sweeps.launch(settings, plan)
    looked_for = search(settings, read_search(SEARCH))
    with connect(settings) as store:

        def is_over() -> bool:
            counts = store.health()["counts"]
            left = sum(counts.get(state, 0) for state in ("queued", "running", "cancelling"))
            return not left and store.query("searches", search=looked_for)["state"].to_pylist() not in ([], ["running"])

        until(is_over, "all runs and the search have finished", 1800)
        store.add_view("Formats on Cora", "compare", FORMATS, "The front that the README shows.")
        rows = [row for row in store.query("runs", limit=1000).to_pylist() if row["sweep"]]
    drawn = [row["run"] for row in rows if row["seed"] == 0 and row["scheme"] in ("fp32", "int8", "int4", "msfp13")]
    for shot in shots(drawn):
        for name, look in LOOKS.items():
            target = folder / f"{shot.name}-{name}.webp"
            take(browser, dashboard, shot, look, target)
            print(target)


def main() -> None:
    chromium, mirror = shutil.which("chromium"), find_mirror()
    if chromium is None:
        raise SystemExit("there is no chromium on this machine: install Debian's package `chromium`")
    if mirror:
        os.environ["BITFRONT_MIRROR"] = str(mirror)
    expect.set_options(timeout=PATIENCE)
    up = Up(Path(tempfile.mkdtemp(prefix="bitfront-")) / "home")
    try:
        dashboard = up.start("--workers", "2")["dashboard"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            make_gallery(browser, dashboard, up.settings, ROOT / "docs" / "gallery")
            browser.close()
        bitfront(up.home, "down")
    finally:
        up.end_all()
        shutil.rmtree(up.home.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
