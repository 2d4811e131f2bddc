"""Colours: seen on both backgrounds, told apart by everyone, the same for a family everywhere."""

from __future__ import annotations

import itertools
import tomllib

import numpy as np
import pytest

from app.theme import (
    DARK_BACKGROUND,
    FAMILIES,
    LIGHT_BACKGROUND,
    OTHER,
    STATE_COLORS,
    faded,
    family_style,
    scheme_family,
    scheme_shades,
)
from engine.formats import FAMILIES as FORMAT_FAMILIES
from tests.conftest import ROOT

STYLES = {**FAMILIES, "other": OTHER}

# Machado, Oliveira & Fernandes 2009, severity 1.
SIGHT = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(color: str) -> np.ndarray:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2."""
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    to_cones = [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
    to_lab = [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("family", STYLES)
@pytest.mark.parametrize("background", [LIGHT_BACKGROUND, DARK_BACKGROUND])
def test_each_colour_stands_out_on_both_backgrounds(family: str, background: str) -> None:
    assert contrast(STYLES[family].color, background) >= 3


@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_colours_are_alike_however_one_sees(sight: str) -> None:
    seen = {family: oklab(np.array(SIGHT[sight]) @ linear(style.color)) for family, style in STYLES.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 0.08, (one, other)


def test_no_two_families_share_a_shape() -> None:
    assert len({style.symbol for style in STYLES.values()}) == len(STYLES)


def test_backgrounds_are_those_of_the_theme() -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    assert theme["light"]["backgroundColor"] == LIGHT_BACKGROUND
    assert theme["dark"]["backgroundColor"] == DARK_BACKGROUND


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_accent_are_readable(mode: str) -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"][mode]
    assert contrast(theme["textColor"], theme["backgroundColor"]) >= 7
    assert contrast(theme["linkColor"], theme["backgroundColor"]) >= 4.5
    assert contrast("#ffffff", theme["primaryColor"]) >= 3.9  # a button's label, which is large


def test_every_format_family_has_a_style_of_its_own_or_the_common_one() -> None:
    for family in FORMAT_FAMILIES.values():
        assert family_style(family.name) in STYLES.values()


@pytest.mark.parametrize(
    ("scheme", "family"),
    [("fp32", "fp32"), ("int8", "affine"), ("msfp13", "msfp"), ("int8:weight+msfp13:input", "other"), ("???", "other")],
)
def test_a_schemes_family_is_that_of_its_formats(scheme: str, family: str) -> None:
    assert scheme_family(scheme) == family


def test_schemes_of_one_family_have_shades_of_its_colour() -> None:
    shades = scheme_shades(["int8", "int4", "fp32", "int8"])
    assert shades["fp32"] == FAMILIES["fp32"].color
    assert len({shades["int8"], shades["int4"], FAMILIES["affine"].color}) == 3


def test_faded_keeps_the_colour() -> None:
    assert faded("#102030", 0.5) == "rgba(16,32,48,0.5)"


def test_every_state_has_a_colour() -> None:
    assert set(STATE_COLORS) == {"queued", "running", "cancelling", "finished", "failed", "cancelled"}
