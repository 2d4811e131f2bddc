import numpy as np
import pytest
from numba.core.errors import TypingError

from engine.kernels.blocks_cpu import _largest_of_boxes
from engine.kernels.blocks_single import spread_single
from engine.kernels.box_vectors import MAGNITUDE, largest_of_columns, repeat_row
from engine.kernels.jit import kernel

WIDTHS = [*range(1, 50), 64, 65, 100, 130]
BEYOND = 64


def bits_of(count: int, seed: int) -> np.ndarray:
    """Bits of floats of either sign, among them both zeros and infinities."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=count).astype(np.float32)
    values[rng.random(count) < 0.1] = -0.0
    values[rng.random(count) < 0.01] = -np.inf
    return values.view(np.int32)


@pytest.mark.parametrize("width", WIDTHS)
def test_largest_of_columns(width: int):
    for start, stop in ((0, 16), (3, 4), (2, 9)):
        bits = bits_of(16 * width, width)
        worst = np.full(width + BEYOND, -1, np.int32)
        largest_of_columns(bits, width, start, stop, worst)
        expected = (bits.reshape(16, width)[start:stop] & MAGNITUDE).max(axis=0)
        assert np.array_equal(worst[:width], expected)
        assert (worst[width:] == -1).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
def test_repeat_row(width: int, kind: type):
    for count in (1, 2, 7):
        row = np.random.default_rng(width).normal(size=width).astype(kind)
        values = np.full(count * width + BEYOND, -1, kind)
        values[:width] = row
        repeat_row(values, width, count)
        assert np.array_equal(values[: count * width].reshape(count, width), np.tile(row, (count, 1)))
        assert (values[count * width :] == -1).all()


@pytest.mark.parametrize("box", [1, 3, 7, 8, 15, 16, 17, 32, 48, 128])
def test_largest_and_scales_of_boxes(box: int):
    for size in (box, 4 * box, 9 * box, 9 * box + box // 2):
        bits = bits_of(size, size)
        boxes = -(-size // box)
        worst = np.full(boxes + BEYOND, -1, np.int32)
        _largest_of_boxes(bits, worst, box)
        expected = [(bits[k * box : (k + 1) * box] & MAGNITUDE).max() for k in range(boxes)]
        assert worst[:boxes].tolist() == expected
        assert (worst[boxes:] == -1).all()
        scale = 2.0 ** np.random.default_rng(box).integers(-126, 127, boxes)
        spread = np.full(boxes * box + BEYOND, -1, np.float32)
        assert spread_single(scale, box, spread)
        assert np.array_equal(spread[: boxes * box], np.repeat(scale, box).astype(np.float32))
        assert (spread[boxes * box :] == -1).all()


@pytest.mark.parametrize("exponent", [-127, 127])
def test_a_scale_without_a_normal_reciprocal_is_said(exponent: int):
    scale = np.array([1.0, 2.0**exponent, 1.0])
    assert not spread_single(scale, 1, np.empty(3, np.float32))


@kernel
def _of_floats(values, worst):
    largest_of_columns(values, 8, 0, 1, worst)


def test_other_types_are_refused():
    with pytest.raises(TypingError, match="the largest magnitudes are found among the bits of float32, as int32"):
        _of_floats(np.zeros(8, np.float32), np.zeros(8, np.int32))
