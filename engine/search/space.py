"""A space of schemes: a text with gaps, and what may stand in each.

    scheme = "emb[{a} -> {b}]+att[{c}](per={p})"
    choices = { a = [1, 2, 4], b = [2, 4, "msfp13"], c = [4, 8], p = ["row", "tensor"] }

A point is one choice a gap, by its place in the list. Whatever the grammar can write is a space: formats of several
families, sites, layers, degree buckets, the list of an SDQ, the bounds of an ADQ. Points whose text is no scheme (an
ADQ that ends below its start) are not asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.formats import get_format
from engine.grammar import Value, print_value
from engine.scheme import parse_scheme

Point = tuple[int, ...]
"""The place of the choice at each axis."""
Points = NDArray[np.int64]
"""[count, axes]"""

GRANULARITIES = ("uniform", "lwq", "lwq+cwq", "lwq+cwq+taq")
"""SGQuant's, from the coarsest: one width; by layer; by component too; by degree bucket too."""
BUCKETS = 4

_GAP = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Axis:
    """One gap: its name and what may stand there."""

    name: str
    choices: tuple[Value, ...]

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """What the cost model sees of each choice: the number, the format's bits, else its place."""
        return np.array([_feature(choice, place) for place, choice in enumerate(self.choices)])


def _feature(choice: Value, place: int) -> float:
    if isinstance(choice, int | float) and not isinstance(choice, bool):
        return float(choice)
    try:
        return float(get_format(str(choice)).bits)
    except InputError:
        return float(place)


@dataclass(frozen=True)
class Space:
    """A template and its axes, in the order of the gaps."""

    template: str
    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, template: str, choices: Mapping[str, Sequence[Value]]) -> Space:
        """Raises InputError where gaps and choices do not fit, or no point is a scheme."""
        names = list(dict.fromkeys(_GAP.findall(template)))
        if not names:
            raise InputError(f"the space {template!r} has no gap: write each as {{name}}, and name its choices")
        for name in names:
            if not choices.get(name):
                raise InputError(f"the space {template!r} has the gap {{{name}}}, for which there are no choices")
        if extra := [name for name in choices if name not in names]:
            raise InputError(f"there are choices for {extra[0]!r}, but the space {template!r} has no such gap")
        axes = []
        for name in names:
            given = tuple(choices[name])
            if len(set(map(str, given))) != len(given):
                raise InputError(f"the choices for {name!r} name one twice: {', '.join(map(str, given))}")
            axes.append(Axis(name, given))
        return cls(template, tuple(axes))

    @property
    def size(self) -> int:
        """How many points it has."""
        return math.prod(len(axis.choices) for axis in self.axes)

    def text(self, point: Point) -> str:
        """The template with a point's choices in its gaps."""
        values = {axis.name: print_value(axis.choices[place]) for axis, place in zip(self.axes, point, strict=True)}
        return _GAP.sub(lambda found: values[found[1]], self.template)

    def scheme(self, point: Point) -> str:
        """A point's scheme, as the grammar prints it. Raises InputError where it is none."""
        return str(parse_scheme(self.text(point)))

    def draw(self, rng: np.random.Generator, count: int) -> Points:
        """Points at random, each choice as likely as another; the same may come twice."""
        return np.stack([rng.integers(len(axis.choices), size=count) for axis in self.axes], axis=1)

    def mutate(self, rng: np.random.Generator, parents: Points, count: int) -> Points:
        """Neighbours of the parents: each with one choice drawn anew, and others with falling chance."""
        found = parents[rng.integers(len(parents), size=count)].copy()
        changes = np.minimum(rng.geometric(0.5, size=count), len(self.axes))
        order = rng.permuted(np.tile(np.arange(len(self.axes)), (count, 1)), axis=1)
        drawn = self.draw(rng, count)
        changed = order < changes[:, None]
        found[changed] = drawn[changed]
        return found

    def features(self, points: Points) -> NDArray[np.float64]:
        """What the cost model sees of points: [count, axes]."""
        return np.stack([axis.features[points[:, place]] for place, axis in enumerate(self.axes)], axis=1)


def granular(
    granularity: str,
    layers: Mapping[str, Sequence[int]],
    depth: int,
    bits: Sequence[Value],
    *,
    splits: Sequence[Value] = (),
    per: Sequence[Value] = (),
    sites: Sequence[str] = (),
) -> Space:
    """SGQuant's table bits[layer][component][bucket], as fine as asked for.

    ``layers``: which layers have a component ("emb", "att", "feat"), counted from 0, of ``depth`` in all.
    ``splits``: where degree buckets may begin ("4-8-16"); ``per``: what may have a range in a layer ("row",
    "tensor"); ``sites``: only these of the components' (none: all). Raises InputError.
    """
    if granularity not in GRANULARITIES:
        raise InputError(f"space.granularity = {granularity!r} is not allowed: it is one of {', '.join(GRANULARITIES)}")
    if not bits:
        raise InputError("space.bits is missing: name the widths or formats to choose from, such as [1, 2, 4, 8]")
    choices: dict[str, Sequence[Value]] = {}
    by_degree = granularity.endswith("taq")

    def gap(name: str, values: Sequence[Value]) -> str:
        choices[name] = values
        return f"{{{name}}}"

    def entry(component: str, layer: int) -> str:
        if granularity == "uniform":
            return gap("all", bits)
        name = f"{component if 'cwq' in granularity else 'layer'}{layer + 1}"
        if not by_degree:
            return gap(name, bits)
        return ",".join(gap(f"{name}_{bucket + 1}", bits) for bucket in range(BUCKETS))

    parts = []
    for component, own in layers.items():
        if not own:
            continue
        steps = [entry(component, layer) if layer in own else "fp32" for layer in range(depth)]
        options = []
        if by_degree and splits:
            options.append(f"splits={gap('splits', splits)}")
        if component != "att" and per:
            prefix = "per" if component == "emb" else f"{component}_per"
            words = [gap(f"{prefix}{layer + 1}", per) if layer in own else "row" for layer in range(depth)]
            options.append(f"per={'-'.join(words)}")
        parts.append(f"{component}[{' -> '.join(steps)}]" + (f"({','.join(options)})" if options else ""))
    return Space.of("+".join(parts) + (f":{','.join(sites)}" if sites else ""), choices)
