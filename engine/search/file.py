"""What a search is, as one value from a file: its row, its space, its goal, what it may spend.

    name = "sgquant-cora-gcn"
    algorithm = "guided"               # guided (SGQuant's regression tree), random, nsga2
    n_mea = 20                         # configurations a batch
    n_sample = 2000                    # configurations that the cost model looks at for the next batch
    n_iter = 9                         # batches after the first: 20·(1 + 9) = 200 are measured
    epsilon = 0.5                      # least cost within this drop of the metric; or the best metric
                                       # within a cost: budget = …, or saving = 26.1 (fp32's cost over it)
    figure = "feature_memory"          # the cost: a figure of the ledger (engine.ledger.figures), lower is better
    [spec]
    dataset = "cora"
    model = "gcn(hidden=32)"
    [space]
    granularity = "lwq+cwq+taq"        # or: scheme = "sdq[{a},{b}]" with [space.choices] a = […], b = […]
    bits = [1, 2, 3, 4, 8]

One measurement is a fine-tuning of the row's own fp32 model for ``epochs`` (20) with one seed, judged by validation
beside the same fine-tuning in fp32.
``few = {epochs = 5, keep = 0.5}``: each batch is trained for few epochs first, and the better half of it in full.
The best of the measured are then trained in full with fresh seeds (fp32 from the beginning, then each from that seed's
own fp32 model for as many epochs again), and judged by validation again; the winner's full training on ten more seeds
beside fp32's is its confirmation, of which only the report sees the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.catalogue import unknown
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.grammar import Value
from engine.ledger.figures import FIGURES
from engine.ledger.runs import run_products
from engine.objectives import OBJECTIVES
from engine.scheme import FP32
from engine.schemes.sgquant import COMPONENTS
from engine.search.algorithms import ALGORITHMS, Sizes
from engine.search.space import Space, granular
from engine.spec import RunSpec, explain

MOST_MEASURED = 10_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Few(_Part):
    """The first of two fidelities."""

    epochs: Annotated[int, Field(ge=1, le=1000)]
    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a batch that is trained in full after it."""


class SpaceFile(_Part):
    """Either SGQuant's table as fine as named, or a scheme with gaps and their choices."""

    granularity: str | None = None
    bits: list[int | str] = []
    splits: list[str] = ["4-8-16"]
    per: list[str] = ["row"]
    components: list[str] = ["emb", "att"]
    """With granularity: what has bits of its own, where the architecture has it (engine.schemes.sgquant)."""
    sites: list[str] = []
    """With granularity: only these of the components' sites (none: all), such as input and attention, without the
    features after the weight."""
    scheme: str | None = None
    choices: dict[str, list[int | float | bool | str]] = {}

    @model_validator(mode="after")
    def _one(self) -> SpaceFile:
        if (self.scheme is None) == (self.granularity is None):
            raise InputError("a space has either granularity, with bits, or scheme, with choices: give one of them")
        for component in self.components:
            if component not in COMPONENTS:
                raise unknown("component", component, list(COMPONENTS))
        return self


class SearchFile(_Part):
    """What a search file says; see the module."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "search"
    algorithm: str = "guided"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the algorithm; runs take theirs from [spec]."""
    n_mea: Annotated[int, Field(ge=1, le=1000)] = 20
    n_sample: Annotated[int, Field(ge=1, le=100_000)] = 2000
    n_iter: Annotated[int, Field(ge=0, le=1000)] = 9
    epsilon: Annotated[float, Field(ge=0)] | None = None
    budget: Annotated[float, Field(gt=0)] | None = None
    saving: Annotated[float, Field(gt=0)] | None = None
    figure: str = "feature_memory"
    epochs: Annotated[int, Field(ge=1, le=1000)] = 20
    few: Few | None = None
    finalists: Annotated[int, Field(ge=1, le=100)] = 4
    final_seeds: Annotated[int, Field(ge=0, le=100)] = 3
    confirm: Annotated[int, Field(ge=0, le=100)] = 10
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    spec: dict[str, Any]
    space: SpaceFile
    published: Annotated[float, Field(gt=0)] | None = None
    """The saving that a paper gives for this row, shown beside ours (only where it is at hand, none from memory)."""
    source: str = ""
    """Where it stands."""

    @model_validator(mode="after")
    def _fits(self) -> SearchFile:
        if self.algorithm not in ALGORITHMS:
            raise unknown("algorithm", self.algorithm, list(ALGORITHMS))
        if sum(given is not None for given in (self.epsilon, self.budget, self.saving)) != 1:
            raise InputError(
                "a search has either epsilon (least cost within that drop), or budget or saving (best metric within "
                "that cost, or at that saving): give one of them"
            )
        if self.algorithm == "nsga2" and self.n_mea < 2:
            raise InputError("n_mea = 1 is not allowed with nsga2, whose generations are n_mea points: 2 at least")
        allowed = [name for name, figure in FIGURES.items() if figure.lower_is_better and not figure.priced]
        if self.figure not in allowed:
            raise unknown("figure of cost", self.figure, allowed)
        if self.sizes.budget > MOST_MEASURED:
            raise InputError(
                f"the search would measure {self.sizes.budget} points: at most {MOST_MEASURED} are allowed"
            )
        return self

    @property
    def sizes(self) -> Sizes:
        return Sizes(self.n_mea, self.n_sample, self.n_iter)


def read_search(table: Mapping[str, Any]) -> SearchFile:
    """A search file's table, checked with its spec and space. Raises InputError in one sentence."""
    try:
        file = SearchFile.model_validate(dict(table))
    except ValidationError as error:
        raise InputError(explain(error, SearchFile)) from None
    if "scheme" in file.spec:
        raise InputError("spec.scheme is not allowed in a search: the space says which schemes there are")
    fp32_of(file)
    space_of(file)
    return file


def fp32_of(file: SearchFile) -> RunSpec:
    """The row in fp32: what candidates are fine-tuned from and compared with."""
    return RunSpec.parse({**file.spec, "scheme": FP32.name})


def space_of(file: SearchFile) -> Space:
    """The space of a file. Raises InputError."""
    if file.space.scheme is not None:
        return Space.of(file.space.scheme, file.space.choices)
    spec = fp32_of(file)
    layers = _layers_by_component(spec, file.space.components)
    depth = 1 + max((layer for own in layers.values() for layer in own), default=0)
    by_degree = str(file.space.granularity).endswith("taq")
    bits: list[Value] = list(file.space.bits)
    splits: list[Value] = list(file.space.splits) if by_degree else []
    per: list[Value] = [] if file.space.per == ["row"] else list(file.space.per)
    return granular(str(file.space.granularity), layers, depth, bits, splits=splits, per=per, sites=file.space.sites)


def _layers_by_component(spec: RunSpec, components: Sequence[str]) -> dict[str, list[int]]:
    """The layers that have these of SGQuant's components, by the products of the architecture."""
    size = DATASETS[spec.dataset.name].size(spec.dataset)
    size = OBJECTIVES[spec.task.name].expect(spec.task, size, spec)
    found: dict[str, set[int]] = {component: set() for component in components}
    for product in run_products(spec, size):
        sites = {site for operand in (*product.operands, *product.results) for site in operand.sites}
        for component, own in found.items():
            if COMPONENTS[component][0] in sites and product.name in ("forward", "aggregate"):
                own.add(product.layer)
    return {component: sorted(own) for component, own in found.items()}
