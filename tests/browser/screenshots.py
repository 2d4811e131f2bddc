"""The README's screenshots, of real runs: `python -m tests.browser.screenshots` writes docs/screenshot-*.png.

Trains Cora × GCN in eleven schemes with three seeds each in a home of its own, watched while it goes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from engine.settings import Settings
from engine.spec import RunSpec
from store.client import connect
from tasks.submit import submit
from tests.browser.pages import FLAGS, front_groups, wait_for_points
from tests.conftest import ROOT, find_mirror
from tests.store.waiting import until
from tests.system.up import Up, bitfront

SCHEMES = ("fp32", "int8", "int6", "int5", "int4", "msfp16", "msfp15", "msfp14", "msfp13", "msfp12", "msfp11")
SEEDS = 3
PATIENCE = 120_000


def open_page(browser: Browser, link: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=1.5,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(link)
    return page


def save(page: Page, target: Path) -> None:
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('[data-stale=true]')")
    page.screenshot(path=target)
    print(target)
    page.context.close()


def shoot(browser: Browser, dashboard: str, settings: Settings, docs: Path) -> None:
    """Launch the runs and take each page."""
    link = f"{dashboard}/?" + "&".join(f"schemes={scheme}" for scheme in ("fp32", "int8", "int4", "msfp13"))
    page = open_page(browser, link, height=820)
    expect(page.get_by_role("button", name="Launch 12 runs")).to_be_enabled()
    save(page, docs / "screenshot-launch.png")

    specs = [
        RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme, "seed": seed})
        for seed in range(SEEDS)
        for scheme in SCHEMES
    ]
    runs = submit(settings, specs[:8], sweep="first-look")
    page = open_page(browser, f"{dashboard}/runs?sweep=first-look&run={','.join(runs)}", height=1000, dark=True)
    wait_for_points(page, more_than=2 * 4 * 150)
    expect(page.locator("[data-testid^=glide-cell]", has_text="150 of 150").first).to_be_attached()
    save(page, docs / "screenshot-runs.png")
    runs += submit(settings, specs[8:], sweep="formats-on-cora")

    with connect(settings) as store:
        until(lambda: store.health()["counts"].get("finished") == len(runs), "all runs have finished", 1800)
    page = open_page(browser, f"{dashboard}/compare", height=1000)
    front_groups(page)
    save(page, docs / "screenshot-compare.png")
    page = open_page(browser, f"{dashboard}/compare?density=Arithmetic&log=true", width=390, height=1000, dark=True)
    front_groups(page)
    save(page, docs / "screenshot-phone.png")


def main() -> None:
    chromium, mirror = shutil.which("chromium"), find_mirror()
    if chromium is None:
        raise SystemExit("there is no chromium on this machine: install Debian's package `chromium`")
    if mirror:
        os.environ["BITFRONT_MIRROR"] = str(mirror)
    expect.set_options(timeout=PATIENCE)
    docs = ROOT / "docs"
    docs.mkdir(exist_ok=True)
    up = Up(Path(tempfile.mkdtemp(prefix="bitfront-")) / "home")
    try:
        dashboard = up.start("--workers", "2")["dashboard"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            shoot(browser, dashboard, up.settings, docs)
            browser.close()
        bitfront(up.home, "down")
    finally:
        up.end_all()
        shutil.rmtree(up.home.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
