"""Every figure that follows from a ledger, each under the name of its definition: the one place of definitions.

A figure is computed from rows and a cost table alone, so that a page can show it for any table; ``run_figures`` gives
all. Keys name the scope where it matters, and "whole step" where what no rule covers counts as fp32; a figure without
that counts what its definition says. Bits hold ranges and shared exponents, unless a published definition leaves them
out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import get_args

from engine.costs import CostTable, default_table
from engine.errors import InputError
from engine.events import Densities, LedgerRow
from engine.formats import get_format
from engine.ledger.densities import Coverage, Scope, densities, in_scope, is_covered, last_epoch
from engine.ledger.products import FORWARD, STASH
from engine.scheme import FP32

SOURCE = "Bitfront's ledger"
SGQUANT = "Feng et al., SGQuant, ICTAI 2020, arXiv 2007.05100"
WITHOUT_WRITES = (
    "this run's ledger was recorded before it counted what products write: memory traffic and what follows from it "
    "are not known; run it again to see them"
)
THESIS = "Bqain, Quantized Training for GNNs, thesis, Imperial College London, 2023"


@dataclass(frozen=True)
class Ledger:
    """What figures are computed from: a run's rows, a cost table, and what inference runs.

    ``epoch``: the one whose model inference runs (None: the last). ``batches``: steps of an epoch, each of which reads
    the weights anew.
    """

    rows: Sequence[LedgerRow]
    table: CostTable
    epoch: int | None = None
    batches: int = 1

    @cached_property
    def at(self) -> int:
        return last_epoch(self.rows) if self.epoch is None else self.epoch

    @cached_property
    def lacks(self) -> str | None:
        """Why what the rows move is not known: the sentence for people; None where it is."""
        return None if not self.rows or counts_writes(self.rows) else WITHOUT_WRITES

    @cached_property
    def epochs(self) -> int:
        """How many epochs the rows span."""
        spans = {(row.first_epoch, row.last_epoch) for row in self.rows}
        return sum(last - first + 1 for first, last in spans)

    @cached_property
    def inference(self) -> list[LedgerRow]:
        """The forward rows of the model that is run."""
        return [row for row in self.rows if in_scope(row, "inference", self.at)]

    def in_scope(self, scope: Scope) -> list[LedgerRow]:
        return self.inference if scope == "inference" else [row for row in self.rows if in_scope(row, scope)]

    @cached_property
    def in_fp32(self) -> Ledger:
        """The same work with everything in fp32."""
        plain = [
            row.model_copy(
                update={"format": FP32.name, "partner": None, "metadata_bits": 0, "protected": 0.0, "covered": False}
            )
            for row in self.rows
            if not (row.product == STASH and get_format(row.format).bits == 1)
        ]
        return replace(self, rows=plain)

    def densities(self, scope: Scope, coverage: Coverage) -> Densities | None:
        """None where the table does not know a format."""
        if (scope, coverage) not in self._densities:
            try:
                found = densities(self.rows, scope, coverage, self.epoch, self.table)
            except InputError:
                found = None
            self._densities[scope, coverage] = found
        return self._densities[scope, coverage]

    @cached_property
    def _densities(self) -> dict[tuple[Scope, Coverage], Densities | None]:
        return {}

    @cached_property
    def published(self) -> Ledger:
        """The same rows under the published densities."""
        table = default_table()
        return self if self.table == table else replace(self, table=table)


Compute = Callable[[Ledger], float | None]


@dataclass(frozen=True)
class Figure:
    """A definition: ``name`` is its stable key, ``definition`` its formula in words, for tooltips and exports."""

    name: str
    title: str
    unit: str
    definition: str
    source: str
    lower_is_better: bool
    compute: Compute
    scope: Scope | None = None
    coverage: Coverage | None = None
    priced: bool = False
    """Whether it depends on the cost table."""

    moves: bool = False
    """Whether it depends on what products write, which ledgers of before lack (``Ledger.lacks``)."""

    @property
    def axis(self) -> str:
        """What an axis says: title, scope, coverage, unit."""
        more = ", ".join(filter(None, (self.scope, self.coverage, self.unit)))
        return f"{self.title} ({more})" if more else self.title


def run_figures(
    rows: Sequence[LedgerRow], table: CostTable | None = None, *, epoch: int | None = None, batches: int = 1
) -> dict[str, float | None]:
    """Every figure of a ledger by its name; None where it does not apply (no attention, a table without energies)."""
    ledger = Ledger(rows, table or default_table(), epoch, batches)
    return {name: figure.compute(ledger) for name, figure in FIGURES.items()}


def counts_writes(rows: Iterable[LedgerRow]) -> bool:
    """Whether a ledger says what products write: those of before do not."""
    return any(row.written for row in rows)


def bits_of(row: LedgerRow, *, training: bool = False) -> float:
    """Bits of a row's elements, ranges included; in training its protected share is fp32."""
    format = get_format(row.format)
    left = row.protected if training else 0.0
    return row.elements * ((1 - left) * format.bits + left * FP32.bits) + row.metadata_bits


