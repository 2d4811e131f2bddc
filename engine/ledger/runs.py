"""The ledger of a run: its stretches of epochs, as planned or as they came, and its densities before it is launched."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

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
from engine.scheme import Phase, Rule, Scheme
from engine.settings import Settings
from engine.spec import RunSpec


class _Learner(Protocol):
    """What the ledger asks of a live scheme whose formats were learned."""

    def spread(self, rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]: ...


Stretch = tuple[int, int, Step]
"""(first epoch, last epoch, step of the ladder)."""


def run_ledger(
    spec: RunSpec, size: GraphSize, live: _Learner | None = None, stretches: Sequence[Stretch] | None = None
) -> list[LedgerRow]:
    """The ledger of a spec on a graph of this size: as planned, or with the formats that ``live`` has learned.

    ``stretches``: when a scheduled run had which step of its ladder; None: as the clock says, or as early as signals
    may raise it, so that the densities are the least that the run can have. A phase that is not quantized (fp32
    training before fine-tuning) is charged as fp32.
    """
    products = run_products(spec, size)
    kept = list(MODELS[spec.model.name].kept(spec.model, size))
    scheme, rows, first = spec.parsed_scheme, [], 1
    spread = as_planned if live is None else live.spread
    for phase in scheme.phases or (Phase("train"),):
        epochs = spec.training.epochs if phase.epochs is None else phase.epochs
        for start, end, now in _within(scheme, first, first + epochs - 1, stretches, spec.plateau_ratio):
            now = now if phase.quantized else Scheme()
            rows += ledger_rows(products, now, end - start + 1, size.degrees, spread, start, kept, size.batches)
        first += epochs
    return rows


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
    rows = ledger_rows(run_products(spec, size), scheme, 1, size.degrees, as_planned if live is None else live.spread)
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
