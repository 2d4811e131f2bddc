"""Features for graphs that have none: each node's in-degree, one-hot.

Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019, section 7. Social graphs have a few nodes of
enormous degree, so the last column stands for its degree and all above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from engine.datasets.entry import DatasetSpec

if TYPE_CHECKING:
    from torch import Tensor


class DegreeFeaturesSpec(DatasetSpec):
    """Options of a dataset whose nodes have no features."""

    degree_cap: Annotated[int, Field(ge=1, le=10_000)] = 63
    """Largest in-degree with a one-hot column of its own; nodes above share the last."""


def degree_features(edge_index: Tensor, nodes: int, cap: int) -> Tensor:
    """One-hot in-degrees, float32 [nodes, cap + 1]."""
    import torch

    degree = torch.bincount(edge_index[1], minlength=nodes).clamp_(max=cap)
    features = torch.zeros(nodes, cap + 1)
    features.scatter_(1, degree[:, None], 1.0)
    return features