def _span(row: LedgerRow) -> int:
    return row.last_epoch - row.first_epoch + 1


def held_once(rows: Iterable[LedgerRow], *sites: str) -> Iterator[LedgerRow]:
    """The rows of one epoch's tensors at these sites, each tensor once, however many products read it.

    A linear product reads tensors of its own; all aggregates of a layer read the same ones.
    """
    shared: dict[tuple[int, int, str, str], LedgerRow] = {}
    for row in rows:
        if row.site not in sites or not row.elements:
            continue
        if row.product == "aggregate":
            shared.setdefault((row.first_epoch, row.layer, row.site, row.format), row)
        else:
            yield row
    yield from shared.values()


def _memory(ledger: Ledger, *sites: str, weights: bool = False) -> float | None:
    """Bytes at rest of inference's tensors at these sites; None where there is none."""
    bits = [bits_of(row) for row in held_once(ledger.inference, *sites)]
    return sum(bits) / 8 / (ledger.batches if weights else 1) if bits else None


def feature_memory(ledger: Ledger) -> float | None:
    return _memory(ledger, "input")


def node_memory(ledger: Ledger) -> float | None:
    return _memory(ledger, "input", "feature")


def attention_memory(ledger: Ledger) -> float | None:
    return _memory(ledger, "attention")


def weight_memory(ledger: Ledger) -> float | None:
    return _memory(ledger, "weight", weights=True)


def _saving(memory: Compute, ledger: Ledger) -> float | None:
    now, whole = memory(ledger), memory(ledger.in_fp32)
    return whole / now if now and whole else None


def feature_share(ledger: Ledger) -> float | None:
    """SGQuant, Fig. 1."""
    features, weights = feature_memory(ledger), weight_memory(ledger)
    if features is None:
        return None
    features += attention_memory(ledger) or 0.0
    return 100 * features / (features + (weights or 0.0))


def average_bits_sgquant(ledger: Ledger) -> float | None:
    rows = list(held_once(ledger.inference, "input", "attention"))
    elements = sum(row.elements for row in rows)
    return sum(row.elements * get_format(row.format).bits for row in rows) / elements if elements else None


def average_bits_a2q(ledger: Ledger) -> float | None:
    rows = [row for row in held_once(ledger.inference, "input", "message") if row.layer > 0 and is_covered(row)]
    elements = sum(row.elements for row in rows)
    bits = sum(row.elements * (get_format(row.format).bits - 1) for row in rows)
    return bits / elements if elements else None


def average_bits_mixq(ledger: Ledger) -> float | None:
    sites: defaultdict[tuple[int, str], list[LedgerRow]] = defaultdict(list)
    for row in ledger.inference:
        if is_covered(row) and row.elements:
            sites[row.layer, row.site].append(row)
    means = [
        sum(row.elements * get_format(row.format).bits for row in rows) / sum(row.elements for row in rows)
        for rows in sites.values()
    ]
    return sum(means) / len(means) if means else None


def traffic(ledger: Ledger, scope: Scope) -> float | None:
    """Bytes an epoch; None where the ledger does not say what is written."""
    if ledger.lacks:
        return None
    return row_traffic(ledger.in_scope(scope), scope) / _epochs_of(ledger, scope)


def row_traffic(rows: Iterable[LedgerRow], scope: Scope) -> float:
    """Bytes that these rows read and write, over all their epochs."""
    bits = 0.0
    for row in rows:
        out = row.written * get_format(row.format).bits
        if scope == "training" and row.protected:
            out += row.protected * row.written * (FP32.bits - get_format(row.format).bits)
        bits += (_span(row) if scope == "training" else 1) * (bits_of(row, training=scope == "training") + out)
    return bits / 8


