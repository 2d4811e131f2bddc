"""What one person writes runs no script in another's browser: names, tags, notes, reasons, worker and host names."""

from __future__ import annotations

import socket

import pytest
from playwright.sync_api import Page, expect

from engine.events import Envelope, RunFailed, WorkerHeartbeat
from tests.browser.conftest import Dashboard
from tests.store import lives

pytestmark = pytest.mark.browser

ATTACKS = [
    "<img src=x onerror='window.owned=1'>",
    "<script>window.owned=2</script>",
    "[click](javascript:window.owned=3)",
    "<a href='javascript:window.owned=4'>click</a>",
    "<svg onload=window.owned=5>",
    "</script><script>window.owned=6</script>",
    "${window.owned=7}`+window.owned",
    "<iframe srcdoc='<script>parent.owned=8</script>'></iframe>",
]
RUN, FAILED = "attacked1", "attacked2"
PATHS = [
    "/",
    f"/runs?run={RUN}",
    f"/runs?run={RUN},{FAILED}",
    f"/runs?run={FAILED}",
    "/compare",
    f"/compare?find={ATTACKS[0]}",
    f"/runs?find={ATTACKS[4]}&run={ATTACKS[0]}",
    f"/?own={ATTACKS[0]}&schemes={ATTACKS[1]}&dataset={ATTACKS[2]}",
]


def attacked(text: str) -> list[Envelope]:
    """Two runs and a worker whose free texts are all this one."""
    started = lives.started(RUN, notes=text)
    started = started.model_copy(
        update={"body": started.body.model_copy(update={"worker": text, "host": text, "device": text})}
    )
    life = [started if event.body.type == "run_started" else event for event in lives.finished(RUN)]
    life[0] = lives.queued(RUN, sweep=text)
    failed = [
        lives.queued(FAILED, sweep=text),
        lives.started(FAILED),
        lives.event(FAILED, 1, 2, RunFailed(reason=text)),
    ]
    heart = WorkerHeartbeat(worker=text, host=text, pid=1, device_class="cpu", device=text)
    return [*life, *failed, Envelope(run="", at=lives.BEGAN, body=heart)]


def _is_answered_at(dashboard: Dashboard, host: str) -> bool:
    """Whether the dashboard opens its channel for a page that calls it by this name (and that came from there)."""
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=30) as line:
        line.sendall(
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: streamlit\r\n\r\n".encode()
        )
        return line.recv(12) == b"HTTP/1.1 101"


def test_a_page_whose_name_was_made_to_point_here_reaches_nothing(dashboard: Dashboard) -> None:
    assert _is_answered_at(dashboard, f"127.0.0.1:{dashboard.port}")
    assert _is_answered_at(dashboard, f"localhost:{dashboard.port}")
    assert not _is_answered_at(dashboard, f"rebound.example:{dashboard.port}")
    assert not _is_answered_at(dashboard, "localhost.rebound.example")


def test_no_text_of_a_person_runs_in_a_page(page: Page, dashboard: Dashboard) -> None:
    client = dashboard.service.client
    all_of_them = " ".join(ATTACKS)
    client.post_events(attacked(all_of_them))
    client.edit_run(RUN, name=all_of_them[:200], tags=[attack[:60] for attack in ATTACKS], notes=all_of_them)
    for path in PATHS:
        page.goto(f"{dashboard.url}{path}")
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.locator("[data-test-script-state=notRunning]")).to_have_count(1)
        found = page.evaluate(
            """() => ({
                owned: window.owned,
                frames: document.querySelectorAll('iframe[srcdoc]').length,
                links: [...document.querySelectorAll('a')].filter(a => /^javascript:/i.test(a.href)).length,
                handlers: document.querySelectorAll('[onerror], [onload]').length,
            })"""
        )
        assert found == {"owned": None, "frames": 0, "links": 0, "handlers": 0}, path
    page.goto(f"{dashboard.url}/runs?run={FAILED}")
    expect(page.get_by_text("<script>window.owned=2</script>").filter(visible=True).first).to_be_visible()
