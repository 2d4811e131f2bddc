"""A person's own graph, from the files on a disk to a finished run, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Dashboard
from tests.browser.pages import set_number
from tests.engine.own_data.files import edge_table, write_set, write_tables
from tests.system.up import Up

pytestmark = pytest.mark.browser

TRAINING = 120_000
"""Milliseconds for one short run on a busy machine."""


def choose_files(page: Page, *files: Path) -> None:
    page.locator("input[type=file]").set_input_files(list(files))
    for file in files:
        expect(page.get_by_test_id("stFileChips").get_by_text(file.name, exact=True)).to_be_visible()
    page.get_by_role("button", name=f"Upload {len(files)} files", exact=True).click()


def test_a_fault_is_shown_with_its_line_and_mended(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    folder = write_tables(tmp_path, edges=edge_table() + "n0,n99\n")
    page.goto(f"{dashboard.url}/?dataset=file")
    expect(page.get_by_text("No files are uploaded yet.")).to_be_visible()
    expect(page.get_by_text("the dataset file has no files yet: upload them on the Launch page")).to_be_visible()
    choose_files(page, folder / "nodes.csv", folder / "edges.csv")
    expect(page.get_by_text("edges.csv, line 14: the target 'n99' is no node of nodes.csv")).to_be_visible()
    assert dashboard.service.client.uploads() == []

    mended = write_tables(tmp_path / "mended")
    page.reload()
    choose_files(page, mended / "nodes.csv", mended / "edges.csv")
    expect(page.get_by_text("Uploaded my graph: 12 nodes, 12 edges")).to_be_visible()
    (upload,) = dashboard.service.client.uploads()
    expect(page.get_by_text(f"--dataset 'file(upload={upload['id']})'")).to_be_visible()


@pytest.mark.system
def test_an_uploaded_graph_trains_on_a_worker(up: Up, page: Page, tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "mine")
    page.goto(up.start("--workers", "1")["dashboard"] + "/?dataset=file&seeds=1")
    choose_files(page, folder / "nodes.csv", folder / "edges.csv")
    expect(page.get_by_text("Uploaded my graph: 12 nodes, 12 edges")).to_be_visible()
    set_number(page, "Epochs", 5)
    page.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_text("Launched 1 run.")).to_be_visible()
    page.get_by_role("link", name="Watch these runs").click()
    expect(page.get_by_text("1 finished", exact=True)).to_be_visible(timeout=TRAINING)


def test_a_link_keeps_the_picked_upload_and_labels_choose_the_task(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    folder = write_set(tmp_path / "set", graphs=3, table="graph,y\ng0,0.5\ng1,1.5\ng2,2\n")
    page.goto(f"{dashboard.url}/?dataset=folder")
    expect(page.get_by_text("No files are uploaded yet.")).to_be_visible()
    page.get_by_role("radio", name="numbers").click()
    choose_files(page, *sorted(folder.iterdir()))
    expect(page.get_by_text("Uploaded my graphs: 3 graphs, 12 nodes, 12 edges")).to_be_visible()
    upload = next(row["id"] for row in dashboard.service.client.uploads() if row["kind"] == "folder")
    expect(page).to_have_url(re.compile(f"dataset.folder.upload={upload}"))
    command = page.get_by_text(f"--dataset 'folder(upload={upload},labels=numbers)'")
    expect(command).to_be_visible()
    expect(page.get_by_role("combobox", name="Task")).to_have_value("graph regression")

    page.goto(page.url)
    expect(command).to_be_visible()
    page.goto(f"{dashboard.url}/?dataset=folder&dataset.folder.upload=u0123456789abcdef")
    expect(page.get_by_text("The upload u0123456789abcdef is not here: upload its files again.")).to_be_visible()