def _epochs_of(ledger: Ledger, scope: Scope) -> int:
    return max(ledger.epochs, 1) if scope == "training" else 1


def macs(ledger: Ledger, scope: Scope) -> float:
    """Multiply-accumulates an epoch."""
    rows = ledger.in_scope(scope)
    if scope == "inference":
        return float(sum(row.macs for row in rows))
    return sum(_span(row) * row.macs for row in rows) / _epochs_of(ledger, scope)


def bit_operations(ledger: Ledger, scope: Scope) -> float:
    """BitOPs an epoch."""
    total = 0.0
    for row in ledger.in_scope(scope):
        if not row.macs:
            continue
        a = get_format(row.format).bits
        b = a if row.partner is None else get_format(row.partner).bits
        left = row.protected if scope == "training" else 0.0
        pair = (1 - left) * a * b + left * FP32.bits**2
        total += (_span(row) if scope == "training" else 1) * row.macs * pair
    return total / _epochs_of(ledger, scope)


def intensity(ledger: Ledger, scope: Scope) -> float | None:
    moved = traffic(ledger, scope)
    return macs(ledger, scope) / moved if moved else None


def energy(ledger: Ledger, scope: Scope) -> float | None:
    """Joules an epoch; None where the table gives none, or lacks a format, or the traffic is not known."""
    table, moved = ledger.table, traffic(ledger, scope)
    if table.kind != "energy" or table.byte is None or moved is None:
        return None
    whole = table.energy(FP32)
    assert whole is not None, "a table of energy has fp32"
    total = moved * _epochs_of(ledger, scope) * table.byte
    for row in ledger.in_scope(scope):
        if not row.macs:
            continue
        each = table.energy(get_format(row.format), None if row.partner is None else get_format(row.partner))
        if each is None:
            return None
        left = row.protected if scope == "training" else 0.0
        total += (_span(row) if scope == "training" else 1) * row.macs * ((1 - left) * each + left * whole)
    return total / _epochs_of(ledger, scope) * table.joules


def _stretches(ledger: Ledger) -> list[list[LedgerRow]]:
    found: defaultdict[tuple[int, int], list[LedgerRow]] = defaultdict(list)
    for row in ledger.rows:
        found[row.first_epoch, row.last_epoch].append(row)
    return list(found.values())


def stash(ledger: Ledger) -> float | None:
    """Bytes a step of the epochs that keep most."""
    return _widest(ledger, lambda rows: _stash_of(ledger, rows))


def held(ledger: Ledger) -> float | None:
    return _widest(ledger, lambda rows: sum(row.held_bytes for row in rows if row.product == STASH))


def peak_footprint(ledger: Ledger) -> float | None:
    """Bytes of the epochs with the widest formats."""

    def at_once(rows: list[LedgerRow]) -> float:
        forward = [row for row in rows if row.product in FORWARD]
        # The first layer's input is there all the time, and is not kept once more for the backward pass.
        features = [row for row in held_once(forward, "input", "message") if row.layer == 0]
        # Of one tensor, which several products may read, each format's part once.
        parts = {row.format: row for row in features if row.site == features[0].site}
        first = sum(bits_of(row, training=True) for row in parts.values()) / 8 / ledger.batches
        weights = sum(bits_of(row, training=True) for row in held_once(forward, "weight")) / 8 / ledger.batches
        return first + weights + _stash_of(ledger, rows)

    return _widest(ledger, at_once)


def _stash_of(ledger: Ledger, rows: list[LedgerRow]) -> float:
    """Bytes of the mean step of an epoch."""
    return sum(bits_of(row, training=True) for row in rows if row.product == STASH) / 8 / ledger.batches


def _widest(ledger: Ledger, of: Callable[[list[LedgerRow]], float]) -> float | None:
    """The most of all stretches, in which a stash is kept; None for ledgers of before, which have none."""
    found = [of(rows) for rows in _stretches(ledger) if any(row.product == STASH for row in rows)]
    return float(max(found)) if found else None


