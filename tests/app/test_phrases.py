"""Times and numbers in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.phrases import ago, count, duration, literal, mean_std, megabytes, number, quantity

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86_400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_durations_name_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "now"), (1, "now"), (12, "12 s ago"), (200, "3 min ago"), (90_000, "1 d ago")]
)
def test_ago_names_one_unit(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_never_heard_is_empty() -> None:
    assert ago(None, NOW) == ""


def test_a_single_seed_has_no_deviation() -> None:
    assert mean_std(81.534, 0.4) == "81.53 ± 0.40"
    assert mean_std(81.534, None) == "81.53"
    assert mean_std(None, None) == "–"


def test_what_is_not_known_is_a_dash() -> None:
    assert (number(None, "%"), megabytes(None)) == ("–", "–")
    assert (number(80.0, "%"), megabytes(17_560_000)) == ("80.00 %", "18 MB")


def test_counts_have_a_plural() -> None:
    assert [count(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_literal_text_loses_its_markdown_and_nothing_else() -> None:
    assert literal("a: b, c-d (e) 1.5") == "a: b, c-d (e) 1.5"
    assert literal("[x](y) *z* :red[a] $m$ `c` <b>") == r"\[x\](y) \*z\* \:red\[a\] \$m\$ \`c\` \<b\>"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4, "×", "4.00×"),
        (6.153, "bits", "6.15 bits"),
        (15.52e6, "bytes a step", "15.5 MB a step"),
        (92252, "bytes", "92.3 kB"),
        (5.4e9, "BitOPs an epoch", "5.4 GBitOPs an epoch"),
        (2.5e9, "an epoch", "2.5 G an epoch"),
        (0.31, "MAC a byte", "0.31 MAC a byte"),
        (0, "J an epoch", "0 J an epoch"),
    ],
)
def test_quantities_have_units_and_prefixes(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text
