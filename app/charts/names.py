"""Where the names of points stand, so that none covers another name or point, or leaves the chart."""

from __future__ import annotations

from collections.abc import Sequence

PLACES = (
    *("top right", "top left", "bottom right", "bottom left"),
    *("middle right", "middle left", "bottom center", "top center"),
)
"""Plotly's text positions, the best first; points below the front try their lower sides first."""

LETTER, LINE, MARKER = 7.0, 15.0, 7.0
"""Pixels of a letter's width, a line's height, half a marker."""

Box = tuple[float, float, float, float]


def place_names(
    x: Sequence[float],
    y: Sequence[float],
    names: Sequence[str],
    on_front: Sequence[bool],
    *,
    width: float = 900.0,
    height: float = 340.0,
) -> list[str | None]:
    """A text position for each point, None where its name finds no room. The front's points choose first.

    ``x`` and ``y`` are shares of the plot, 0 to 1 from the lower left; ``width`` and ``height`` its pixels.
    """
    spots = [(a * width, b * height) for a, b in zip(x, y, strict=True)]
    taken: list[Box] = [(a - MARKER, b - MARKER, a + MARKER, b + MARKER) for a, b in spots]
    places: list[str | None] = [None] * len(spots)
    for index in sorted(range(len(spots)), key=lambda index: not on_front[index]):
        wide = LETTER * (len(names[index]) + 1)
        for place in _order(on_front[index]):
            box = _box(spots[index], place, wide)
            others = taken[:index] + taken[index + 1 :]
            if box[0] >= 0 and box[2] <= width and not any(_overlap(box, other) for other in others):
                taken.append(box)
                places[index] = place
                break
    return places


def _order(on_front: bool) -> Sequence[str]:
    return PLACES if on_front else (*PLACES[2:4], *PLACES[:2], *PLACES[4:])


def _box(spot: tuple[float, float], place: str, wide: float) -> Box:
    row, side = place.split()
    left = {"right": MARKER, "center": -wide / 2, "left": -MARKER - wide}[side] + spot[0]
    bottom = {"top": MARKER, "middle": -LINE / 2, "bottom": -MARKER - LINE}[row] + spot[1]
    return left, bottom, left + wide, bottom + LINE


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
