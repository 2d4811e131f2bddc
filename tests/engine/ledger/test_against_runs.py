"""The ledger against the run: what the live quantizers count in a training step is what the rows say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
import torch

from engine.counted_size import counted_size
from engine.errors import InputError
from engine.events import LedgerRow
from engine.graph import Graph, _size, load_graph
from engine.ledger import ledger_rows, run_products
from engine.models import MODELS
from engine.scheme import parse_scheme
from engine.schemes import RECIPES
from engine.settings import Settings
from engine.spec import RunSpec
from engine.tally import Quantized, counted
from engine.trainer import Trainer
from tests.engine.ledger.runs import prepared, small_graph, trained

Place = tuple[int, str, str]
"""(layer, site, product)"""

EXAMPLES = [example for recipe in RECIPES.values() for example in recipe.examples]
EVERYWHERE = ("int8", "dq-int4", "msfp13", "sgquant", "a2q", "sdq[int4,int4,int6,int8]", "taq[8,6,4,2]",
              "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]", "nqat-int8")  # fmt: skip

NAMES = list(MODELS)
CASES = [(scheme, model) for scheme in EVERYWHERE for model in NAMES]


def fits(scheme: str, model: str) -> bool:
    """Whether the architecture has the sites that the scheme names."""
    try:
        MODELS[model].check(MODELS[model].spec(name=model), parse_scheme(scheme))
    except InputError:
        return False
    return True


for number, example in enumerate(example for example in EXAMPLES if example not in EVERYWHERE):
    turn = [NAMES[(number + k) % len(NAMES)] for k in range(len(NAMES))]
    CASES.append((example, next(model for model in turn if fits(example, model))))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small_graph()


def count(trainer: Trainer, batches: Iterable) -> list[Quantized]:
    """One step, forward and backward, without learning."""
    with counted(trainer.live) as tally:
        for batch in batches:
            _, objective = trainer.forward(batch)
            objective.backward()
    return tally.rows


def charged(rows: Iterable[LedgerRow]) -> dict[Place, Counter[str]]:
    """Elements by format. All aggregates of a layer read the same tensors, which count once."""
    found: defaultdict[Place, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if not row.covered or not row.elements:
            continue
        place = found[row.layer, row.site, row.product]
        if row.product in ("aggregate", "grad_aggregate"):
            place[row.format] = max(place[row.format], row.elements)
        else:
            place[row.format] += row.elements
    return dict(found)


def ranges(rows: Iterable[LedgerRow] | Iterable[Quantized]) -> Counter[Place]:
    """Bits of ranges, learned steps and widths of the forward pass; what several aggregates read counts once."""
    found: Counter[Place] = Counter()
    noted: set[tuple[Place, str, int]] = set()
    for row in rows:
        place = (row.layer, row.site, row.product)
        if row.product == "aggregate" and (place, row.format, row.metadata_bits) in noted:
            continue
        noted.add((place, row.format, row.metadata_bits))
        if row.product in ("forward", "aggregate") and row.metadata_bits:
            found[place] += row.metadata_bits
    return found


def seen(rows: Iterable[Quantized]) -> dict[Place, Counter[str]]:
    found: defaultdict[Place, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.layer, row.site, row.product][row.format] += row.elements
    return dict(found)


def check(modelled: Mapping[Place, Counter[str]], live: Mapping[Place, Counter[str]]) -> None:
    """Equal; a backward product that quantizes nothing anew reads what the forward pass has quantized."""
    forward = {"grad_input": "forward", "grad_weight": "forward", "grad_aggregate": "aggregate"}
    for place, formats in modelled.items():
        layer, site, product = place
        found = live.get(place) or live.get((layer, site, forward.get(product, product)))
        assert found is not None, f"{place} is charged, and never quantized"
        if product in forward and found != formats and place not in live:
            # A backward product may read the operands of some of a layer's linear products only.
            assert set(formats) == set(found), place
            assert all(formats[name] <= found[name] for name in formats), place
            continue
        assert formats == found, place
    assert set(live) <= set(modelled), "quantized, and never charged"


@pytest.mark.parametrize(("scheme", "model"), CASES)
def test_each_sites_formats_and_elements_are_those_of_the_rows(scheme: str, model: str, graph: Graph):
    spec, problem, trainer = trained(scheme, graph, name=model)
    plan = spec.parsed_scheme
    for step in plan.schedule.ladder if plan.schedule else (None,):
        now = plan
        if step is not None:
            trainer.live.assign(step)
            now = plan.at(step)
        rows = ledger_rows(run_products(spec, problem.size), now, 1, problem.size.degrees, trainer.live.spread)
        live = count(trainer, problem.batches(2))
        # A ladder's fp32 is covered by its rule, and quantizes nothing.
        modelled = charged(row for row in rows if row.format != "fp32")
        check(modelled, {place: formats for place, formats in seen(live).items() if set(formats) != {"fp32"}})
        bits, live_bits = ranges(row for row in rows if row.format != "fp32"), ranges(live)
        assert bits.keys() == live_bits.keys()
        # Learned widths' shares are rounded format by format.
        assert all(abs(bits[place] - live_bits[place]) <= 8 for place in bits)


TASKS = {
    "graphs in batches": {"dataset": "mutag", "training": {"batch_size": 64}},
    "links": {"dataset": "cora", "task": "link-prediction"},
    "clusters": {"dataset": "cora", "training": {"batching": "clusters(parts=10,per_batch=2)"}},
    "neighbours": {"dataset": "cora", "training": {"batching": "neighbours(batch_size=64)"}},
}
EVERY = [(task, model) for task in ("graphs in batches", "clusters") for model in NAMES]


@pytest.mark.parametrize("scheme", ["int8", "taq[8,6,4,2]", "dq-int4"])
@pytest.mark.parametrize(("task", "model"), [*EVERY, ("links", "gcn"), ("neighbours", "gat"), ("neighbours", "gin")])
def test_other_tasks_and_batches_too(task: str, model: str, scheme: str, settings: Settings, mirror: object):
    spec = RunSpec.parse({"model": model, "scheme": scheme, **TASKS[task]})
    problem, trainer = prepared(spec, load_graph(spec.dataset, settings))
    size = counted_size(spec, problem)
    rows = ledger_rows(run_products(spec, size), spec.parsed_scheme, 1, size.degrees, messages=size.messages)
    check(charged(rows), seen(count(trainer, problem.batches(1))))


def test_the_protected_share_is_the_masks_expectation(graph: Graph):
    spec, problem, trainer = trained("dq-int4(p_min=0.1,p_max=0.6)", graph, name="gat")
    rows = ledger_rows(run_products(spec, problem.size), spec.parsed_scheme, 1, problem.size.degrees)
    steps = [count(trainer, problem.batches(2)) for _ in range(40)]
    for site, product, rows_of in (("input", "forward", 60), ("score", "aggregate", 60), ("update", "forward", 60)):
        expected = next(row.protected for row in rows if (row.site, row.product) == (site, product) and row.elements)
        of_site = [row for step in steps for row in step if (row.site, row.product) == (site, product)]
        drawn = sum(row.protected for row in of_site) / sum(row.elements for row in of_site)
        # Masks are drawn a node, layer and step.
        assert drawn == pytest.approx(expected, abs=4 * (0.25 / (rows_of * len(steps) * 2)) ** 0.5), site


@pytest.mark.parametrize("task", ["graphs in batches", "clusters"])
def test_the_protected_share_in_batches_is_the_mean_of_their_nodes_and_senders(
    task: str, settings: Settings, mirror: object
):
    spec = RunSpec.parse({"model": "gat", "scheme": "dq-int4(p_min=0.1,p_max=0.6)", **TASKS[task]})
    problem, _ = prepared(spec, load_graph(spec.dataset, settings))
    size = counted_size(spec, problem)
    rows = ledger_rows(run_products(spec, size), spec.parsed_scheme, 1, size.degrees, messages=size.messages)
    # Each graph's own ranks, or the whole graph's, of what is in the batches.
    parts = [batch.topology for batch in problem.batches(1)]
    nodes = torch.cat([part.degree_rank for part in parts]).double()
    senders = torch.cat([part.degree_rank[part.looped.sources] for part in parts]).double()
    for site, product, ranks in (("input", "forward", nodes), ("score", "aggregate", senders)):
        found = next(row.protected for row in rows if (row.site, row.product) == (site, product) and row.elements)
        assert found == pytest.approx(0.1 + 0.5 * float(ranks.mean()), abs=1e-9), site


def test_loops_are_replaced_by_one_a_node(graph: Graph):
    loops = torch.tensor([[0, 0, 3], [0, 0, 3]])
    edges = torch.cat([graph.edge_index, loops], 1)
    looped = replace(graph, edge_index=edges, size=_size(graph.x, edges, graph.y, None))
    assert looped.size.looped == graph.edge_index.shape[1] + 60
    spec, problem, trainer = trained("taq[8,6,4,2]", looped, name="gat")
    size = counted_size(spec, problem)
    rows = ledger_rows(run_products(spec, size), spec.parsed_scheme, 1, size.degrees, messages=size.messages)
    check(charged(rows), seen(count(trainer, problem.batches(2))))


def test_the_protected_share_of_weights_is_one_less_the_probability(graph: Graph):
    spec, problem, trainer = trained("nqat-int8(probability=0.7)", graph, name="gcn")
    rows = ledger_rows(run_products(spec, problem.size), spec.parsed_scheme, 1, problem.size.degrees)
    assert {row.protected for row in rows if row.site == "weight" and row.covered and row.elements} == {0.3}
    weights = [row for _ in range(20) for row in count(trainer, problem.batches(2)) if row.site == "weight"]
    drawn = sum(row.protected for row in weights) / sum(row.elements for row in weights)
    assert drawn == pytest.approx(0.3, abs=0.02)


def test_counting_changes_no_number(graph: Graph):
    def losses(counts: bool) -> list[float]:
        _, problem, trainer = trained("dq-int4", graph, name="gcn")
        if counts:
            with counted(trainer.live):
                return [trainer._step(batch) for epoch in (2, 3) for batch in problem.batches(epoch)]
        return [trainer._step(batch) for epoch in (2, 3) for batch in problem.batches(epoch)]

    assert losses(True) == losses(False)
