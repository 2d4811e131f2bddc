"""The stack: dropout with its mask, attention dropout, residuals as the next layer saw them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from engine.layers.dense import DenseLayer
from engine.layers.gat import GATLayer
from engine.layers.stack import Stack
from engine.topology import Topology
from tests.engine.layers.graphs import features, load


def path() -> Topology:
    return Topology(*load("path"))


def test_a_rate_a_layer_falls_on_that_layers_input():
    stack = Stack([DenseLayer(6, 6), DenseLayer(6, 6), DenseLayer(6, 2)], dropout=[0.0, 0.5, 0.0])
    stack.reset_parameters(0)
    layers: Any = stack.layers
    first, second, third = layers
    x = features(4)
    hidden = torch.relu(first(x))
    kept = stack(x, path(), seed=1, step=2)
    weight = second.weight.detach().clone()
    # With the second layer's weight at zero nothing of its input is left to be dropped.
    with torch.no_grad():
        second.weight.zero_()
    assert torch.equal(stack(x, path(), seed=1, step=2), stack(x, path(), seed=1, step=3))
    with torch.no_grad():
        second.weight.copy_(weight)
    assert not torch.equal(stack(x, path(), seed=1, step=3), kept)
    stack.eval()
    torch.testing.assert_close(stack(x, path()), third(torch.relu(second(hidden))))


def test_attention_dropout_applies_in_training_only_and_changes_with_the_step():
    stack = Stack([GATLayer(6, 3, heads=2)], dropout=0.0, attention_dropout=0.5)
    stack.reset_parameters(0)
    x = features(4)
    assert torch.equal(stack(x, path(), step=1), stack(x, path(), step=1))
    assert not torch.equal(stack(x, path(), step=1), stack(x, path(), step=2))
    stack.eval()
    assert torch.equal(stack(x, path(), step=1), stack(x, path(), step=2))


def test_a_residual_is_the_input_as_the_layer_saw_it():
    """Dropped with the layer's own mask, as PyG's DeepGCNLayer drops what it hands on."""
    middle = DenseLayer(6, 6, bias=False)
    stack = Stack([middle, nn.Identity()], dropout=[0.5, 0.0], residual=True)
    stack.layers[1].forward = lambda x, topology, dropout: x  # type: ignore[method-assign]
    with torch.no_grad():
        middle.weight.zero_()
    x = features(4).requires_grad_()
    out = stack(x, path(), seed=3, step=4)
    kept = out != 0
    assert 0 < kept.sum() < out.numel()
    torch.testing.assert_close(out, torch.where(kept, 2 * x, 0))
    out.sum().backward()
    torch.testing.assert_close(x.grad, 2 * kept.float())