_MEANS = {
    "memory_density": (
        "Memory density",
        "memory",
        "×",
        False,
        "32 / bits an element: the elements that products read, and results that are quantized on their own, with "
        "ranges and shared exponents; over epochs the harmonic mean, weighted by elements",
        SOURCE,
    ),
    "memory_density_thesis": (
        "Memory density, thesis mean",
        "memory_thesis",
        "×",
        False,
        "the memory density of each epoch, averaged arithmetically over the epochs",
        THESIS,
    ),
    "memory_density_peak": (
        "Memory density at the peak",
        "peak_memory_density",
        "×",
        False,
        "the memory density of the epochs with the widest formats, which set the peak",
        SOURCE,
    ),
    "arithmetic_density": (
        "Arithmetic density",
        "arithmetic",
        "×",
        False,
        "multiply-accumulates for what one in fp32 costs, by the cost table: Σ MACs / Σ (MACs / density), the "
        "work-weighted harmonic mean; mixed operands run at the wider one's density",
        SOURCE,
    ),
    "arithmetic_density_thesis": (
        "Arithmetic density, thesis mean",
        "arithmetic_thesis",
        "×",
        False,
        "the arithmetic density of each epoch, averaged arithmetically over the epochs",
        THESIS,
    ),
    "average_bits": (
        "Average bits",
        "average_bits",
        "bits",
        True,
        "bits an element of what products read, ranges and shared exponents included: 32 / memory density",
        SOURCE,
    ),
}


def _density(field: str, scope: Scope, coverage: Coverage, ledger: Ledger) -> float | None:
    # Memory does not depend on the table, whatever formats it lacks.
    ledger = ledger if field.startswith("arithmetic") else ledger.published
    found = ledger.densities(scope, coverage)
    return None if found is None else getattr(found, field)


def _density_figures() -> Iterator[Figure]:
    for name, (title, field, unit, lower, definition, source) in _MEANS.items():
        for scope in get_args(Scope):
            for coverage in get_args(Coverage):
                whole = ".whole_step" if coverage == "whole step" else ""
                yield Figure(
                    f"{name}.{scope}{whole}",
                    title,
                    unit,
                    definition,
                    source,
                    lower,
                    partial(_density, field, scope, coverage),
                    scope,
                    coverage,
                    priced=name.startswith("arithmetic"),
                )


def _scoped_figures() -> Iterator[Figure]:
    of_scope: Sequence[tuple[str, str, str, str, str, Callable[[Ledger, Scope], float | None], bool, bool]] = (
        (
            "traffic",
            "Memory traffic",
            "bytes an epoch",
            "what products read and write, each operand and each result once a product, in its format; ranges, masks "
            "and protected nodes included; results between products as they are first quantized; where batches are "
            "drawn anew each epoch, those of the first",
            SOURCE,
            traffic,
            True,
            False,
        ),
        (
            "macs",
            "Multiply-accumulates",
            "an epoch",
            "multiply-accumulates of linear products, aggregates and attention, at any width; where batches are drawn "
            "anew each epoch, with the edges of the first one's",
            SOURCE,
            macs,
            True,
            False,
        ),
        (
            "bit_operations",
            "Bit operations",
            "BitOPs an epoch",
            "Σ MACs·b_a·b_w over all products, b the bits of both operands (a sum's other factor counts as wide as "
            "its message)",
            "Zhu et al., A²Q, and Moustafa et al., MixQ-GNN, count likewise",
            bit_operations,
            True,
            False,
        ),
        (
            "intensity",
            "Operational intensity",
            "MAC a byte",
            "multiply-accumulates over memory traffic",
            "Williams et al., Roofline, CACM 2009",
            intensity,
            False,
            False,
        ),
        (
            "energy",
            "Energy",
            "J an epoch",
            "Σ MACs·energy of the format pair + memory traffic·energy a byte, by the cost table",
            SOURCE,
            energy,
            True,
            True,
        ),
    )
    for name, title, unit, definition, source, compute, lower, priced in of_scope:
        for scope in get_args(Scope):
            of: Compute = partial(_with_scope, compute, scope)
            moves = name in ("traffic", "intensity", "energy")
            yield Figure(f"{name}.{scope}", title, unit, definition, source, lower, of, scope, None, priced, moves)


