"""What a page that shows a measurement waits for: until it is there, or has failed."""

from __future__ import annotations

from datetime import UTC, datetime

from app.measure_panel import MOST_QUIET, Following, follow
from tasks.submit import Asked

OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_it_waits_while_the_queue_names_it():
    waiting = follow(None, Asked("waiting"), OLD)
    assert waiting == Following(OLD)
    assert follow(waiting, Asked("measuring"), OLD) == waiting


def test_it_waits_on_until_the_store_has_taken_in_what_was_measured():
    """The queue forgets first; the page would else stop a tick before there is anything to show."""
    quiet = follow(Following(OLD), None, OLD)
    assert quiet == Following(OLD, 1)
    assert follow(quiet, Asked("measuring"), OLD) == Following(OLD), "it was the queue that did not answer"
    assert follow(quiet, None, NEW) is None
    assert follow(Following(None), None, NEW) is None


def test_it_does_not_wait_for_ever():
    assert follow(Following(OLD, MOST_QUIET), None, OLD) is None


def test_what_failed_is_over():
    assert follow(Following(OLD), Asked("failed", "no memory"), OLD) is None


def test_nobody_asked():
    assert follow(None, None, OLD) is None
