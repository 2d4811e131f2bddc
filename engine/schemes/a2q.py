"""``a2q(bits=4)``: each node learns its step and its bits (Zhu et al., A²Q, ICLR 2023; METHODS §6).

What enters a layer has a step and bits a node, learned by the local gradient, with a penalty on the memory:

    λ·(Σ_l dim_l·Σ_i |b_i| / (8·1024) − target)²      (one_sided=true: λ·relu(·)², as in the authors' code)

over all layers but the first (``first=true``: that one too). On Cora the first layer's features alone take 1.9 MB
at 4 bits, so the authors' target of 5 KB can only mean the others; there it is about one bit a node of a 16 wide layer,
which with the sign counted is narrow (target=15.0 is about three). Weights have a learned step an output channel, the
nodes after the weight one a column (the aggregate sums over nodes: a step a node could not be taken out of the sum).
Gradients stay fp32. The defaults are the authors' for GCN on Cora (METHODS §10).

``messages=true``: the messages too, for GIN and GraphSAGE, whose weight comes after the aggregate. ``groups=1000``: as
many pairs of step and bits instead of one a node; each node takes the pair whose reach is nearest to its largest value,
so that batches and unseen graphs have bits too. ``gradient=task``: steps and bits follow the task's gradient (graph
tasks, where every node gets one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from engine.formats import Format, get_format
from engine.grammar import Part
from engine.recipe_options import Options
from engine.scheme import Quantization, Rule, Scheme, Slot
from engine.schemes import Recipe

if TYPE_CHECKING:
    from torch import nn

GRADIENTS = ("local", "task")
OPTIONS = (
    "bits", "weight_bits", "feature_bits", "target", "penalty", "one_sided", "first", "messages", "gradient", "groups",
    "lr_bits", "lr_step", "lr_weight_step", "lr_feature_step",
)  # fmt: skip


@dataclass(frozen=True)
class Learning:
    """How steps and bits are learned: rates, memory target (KB), the penalty's weight λ, where gradients come from."""

    lr_step: float = 0.04
    lr_bits: float = 0.1
    target: float = 5.0
    weight: float = 2.5
    one_sided: bool = False
    first: bool = False
    """Whether the first layer's input counts for the memory."""
    source: str = "local"
    groups: int = 0
    """Pairs of step and bits that the nodes choose from; 0: one a node."""


@dataclass(frozen=True)
class NodeBitsQuantization(Quantization):
    """A step and bits a node; ``format`` is what all start from."""

    learning: Learning = Learning()

    @property
    def repeats(self) -> bool:
        return False

    @property
    def spares_zeros(self) -> bool:
        return True

    def make(self, slot: Slot) -> nn.Module:
        from engine.learned_bits import NodeBits

        return NodeBits(
            slot.nodes,
            self.format.bits,
            site=str(slot),
            learning=self.learning,
            counted=self.learning.first or slot.layer > 0,
            peers=slot.shared.setdefault("a2q", []),
        )

    def spread(self) -> Sequence[tuple[Format, Fraction]]:
        return [(self.format, Fraction(1))]

    @property
    def holds_protected(self) -> bool:
        return True

    def held_bytes(self, elements: int, rows: int) -> int:
        """Which elements were cut short, a byte each; for the task's gradient also how far each was off, and signs.

        And for that of a row its slope, and which group it took (int64).
        """
        if self.learning.source != "task":
            return elements
        return 9 * elements + rows * (4 + (8 if self.learning.groups else 0))

    def metadata_bits(self, rows: int, width: int) -> int:
        """A float32 step and 4 bits for the width, a node or a group."""
        return (self.learning.groups or rows) * (32 + 4)


@dataclass(frozen=True)
class LearnedStepQuantization(Quantization):
    """LSQ: a learned step an output channel (axis −1), or a column of a node tensor (axis 0), at fixed bits."""

    axis: int = -1
    lr: float = 0.02

    @property
    def repeats(self) -> bool:
        return False

    def make(self, slot: Slot) -> nn.Module:
        from engine.learned_bits import LearnedSteps

        return LearnedSteps(self.format, site=str(slot), axis=self.axis, lr=self.lr)

    @property
    def holds_protected(self) -> bool:
        return True

    def held_bytes(self, elements: int, rows: int) -> int:
        return 4 * elements

    def metadata_bits(self, rows: int, width: int) -> int:
        return 32 * (rows if self.axis == -1 else width)


def build(part: Part) -> Scheme | None:
    if part.name != "a2q":
        return None
    options = Options(part, OPTIONS)
    learning = Learning(
        lr_step=options.number("lr_step", Learning.lr_step, above=0),
        lr_bits=options.number("lr_bits", Learning.lr_bits, above=0),
        target=options.number("target", Learning.target),
        weight=options.number("penalty", Learning.weight),
        one_sided=options.flag("one_sided", Learning.one_sided),
        first=options.flag("first", Learning.first),
        source=options.choice("gradient", Learning.source, GRADIENTS),
        groups=options.whole("groups", 0, 0, 1_000_000),
    )
    widths = {key: options.whole(key, 4, 2, 16) for key in ("bits", "weight_bits", "feature_bits")}
    bits, weight, feature = (get_format(f"int{width}-symmetric") for width in widths.values())
    lr_weight = options.number("lr_weight_step", 0.02, above=0)
    lr_feature = options.number("lr_feature_step", 0.008, above=0)
    nodes = NodeBitsQuantization(bits, "row", learning=learning)
    messages = options.flag("messages", False)
    return Scheme(
        (
            Rule("input", nodes),
            *([Rule("message", nodes)] if messages else []),
            Rule("weight", LearnedStepQuantization(weight, "channel", axis=-1, lr=lr_weight)),
            Rule("feature", LearnedStepQuantization(feature, "channel", axis=0, lr=lr_feature)),
        ),
        required=("message",) if messages else (),
    )


ENTRIES = [
    Recipe(
        name="a2q",
        summary="each node learns its step and its bits, under a penalty on the memory; weights with a learned step",
        source="Zhu et al., A²Q, ICLR 2023",
        names=["a2q"],
        examples=("a2q", "a2q(bits=4)", "a2q(bits=4,target=10.0,penalty=0.3)", "a2q(groups=1000,gradient=task)"),
        build=build,
    )
]
