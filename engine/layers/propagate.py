"""The attention-weighted sum of neighbours, for GAT and AGNN: from scores to the aggregate, site by site.

s_e   = fq_score(…)                               protected by the edge's source
α_e   = softmax of s over the edges into a node   fq_attention, then its dropout
m_e   = fq_message(α_e·h_j)                       made only where the site is quantized, else summed in the kernel
a_i   = fq_aggregate(Σ m_e over edges j→i)
"""

from __future__ import annotations

from torch import Tensor

from engine.kernels.aggregate import Adjacency, weighted_aggregate
from engine.kernels.attention import edge_softmax
from engine.kernels.edges import gather_sources, sum_edges
from engine.layers.dropout import dropped
from engine.layers.operand import Dropout
from engine.live import Sites

SITES = ("score", "attention", "message", "aggregate")
"""The sites that a layer gains by it, beside the gradient of the messages."""


def propagate(
    score: Tensor, feature: Tensor, adjacency: Adjacency, sites: Sites, dropout: Dropout | None = None
) -> Tensor:
    """score [E, H], feature [N, H·C] → [N, H·C]; ``dropout`` falls on the attention."""
    source = adjacency.sources
    score = sites(score, "score", "aggregate", rows=source)
    attention = sites(edge_softmax(score, adjacency), "attention", "aggregate", rows=source)
    attention = dropped(attention, dropout)
    if sites.covers("message", "aggregate"):
        heads = attention.shape[1]
        sent = gather_sources(feature, adjacency).view(-1, heads, feature.shape[1] // heads)
        message = (attention.unsqueeze(-1) * sent).flatten(1)
        message = sites(message, "message", "aggregate", rows=source)
        sites.summed(message, adjacency)
        total = sum_edges(message, adjacency)
    else:
        total = weighted_aggregate(attention, feature, adjacency)
    return sites(sites.gradient(total), "aggregate", "aggregate", rows="nodes")
