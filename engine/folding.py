"""Batch-norm folding at export: y = γ·(Wx + b − μ)/√(σ² + ε) + β is one linear layer, with

    W' = W·γ/√(σ² + ε),   b' = (b − μ)·γ/√(σ² + ε) + β

(Jacob et al., CVPR 2018, arXiv 1712.05877, §3.2). Only what runs in evaluation mode changes; the labels are compared
with the unfolded model's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.errors import RunError

CLEAR = 1e-4
"""A label is clear where its score leads by more than this share of the largest score: float32 cannot swap it."""


@dataclass(frozen=True)
class Folded:
    """A folded copy, and what became of each batch norm."""

    model: nn.Module
    folded: tuple[str, ...]
    """Names of the batch norms that are part of their linear layers now."""
    left: tuple[str, ...]
    """Names of those that follow no linear layer, and stay."""
    rows: int
    differing: int
    """Rows of the check's output, and how many have another label (ties included)."""


def fold_batch_norm(model: nn.Module, run: Callable[[nn.Module], Tensor], *, changed: float = 0.0) -> Folded:
    """A copy of the model in evaluation mode whose batch norms are folded into the linear layers before them.

    A batch norm is folded where it follows a linear layer directly: in an nn.Sequential, or in a module that names
    such places by ``batch_norms() -> [(linear layers' names, batch norm's name)]`` (several linear layers whose sum it
    normalizes; the name "" is the module itself). ``run`` gives a model's scores
    [rows, classes] on the data to check with; ``changed``: the share of its labels that may change although they are
    clear (a quantized model rounds other weights once it is folded).

    Raises RunError where nothing can be folded, where a batch norm keeps no running statistics, or where more labels
    differ that are clear in the unfolded model.
    """
    unfolded = copy.deepcopy(model).eval()
    folded = copy.deepcopy(unfolded)
    names: list[str] = []
    for parent, linears, norm in list(_places(folded)):
        name = f"{parent}.{norm}" if parent else norm
        owner = folded.get_submodule(parent)
        _fold([owner.get_submodule(linear) for linear in linears], _batch_norm(owner.get_submodule(norm)), name)
        _replace(owner, norm, nn.Identity())
        names.append(name)
    left = tuple(name for name, part in folded.named_modules() if isinstance(part, nn.BatchNorm1d))
    if not names:
        rest = f"the batch norms {', '.join(left)} follow no linear layer directly" if left else "it has no batch norm"
        raise RunError(f"{type(model).__name__} cannot be folded: {rest}")
    with torch.no_grad():
        before, after = run(unfolded), run(folded)
    differing, clear = _compare(before, after)
    if clear > changed * len(before):
        raise RunError(
            f"folding {', '.join(names)} changed {clear} of {len(before)} labels that are clear in the unfolded model: "
            "keep the batch norms, fold before quantizing, or allow a share of changed labels"
        )
    return Folded(folded, tuple(names), left, len(before), differing)


fold_bn = fold_batch_norm


def _places(model: nn.Module) -> Iterator[tuple[str, Sequence[str], str]]:
    """(parent's name, linear layers' names, batch norm's name), the latter two within the parent."""
    for parent, module in model.named_modules():
        declared = getattr(module, "batch_norms", None)
        if callable(declared):
            for linears, norm in cast(Any, declared()):
                yield parent, linears, norm
        if isinstance(module, nn.Sequential):
            children = list(module.named_children())
            for (linear, before), (norm, after) in pairwise(children):
                if _is_linear(before) and isinstance(_batch_norm(after), nn.BatchNorm1d):
                    yield parent, (linear,), norm


def _is_linear(module: nn.Module) -> bool:
    """nn.Linear, PyG's, our own: a weight [outputs, inputs], and a bias or None."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, nn.Parameter) and weight.dim() == 2 and hasattr(module, "bias")


def _batch_norm(module: nn.Module) -> nn.BatchNorm1d:
    """PyG's BatchNorm holds torch's as ``module``."""
    inner = getattr(module, "module", module)
    return inner if isinstance(inner, nn.BatchNorm1d) else cast(nn.BatchNorm1d, module)


@torch.no_grad()
def _fold(linears: Sequence[nn.Module], norm: nn.BatchNorm1d, name: str) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise RunError(
            f"the batch norm {name} keeps no running statistics, so it cannot be folded: track_running_stats"
        )
    # In float64: each number is rounded once.
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    for linear in linears:
        weight, bias = cast(nn.Parameter, linear.weight), cast(nn.Parameter | None, linear.bias)
        weight.copy_(weight.double() * scale.unsqueeze(1))
        if bias is not None:
            shift = shift + bias.double() * scale
            linear.register_parameter("bias", None)
    linears[0].bias = nn.Parameter(shift.to(cast(nn.Parameter, linears[0].weight).dtype))


def _replace(owner: nn.Module, name: str, module: nn.Module) -> None:
    *path, last = name.split(".")
    setattr(owner.get_submodule(".".join(path)), last, module)


def _compare(before: Tensor, after: Tensor) -> tuple[int, int]:
    """How many rows have another label, and how many of these were clear."""
    differs = before.argmax(1) != after.argmax(1)
    if before.shape[1] < 2:
        return 0, 0
    first, second = before.topk(2, dim=1).values.unbind(1)
    clear = first - second > CLEAR * before.abs().amax()
    return int(differs.sum()), int((differs & clear).sum())
