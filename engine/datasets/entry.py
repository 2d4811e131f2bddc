"""What a dataset entry is: options, size, provenance and a loader (no torch needed to list it)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from engine.defaults import Defaults

if TYPE_CHECKING:
    from torch import Tensor
    from torch_geometric.data import Data

    from engine.settings import Settings


class DatasetSpec(BaseModel):
    """A dataset and its options; each entry's own class adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str

    def check_elsewhere(self) -> None:
        """Raise InputError where another machine, or a service, could not load this."""

    def as_trained(self, x: Tensor) -> Tensor:
        """Features [nodes, F] that a person brings, as the loader would have prepared them for training."""
        return x


@dataclass(frozen=True)
class Messages:
    """The messages along an epoch's edges and to each node from itself, by who sends them."""

    by_degree: tuple[tuple[int, int], ...]
    """(in-degree of the sender, messages), ascending."""
    rank_of_nodes: float
    """The mean of Degree-Quant's F (METHODS §4) over the epoch's nodes."""
    rank_of_senders: float
    """The same over the messages, each by its sender."""


@dataclass(frozen=True)
class GraphSize:
    """What densities need to know of a graph."""

    nodes: int
    edges: int
    """Directed edges, as they are given."""
    features: int
    classes: int
    degrees: tuple[tuple[int, int], ...] | None = None
    """(in-degree, how many nodes have it), ascending; None until the graph was loaded."""
    graphs: int = 1
    """How many graphs; ``nodes`` and ``edges`` are those of all of them."""
    batches: int = 1
    """Into how many batches an epoch parts them: the weights are read once in each."""
    entries_a_node: float | None = field(default=None, compare=False)
    """Non-zero features a node, where they are kept sparse (engine.layers.operand); None: dense, or not known yet."""
    summed_a_node: float | None = field(default=None, compare=False)
    """Elements a node that the first layer's sum over neighbours keeps, where its features are kept sparse and it sums
    them before its weight (GIN, GraphSAGE; engine.counted_size); None: as many as features, or not known yet."""
    parted: bool = False
    """Whether a step takes rows of the features for itself: batches, also where an epoch has only one."""
    loops: int = field(default=0, compare=False)
    """How many of the edges lead from a node to itself."""
    messages: Messages | None = field(default=None, compare=False)
    """Who sends the messages of an epoch; None: as many from each node as come into it, or not known yet."""

    @property
    def looped(self) -> int:
        """Edges with exactly one loop a node, as GCN, GAT and AGNN take them."""
        return self.edges - self.loops + self.nodes


@dataclass(frozen=True)
class Origin:
    """Where a dataset comes from that has to be fetched."""

    folder: str
    """What PyG's class keeps below the data root ("Planetoid/Cora")."""
    url: str
    """The page or file that the public download begins with."""
    megabytes: float
    """Roughly what a download transfers, in 10^6 bytes; for the progress bar."""
    processed: str = "processed"
    """Inside ``folder``: present when, and only when, the dataset is whole."""

    @property
    def bytes(self) -> int:
        """Roughly what a download transfers."""
        return round(self.megabytes * 1e6)


@dataclass(frozen=True)
class Dataset:
    """A catalogue entry.

    ``load`` returns a PyG Data with x, edge_index and y, or a dict of them, which spares importing PyG, or a sequence
    of Data (a set of graphs); each with ``train_mask``, ``val_mask`` and ``test_mask`` over what ``y`` is over, where
    the dataset brings a split.
    No x: the loader of graphs makes degree features (``spec.degree_cap``). ``size`` needs no loading.
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    """Names of the tasks it can be trained for; the first is the default."""
    metric: str
    """What the default task reports."""
    licence: str
    spec: type[DatasetSpec]
    size: Callable[[Any], GraphSize]
    load: Callable[[Any, Settings], Data | Mapping[str, Tensor] | Sequence[Data]]
    splits: str = "made by the task"
    """Where the split comes from, or the rule that makes it."""
    about: Callable[[Any], str] | None = None
    """What the options mean, in words, for the result's page; None: the summary says all."""
    caveat: str | None = None
    synthetic: bool = False
    changeable: bool = False
    """Whether the content may change while the options stay: then nothing that was loaded is kept."""
    default_task: Callable[[Mapping[str, Any]], str] | None = None
    """The default task where the options decide it; None: the first of ``tasks``."""
    own_files: bool = False
    """Whether a person brings the files: the Launch page then takes an upload."""
    origin: Origin | None = None
    """None: generated, or inside an installed package, or a person's own."""
    packages: tuple[str, ...] = ()
    """Import names of optional packages that loading needs."""
    defaults: Mapping[str, Defaults] = field(default_factory=dict)
    """By task: the settings that a paper trains it with, where they are not the task's own."""

    def task_for(self, options: Mapping[str, Any]) -> str:
        """The default task of this dataset with these options."""
        return self.default_task(options) if self.default_task else self.tasks[0]

    @property
    def task(self) -> str:
        """The default task in words."""
        return self.tasks[0].replace("-", " ")

    @property
    def needs(self) -> str:
        """What loading needs, in words: "nothing", or a download or mirror archive, or packages."""
        needs = [f"{self.origin.megabytes:g} MB download or mirror archive"] if self.origin else []
        return "; ".join([*needs, *(f"package {name}" for name in self.packages)]) or "nothing"


def default_spec(entry: Dataset) -> DatasetSpec | None:
    """The entry's spec with every option left out; None where it has options that must be given, as one's files."""
    required = [field.is_required() for name, field in entry.spec.model_fields.items() if name != "name"]
    if entry.own_files or any(required):
        return None
    return entry.spec(name=entry.name)
