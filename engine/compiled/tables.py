"""Columns of the tables that tell compiled epochs what a run is: integers, so that one compilation serves every run.

A quantizer is a row of numbers and not a type: its format may change in mid-run, and each layer, site and product names
its quantizer by the row. ``NONE`` names none: the tensor stays as it is.

All are numpy's integers: Python's would be types of their own to numba, which compiles a function for each of them.
"""

from __future__ import annotations

import numpy as np


def _numbered(count: int) -> tuple[np.int64, ...]:
    return tuple(np.int64(number) for number in range(count))


NONE = np.int64(-1)
DOWN, ACROSS = _numbered(2)
"""Axes along which boxes lie."""
EVALUATION, TRAINING = _numbered(2)

# A quantizer's whole numbers.
KIND, STOCHASTIC, STREAM, FIRST, LAST, BOX, EMAX, STEPS, TOUCH = _numbered(9)
QUANTIZER_INTEGERS = 9
AFFINE, SYMMETRIC, BLOCKS = _numbered(3)
"""Kinds: a grid that holds zero, one around zero, boxes that share an exponent."""

# Its real numbers: the largest code of a box's element, and the zero that is added to it.
MAXIMUM, ZERO = _numbered(2)
QUANTIZER_REALS = 2

# A layer's whole numbers: widths, where its parameters lie among all (bias: NONE without one), and its buffers.
INPUTS, OUTPUTS, WEIGHT, BIAS, X, X_HAT, DROPPED, KERNEL = _numbered(8)
LAYER_INTEGERS = 8

# A layer's quantizers, by site and product.
(
    AT_WEIGHT,
    AT_INPUT,
    AT_FEATURE,
    AT_MESSAGE,
    AT_AGGREGATE,
    AT_UPDATE,
    AT_GRAD_AGGREGATE,
    AT_GRAD_INPUT,
    AT_GRAD_WEIGHT,
    AT_GRAD_LAYER,
    AT_WEIGHT_AGAIN,
    AT_INPUT_AGAIN,
) = _numbered(12)
PLACES = 12
# Whether a product of the backward pass quantizes its operand anew, rather than read the forward pass's.
WEIGHT_ANEW, INPUT_ANEW = np.int64(PLACES), np.int64(PLACES + 1)
PLACE_COLUMNS = PLACES + 2

# What an epoch says: losses, and how many of a split's nodes have their label as the highest score.
TRAIN_LOSS, VAL_LOSS, TEST_LOSS, TRAIN_HITS, VAL_HITS, TEST_HITS, DIVERSITY = _numbered(7)
SAID = 7
