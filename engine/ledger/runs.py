"""The ledger of a run: its stretches of epochs, as planned or as they came, and its densities before it is launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

from engine.controllers.plan import stretches as planned_stretches
from engine.costs import CostTable
from engine.datasets import GraphSize
from engine.datasets.known_size import known_size
from engine.events import Densities, LedgerRow
from engine.formats import Format
from engine.ledger.densities import all_densities, densities, headline_scope
from engine.ledger.products import Product, over_batches
from engine.ledger.rows import as_planned, ledger_rows
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.schedule import Step
from engine.scheme import FP32, Rule, Scheme
from engine.settings import Settings
from engine.spec import RunSpec


class _Learner(Protocol):
    """What the ledger asks of a live scheme whose formats were learned."""

    def spread(self, rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]: ...


Stretch = tuple[int, int, Step]
"""(first epoch, last epoch, step of the ladder)."""


def run_ledger(
    spec: RunSpec,
    size: GraphSize,
    live: _Learner | None = None,
    stretches: Sequence[Stretch] | None = None,
    best: tuple[int, _Learner] | None = None,
) -> list[LedgerRow]:
    """The ledger of a spec on a graph of this size: as planned, or with the formats that ``live`` has learned.

    ``best``: the epoch whose model the run keeps, with its live scheme: what it had learned then stands for the epochs
    up to it, ``live`` for those after it. ``stretches``: when a scheduled run had which step of its ladder; None: as
    the clock says, or as early as signals may raise it, so that the densities are the least that the run can have. A
    phase that is not quantized (fp32 training before fine-tuning) is charged as fp32.
    """
    products = run_products(spec, size)
    kept = list(MODELS[spec.model.name].kept(spec.model, size))
    scheme, rows, first = spec.parsed_scheme, [], 1
    for phase in spec.phases:
        epochs = phase.epochs or 0
        for start, end, now in _within(scheme, first, first + epochs - 1, stretches, spec.plateau_ratio):
            now = now if phase.quantized else Scheme()
            for begin, last, learner in _by_learner(start, end, live, best):
                spread = as_planned if learner is None else learner.spread
                of_stretch = (products, now, last - begin + 1, size.degrees, spread, begin, kept, size.batches)
                rows += ledger_rows(*of_stretch, size.messages)
        first += epochs
    return rows


def _by_learner(
    start: int, end: int, live: _Learner | None, best: tuple[int, _Learner] | None
) -> list[tuple[int, int, _Learner | None]]:
    """These epochs, parted after the best one."""
    if best is None:
        return [(start, end, live)]
    epoch, learner = best
    parts = [(start, min(end, epoch), learner), (max(start, epoch + 1), end, live)]
    return [(begin, last, of) for begin, last, of in parts if begin <= last]


def ledger_in_fp32(spec: RunSpec, size: GraphSize) -> list[LedgerRow]:
    """The ledger of the same run without a scheme: nothing is there that exists only to be quantized.

    It spans as many epochs as the run's phases. From it a scheme moves the points of the roofline.
    """
    epochs = sum(phase.epochs or 0 for phase in spec.phases)
    rows = run_ledger(spec.model_copy(update={"scheme": FP32.name}), size)
    return [row.model_copy(update={"last_epoch": epochs}) for row in rows]


def trained_size(provenance: Mapping[str, Any]) -> GraphSize | None:
    """What an epoch of a run trained on, as far as its ledger in fp32 asks; None where the run did not say (before).

    ``provenance``: of its RunStarted.
    """
    found = provenance.get("trained_on")
    if found is None:
        return None
    degrees = found.get("degrees")  # absent in what older runs said
    pairs = None if degrees is None else tuple((int(degree), int(count)) for degree, count in degrees)
    return GraphSize(**{**found, "degrees": pairs})


def _within(
    scheme: Scheme, first: int, last: int, stretches: Sequence[Stretch] | None, plateau_ratio: float
) -> list[tuple[int, int, Scheme]]:
    """The stretches of these epochs, each with the scheme as it then was."""
    if scheme.schedule is None:
        return [(first, last, scheme)]
    if stretches is None:
        stretches = list(planned_stretches(scheme.schedule, last, plateau_ratio))
    return [
        (max(start, first), min(end, last), scheme.at(step))
        for start, end, step in stretches
        if start <= last and end >= first
    ]


def run_products(spec: RunSpec, size: GraphSize) -> list[Product]:
    """The work of an epoch."""
    return over_batches(MODELS[spec.model.name].products(spec.model, size), size.batches)


def epoch_bits(spec: RunSpec, size: GraphSize, step: Step | None, live: _Learner | None = None) -> float:
    """Bits an element of an epoch's quantized part, in the scope of the scheme's headline (32 where there is none)."""
    scheme = spec.parsed_scheme if step is None else spec.parsed_scheme.at(step)
    spread = as_planned if live is None else live.spread
    rows = ledger_rows(run_products(spec, size), scheme, 1, size.degrees, spread, messages=size.messages)
    return densities(rows, headline_scope(scheme), "quantized part").average_bits


def preview(spec: RunSpec, settings: Settings | None = None, table: CostTable | None = None) -> list[Densities]:
    """Densities of a run before it is launched (no data is loaded, no torch is imported), headline first.

    Where signals decide when precision rises, these are the least that the run can have.
    Raises InputError where they depend on the graph's degrees and the dataset was never loaded here.
    """
    return all_densities(run_ledger(spec, expected_size(spec, settings)), spec.parsed_scheme, table=table)


def expected_size(spec: RunSpec, settings: Settings | None = None) -> GraphSize:
    """What an epoch of the run will train on, as far as it is known before the data are loaded."""
    size = known_size(spec.dataset, settings or Settings())
    return OBJECTIVES[spec.task.name].expect(spec.task, size, spec)
