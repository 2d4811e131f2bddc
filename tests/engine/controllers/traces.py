"""Hand-written traces of losses, fed to a schedule as a run would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.schedule import Signals
from engine.scheme import parse_scheme
from engine.signals import SignalLog


def switches(
    scheme: str,
    *,
    epochs: int,
    train: Sequence[float] | None = None,
    val: Sequence[float] | None = None,
    diversity: dict[int, float] | None = None,
    plateau_ratio: float = 0.9,
) -> list[tuple[int, str]]:
    """(first epoch, label) of each change of precision."""
    schedule = parse_scheme(scheme).schedule
    assert schedule is not None
    course = schedule.begin(epochs, plateau_ratio)
    log, found = SignalLog(), []
    for epoch in range(1, epochs + 1):
        signals = log.after(epoch, _at(train, epoch), _at(val, epoch))
        if diversity is not None:
            values: dict[str, Any] = {**vars(signals), "gradient_diversity": diversity.get(epoch)}
            signals = Signals(**values)
        if course.after(signals) is not None:
            found.append((epoch + 1, course.label))
    return found


def _at(values: Sequence[float] | None, epoch: int) -> float:
    return 1.0 if values is None else values[epoch - 1]
