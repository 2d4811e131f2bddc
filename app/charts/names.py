"""Where the names of points stand, so that none covers another name or point, or leaves the chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PLACES = (
    *("top right", "top left", "bottom right", "bottom left"),
    *("middle right", "middle left", "bottom center", "top center"),
)
"""Plotly's text positions, the best first; points below the front try their lower sides first."""

LETTER, LINE, MARKER = 7.0, 15.0, 7.0
"""Pixels of a letter's width, a line's height, half a marker."""

WIDTH, HEIGHT = 900.0, 340.0
"""Pixels of the plot that names are placed in, where nothing else is said."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Label:
    """A line of text at the left or right end of the plot, that names keep clear of.

    ``height``: of its lower edge, as a share of the plot from below.
    """

    text: str
    height: float
    at_right: bool

    def box(self, width: float = WIDTH) -> Box:
        """Where it lies in a plot of so many pixels."""
        wide = LETTER * (len(self.text) + 1)
        left = width - wide if self.at_right else 0.0
        return left, self.height * HEIGHT, left + wide, self.height * HEIGHT + LINE

    def covers(self, x: Sequence[float], y: Sequence[float], width: float = WIDTH) -> int:
        """How many of these points' markers it lies over."""
        box = self.box(width)
        return sum(_overlap(box, _marker(a * width, b * HEIGHT)) for a, b in zip(x, y, strict=True))


def place_names(
    x: Sequence[float],
    y: Sequence[float],
    names: Sequence[str],
    on_front: Sequence[bool],
    *,
    label: Label | None = None,
    width: float = WIDTH,
) -> list[str | None]:
    """A text position for each point, None where its name finds no room. The front's points choose first.

    ``x`` and ``y`` are shares of the plot, 0 to 1 from the lower left; ``width``: the plot's, in pixels.
    """
    spots = [(a * width, b * HEIGHT) for a, b in zip(x, y, strict=True)]
    taken: list[Box] = [_marker(a, b) for a, b in spots]
    fixed = [] if label is None else [label.box(width)]
    places: list[str | None] = [None] * len(spots)
    for index in sorted(range(len(spots)), key=lambda index: not on_front[index]):
        wide = LETTER * (len(names[index]) + 1)
        around = _around(spots[index], wide)
        near = [other for other in fixed + taken[:index] + taken[index + 1 :] if _overlap(around, other)]
        for place in _order(on_front[index]):
            box = _box(spots[index], place, wide)
            if box[0] >= 0 and box[2] <= width and not any(_overlap(box, other) for other in near):
                taken.append(box)
                places[index] = place
                break
    return places


def _marker(x: float, y: float) -> Box:
    return x - MARKER, y - MARKER, x + MARKER, y + MARKER


def _order(on_front: bool) -> Sequence[str]:
    return PLACES if on_front else (*PLACES[2:4], *PLACES[:2], *PLACES[4:])


def _box(spot: tuple[float, float], place: str, wide: float) -> Box:
    row, side = place.split()
    left = {"right": MARKER, "center": -wide / 2, "left": -MARKER - wide}[side] + spot[0]
    bottom = {"top": MARKER, "middle": -LINE / 2, "bottom": -MARKER - LINE}[row] + spot[1]
    return left, bottom, left + wide, bottom + LINE


def _around(spot: tuple[float, float], wide: float) -> Box:
    """What all places of a name lie in."""
    x, y = spot
    return x - MARKER - wide, y - MARKER - LINE, x + MARKER + wide, y + MARKER + LINE


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
