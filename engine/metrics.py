"""Losses and metrics of the tasks, in fp32 or finer: functions of (outputs, targets) of one split.

Missing labels are NaN and count nowhere. Shares are in percent.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy of class scores [n, C] and labels [n]."""
    return functional.cross_entropy(outputs.float(), targets)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the rows whose highest score is their label, in percent."""
    return (outputs.argmax(dim=1) == targets).double().mean() * 100


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross entropy of scores and labels 0 or 1 of one shape; 0 where every label is missing."""
    known = ~torch.isnan(targets)
    losses = functional.binary_cross_entropy_with_logits(outputs.float(), targets.nan_to_num(), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def binary_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the known labels 0 or 1 that lie on their score's side of 0 (probability ½), in percent."""
    known = ~torch.isnan(targets)
    return ((outputs > 0) == (targets > 0.5))[known].double().mean() * 100


def micro_f1(outputs: Tensor, targets: Tensor) -> Tensor:
    """2·TP/(2·TP + FP + FN) over all rows and labels of [n, C], in percent; 0 where nothing is or is called true."""
    called, true = outputs > 0, targets > 0.5
    hits, wrong = (called & true).sum().double(), (called ^ true).sum().double()
    return 100 * 2 * hits / (2 * hits + wrong).clamp(min=1)


def roc_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Area under the ROC curve of scores [n] and labels 0 or 1 [n], in percent; NaN where one class is absent.

    The share of (positive, negative) pairs in which the positive has the higher score, equal ones counting half
    (Mann-Whitney).
    """
    scores, true = outputs.double(), targets > 0.5
    _, group, counts = scores.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    rank = (ends - (counts - 1).double() / 2)[group]
    positives = true.sum().double()
    negatives = true.numel() - positives
    above = rank[true].sum() - positives * (positives + 1) / 2
    return 100 * above / (positives * negatives)


def average_precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """Σ (recall step)·precision over the thresholds of scores [n], labels 0 or 1 [n], in percent.

    NaN where no label is 1.
    """
    scores, true = outputs.double(), (targets > 0.5).double()
    _, group = scores.neg().unique(return_inverse=True)
    hits = torch.zeros(int(group.max()) + 1, dtype=torch.float64, device=scores.device)
    seen = hits.clone().index_add_(0, group, torch.ones_like(true)).cumsum(0)
    hits = hits.index_add_(0, group, true)
    return 100 * (hits * (hits.cumsum(0) / seen)).sum() / true.sum()


def mean_over_tasks(metric, outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of a metric over the columns of [n, T] that have both classes among their known labels (ogb's rule).

    NaN where no column has.
    """
    values = []
    for column in range(targets.shape[1]):
        known = ~torch.isnan(targets[:, column])
        labels = targets[known, column]
        if labels.numel() and labels.min() < 0.5 < labels.max():
            values.append(metric(outputs[known, column], labels))
    return torch.stack(values).mean() if values else torch.tensor(torch.nan, dtype=torch.float64)


def mean_roc_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """``roc_auc`` as ``mean_over_tasks``."""
    return mean_over_tasks(roc_auc, outputs, targets)


def mean_average_precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """``average_precision`` as ``mean_over_tasks``."""
    return mean_over_tasks(average_precision, outputs, targets)


def mean_absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean |output − target| over the known targets [n, T], in the target's unit."""
    known = ~torch.isnan(targets)
    errors = (outputs.float() - targets.nan_to_num()).abs()
    return (errors * known).sum() / known.sum().clamp(min=1)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean (output − target)² over the known targets [n, T]."""
    known = ~torch.isnan(targets)
    errors = (outputs.float() - targets.nan_to_num()).square()
    return (errors * known).sum() / known.sum().clamp(min=1)
