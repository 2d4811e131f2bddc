"""Measurements of the dashboard, beside the engine's own (engine.bench); `bitfront bench` runs both."""

from __future__ import annotations

from engine.bench import Bench

BENCHES: dict[str, Bench] = {
    bench.name: bench
    for bench in (
        Bench(
            "dashboard",
            "how fast pages are with a generated history, in a real Chromium",
            {"case": "case", "milliseconds": "ms, median", "slowest": "ms, slowest", "goal": "goal, ms"},
            "app.bench.dashboard",
        ),
    )
}
