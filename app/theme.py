"""Colours and shapes that mean the same on every page: one a scheme family, one a state.

The colours were chosen so that each has a contrast of at least 3 on both the light and the dark
background, and any two stay apart under the three forms of colour blindness (tests/app/test_theme.py
measures both). A shape goes with each colour, so that no chart is read by colour alone.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from engine.errors import InputError
from engine.scheme import Scheme, parse_scheme

ACCENT = "#0d9488"
"""The one accent: the front's line, the mark."""

LIGHT_BACKGROUND, DARK_BACKGROUND = "#ffffff", "#11171c"
"""The pages' backgrounds (.streamlit/config.toml)."""


@dataclass(frozen=True)
class Style:
    """How a scheme family looks: a hex colour and a plotly marker symbol."""

    color: str
    symbol: str


FAMILIES: Mapping[str, Style] = {
    "fp32": Style("#899099", "circle"),
    "affine": Style("#1498f7", "square"),
    "msfp": Style("#d1801d", "diamond"),
    "mx": Style("#15753a", "triangle-up"),
    "mixed": Style("#ba0c95", "star"),
}
OTHER = Style("#732afe", "hexagon")
"""Families that came later, or from outside."""

STATE_COLORS: Mapping[str, str] = {
    "queued": "gray",
    "running": "blue",
    "cancelling": "orange",
    "finished": "green",
    "failed": "red",
    "cancelled": "yellow",
}
"""Streamlit's colour names by run state, in the order of a run's life."""


@lru_cache(maxsize=4096)
def parsed(text: str) -> Scheme | None:
    """The scheme of this text; None where this installation cannot read it."""
    try:
        return parse_scheme(text)
    except InputError:
        return None


def scheme_family(text: str) -> str:
    """The number family of a scheme: its formats' common one, "mixed", or "other" where it cannot be read."""
    scheme = parsed(text)
    if scheme is None:
        return "other"
    families = {rule.quantization.format.family for rule in scheme.rules} or {"fp32"}
    return families.pop() if len(families) == 1 else "mixed"


def family_style(family: str) -> Style:
    return FAMILIES.get(family, OTHER)


def scheme_shades(schemes: Iterable[str]) -> dict[str, str]:
    """A colour for each scheme: its family's, in shades where a family has several (fewer bits, darker)."""
    by_family: dict[str, list[str]] = {}
    for text in dict.fromkeys(schemes):
        by_family.setdefault(scheme_family(text), []).append(text)
    shades: dict[str, str] = {}
    for family, members in by_family.items():
        members.sort(key=lambda text: (_bits(text), text))
        for index, text in enumerate(members):
            position = index / (len(members) - 1) if len(members) > 1 else 0.5
            shades[text] = _shift(family_style(family).color, (position - 0.5) * 0.3)
    return shades


def faded(color: str, opacity: float) -> str:
    """A hex colour as rgba with this opacity."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _bits(text: str) -> float:
    scheme = parsed(text)
    return min((rule.quantization.format.bits for rule in scheme.rules), default=32.0) if scheme else 32.0


def _shift(color: str, by: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    shifted = colorsys.hls_to_rgb(hue, min(0.75, max(0.25, lightness + by)), saturation)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in shifted)
