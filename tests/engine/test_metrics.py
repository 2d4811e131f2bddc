"""Losses and metrics equal scikit-learn's and torch's, with ties, missing labels and one class only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sk
from torch.nn import functional

from engine import metrics

SHAPE = st.tuples(st.integers(2, 40), st.integers(1, 4))


@st.composite
def scored(draw: st.DrawFn, *, missing: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores [n, T] on a coarse grid, so that many are equal, and labels of 0, 1 and perhaps NaN."""
    shape = draw(SHAPE)
    scores = draw(arrays.arrays(np.float32, shape, elements=st.integers(-4, 4).map(float))) / 2
    values = [0.0, 1.0, math.nan] if missing else [0.0, 1.0]
    return scores, draw(arrays.arrays(np.float32, shape, elements=st.sampled_from(values)))


def tensors(*found: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(array) for array in found)


@given(scored())
def test_roc_auc_is_scikit_learns(found):
    scores, labels = (array[:, 0] for array in found)
    assume(0 < labels.sum() < len(labels))
    assert metrics.roc_auc(*tensors(scores, labels)).item() == pytest.approx(100 * sk.roc_auc_score(labels, scores))


@given(scored())
def test_average_precision_is_scikit_learns(found):
    scores, labels = (array[:, 0] for array in found)
    assume(labels.sum() > 0)
    expected = 100 * sk.average_precision_score(labels, scores)
    assert metrics.average_precision(*tensors(scores, labels)).item() == pytest.approx(expected)


@given(scored())
def test_micro_f1_is_scikit_learns(found):
    scores, labels = found
    expected = 100 * sk.f1_score(labels.ravel(), scores.ravel() > 0, zero_division=0)  # pyright: ignore[reportArgumentType]
    assert metrics.micro_f1(*tensors(scores, labels)).item() == pytest.approx(expected)


@given(scored(missing=True))
def test_the_mean_over_tasks_takes_those_with_both_classes_and_their_known_labels(found):
    scores, labels = found
    columns = [
        (scores[known, t], labels[known, t]) for t in range(labels.shape[1]) for known in [~np.isnan(labels[:, t])]
    ]
    both = [(s, y) for s, y in columns if len(set(y.tolist())) == 2]
    roc, precision = (
        metric(*tensors(scores, labels)) for metric in (metrics.mean_roc_auc, metrics.mean_average_precision)
    )
    if not both:
        assert torch.isnan(roc)
        assert torch.isnan(precision)
        return
    assert roc.item() == pytest.approx(100 * np.mean([sk.roc_auc_score(y, s) for s, y in both]))
    assert precision.item() == pytest.approx(100 * np.mean([sk.average_precision_score(y, s) for s, y in both]))


@given(scored(missing=True))
def test_the_binary_loss_and_accuracy_leave_missing_labels_out(found):
    scores, labels = tensors(*found)
    known = ~torch.isnan(labels)
    assume(known.any())
    expected = functional.binary_cross_entropy_with_logits(scores[known], labels[known])
    torch.testing.assert_close(metrics.binary_cross_entropy(scores, labels), expected)
    right = sk.accuracy_score(labels[known].numpy() > 0.5, scores[known].numpy() > 0)
    assert metrics.binary_accuracy(scores, labels).item() == pytest.approx(100 * right)


def test_a_missing_label_has_no_gradient():
    scores = torch.zeros(2, 2, requires_grad=True)
    metrics.binary_cross_entropy(scores, torch.tensor([[1.0, math.nan], [math.nan, 0.0]])).backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-0.25, 0.0], [0.0, 0.25]]


def test_a_batch_without_any_label_has_no_loss():
    assert metrics.binary_cross_entropy(torch.ones(2, 1), torch.full((2, 1), math.nan)) == 0


@given(scored(missing=True))
def test_errors_are_scikit_learns_over_the_known_targets(found):
    scores, targets = found
    known = ~np.isnan(targets)
    assume(known.any())
    error = metrics.mean_absolute_error(*tensors(scores, targets)).item()
    assert error == pytest.approx(sk.mean_absolute_error(targets[known], scores[known]))
    square = metrics.mean_squared_error(*tensors(scores, targets)).item()
    assert square == pytest.approx(sk.mean_squared_error(targets[known], scores[known]))


@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 2**31))
def test_accuracy_and_cross_entropy_are_the_references(rows: int, classes: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, classes, generator=generator)
    labels = torch.randint(classes, (rows,), generator=generator)
    expected = sk.accuracy_score(labels.numpy(), scores.numpy().argmax(1))
    assert metrics.accuracy(scores, labels).item() == pytest.approx(100 * expected)
    chosen = scores.log_softmax(1)[torch.arange(rows), labels]
    torch.testing.assert_close(metrics.cross_entropy(scores, labels), -chosen.mean())


def test_auc_of_one_class_alone_is_not_a_number():
    assert torch.isnan(metrics.roc_auc(torch.tensor([0.1, 0.2]), torch.ones(2)))