def _with_scope(compute: Callable[[Ledger, Scope], float | None], scope: Scope, ledger: Ledger) -> float | None:
    return compute(ledger, scope)


_OTHERS = (
    Figure(
        "average_bits_sgquant",
        "Average bits (SGQuant)",
        "bits",
        "Σ numel·bits / Σ numel over what enters the layers and over the attention, each tensor once, without ranges",
        SGQUANT,
        True,
        average_bits_sgquant,
        "inference",
    ),
    Figure(
        "average_bits_a2q",
        "Average bits (A²Q)",
        "bits",
        "Σ numel·(bits − 1) / Σ numel over what enters the layers but the first (messages too, where quantized): "
        "without the sign, without steps",
        "Zhu et al., A²Q, ICLR 2023",
        True,
        average_bits_a2q,
        "inference",
    ),
    Figure(
        "average_bits_mixq",
        "Average bits (MixQ)",
        "bits",
        "the mean of the bits over the quantized sites of each layer, every site counting alike, without ranges",
        "Moustafa et al., MixQ-GNN",
        True,
        average_bits_mixq,
        "inference",
    ),
    Figure(
        "feature_memory",
        "Feature memory",
        "bytes",
        "Σ numel·bits/8 of what enters the layers (node tensors), each once, ranges included",
        SGQUANT,
        True,
        feature_memory,
        "inference",
    ),
    Figure(
        "feature_saving",
        "Saving of feature memory",
        "×",
        "feature memory in fp32 / feature memory",
        SGQUANT,
        False,
        partial(_saving, feature_memory),
        "inference",
    ),
    Figure(
        "node_memory",
        "Node memory",
        "bytes",
        "Σ numel·bits/8 of all node tensors: what enters the layers and the features after each weight, each once, "
        "ranges included",
        SGQUANT,
        True,
        node_memory,
        "inference",
    ),
    Figure(
        "node_saving",
        "Saving of node memory",
        "×",
        "node memory in fp32 / node memory",
        SGQUANT,
        False,
        partial(_saving, node_memory),
        "inference",
    ),
    Figure(
        "attention_memory",
        "Attention memory",
        "bytes",
        "Σ numel·bits/8 of the attention after its softmax, a number an edge and head",
        SGQUANT,
        True,
        attention_memory,
        "inference",
    ),
    Figure(
        "attention_saving",
        "Saving of attention memory",
        "×",
        "attention memory in fp32 / attention memory",
        SGQUANT,
        False,
        partial(_saving, attention_memory),
        "inference",
    ),
    Figure(
        "weight_memory",
        "Weight memory",
        "bytes",
        "Σ numel·bits/8 of the weights as products read them, ranges and steps included; without biases",
        SOURCE,
        True,
        weight_memory,
        "inference",
    ),
    Figure(
        "weight_saving",
        "Saving of weight memory",
        "×",
        "weight memory in fp32 / weight memory",
        SOURCE,
        False,
        partial(_saving, weight_memory),
        "inference",
    ),
    Figure(
        "feature_share",
        "Share of features in memory",
        "%",
        "(feature + attention memory) / (feature + attention + weight memory), as in SGQuant's Fig. 1",
        SGQUANT,
        True,
        feature_share,
        "inference",
    ),
    Figure(
        "stash",
        "Kept for the backward pass",
        "bytes a step",
        "what the layers keep from a step's forward to its backward pass, each tensor in its format, ReLU and dropout "
        "masks a bit an element; without the loss's own; of the epochs that keep most",
        SOURCE,
        True,
        stash,
        "training",
    ),
    Figure(
        "held_for_backward",
        "Held for the backward pass by this implementation",
        "bytes a step",
        "what this emulation holds of the layers, copies in float32 included; without the structure of the graph and "
        "of sparse features, and without the loss's own; of the epochs that hold most",
        SOURCE,
        True,
        held,
        "training",
    ),
    Figure(
        "peak_footprint",
        "Peak footprint (modelled)",
        "bytes a step",
        "features of the first layer + weights + what is kept for the backward pass, each in its format, in the epochs "
        "with the widest formats",
        SOURCE,
        True,
        peak_footprint,
        "training",
    ),
)

FIGURES: Mapping[str, Figure] = {figure.name: figure for figure in (*_density_figures(), *_scoped_figures(), *_OTHERS)}
"""Every definition, by its key."""
