"""The cost card as JSON and SVG: figures, the roofline, what was measured."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from app.card_export import card_data, card_svg
from engine.costs import default_table, load_table
from engine.ledger import expected_size, run_ledger
from engine.ledger.figures import Ledger
from engine.spec import RunSpec

DEVICE = load_table("a100-80gb")
CONDITIONS = {
    **{"host": "here", "cpu": "a processor", "device": "cpu", "threads": 1, "allocator": "glibc", "epochs": 50},
    "measured_at": datetime(2026, 11, 1, 12, 30, tzinfo=UTC),
}
MEASURED = [
    {"quantity": "file_size", "variant": "run", "value": 23_000.0} | CONDITIONS,
    {"quantity": "file_size", "variant": "fp32", "value": 92_000.0} | CONDITIONS,
]


def a_run(scheme: str) -> tuple[dict[str, Any], Ledger]:
    """A row of the query ``run``, and its ledger."""
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": scheme})
    size = expected_size(spec)
    row = {
        **{"run": "r0", "dataset": "cora", "model": "gcn", "scheme": scheme, "synthetic": False},
        "spec": spec.to_json(),
        "provenance": json.dumps({"trained_on": asdict(size)}),
    }
    return row, Ledger(run_ledger(spec, size), default_table())


def test_the_json_holds_the_roofline_and_what_was_measured():
    row, ledger = a_run("int6")
    data = json.loads(json.dumps(card_data(row, ledger, DEVICE, MEASURED), allow_nan=False))
    assert data["figures"]["arithmetic_density.training"]["certainty"] == "interpolated"
    assert data["figures"]["memory_density.training"]["certainty"] is None
    assert data["cost_table"]["recalled"] is False
    roofline = data["roofline"]
    assert roofline["device"]["name"] == "a100-80gb"
    assert roofline["device"]["recalled"] is True
    assert roofline["device"]["peak_macs_per_second"] == 9.75e12
    for scope in ("training", "inference"):
        found = roofline["scopes"][scope]
        assert found["certainty"] == "interpolated"
        assert {point["name"] for point in found["points"]} <= {point["name"] for point in found["fp32"]}
        assert all(point["attainable"] > 0 for point in found["points"])
    assert data["measured"]["host"] == "here"
    assert data["measured"]["measured_at"] == "2026-11-01T12:30:00Z"
    assert data["measured"]["quantities"]["file_size"]["value"] == 23_000
    assert data["measured"]["quantities"]["file_size"]["fp32"] == 92_000


def test_a_scope_without_a_roofline_says_why():
    row, ledger = a_run("msfp13")
    energies = Ledger(ledger.rows, load_table("energy-45nm"))
    data = card_data(row, energies, DEVICE, [])
    reason = data["roofline"]["scopes"]["training"]["reason"]
    assert reason.startswith("the cost table 'energy-45nm' has no value for msfp13")
    assert data["measured"] is None
    assert card_data(row, energies, None, [])["roofline"] is None


def test_the_picture_shows_them_too():
    row, ledger = a_run("int6")
    root = ElementTree.fromstring(card_svg(row, ledger, "training", DEVICE, MEASURED))
    words = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Roofline: attainable MAC/s by MAC a byte, from fp32 (open) to this run" in words
    assert words[words.index("Exported file") : words.index("Exported file") + 3] == [
        "Exported file",
        "23.0 kB",
        "92.0 kB",
    ]
    assert any(word.endswith("× (interpolated)") for word in words)
    assert any(word.startswith("NVIDIA A100 80 GB SXM: 9,750 GMAC/s in fp32") for word in words)
    assert any(word.startswith("2026-11-01 12:30 UTC on here (a processor, cpu)") for word in words)
    height, width = float(root.attrib["height"]), float(root.attrib["width"])
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height
    points = len(card_data(row, ledger, DEVICE, [])["roofline"]["scopes"]["training"]["points"])
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2 * points
