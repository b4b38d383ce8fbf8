"""Samples the appearance of a group: its actor, clothes, camera angle and props. It never depends on the class."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mofore.videos.synthetic.kinematics import Body

WIDTH, HEIGHT = 160, 120  # pixels of a frame

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]  # blue, green, red, 0-255


@dataclass(frozen=True)
class Appearance:
    """What all videos of a group have in common, apart from the background."""

    body: Body
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    seat: Colour
    ball: Colour
    long_sleeves: bool
    long_trousers: bool
    hair_style: int  # 0 short, 1 long, 2 bun
    size: float  # the figure's height in pixels
    pitch: float  # degrees by which the camera looks down
    ground: float  # row of the frame in which the figure stands
    seat_radius: float  # fraction of the figure's height
    ball_radius: float  # fraction of the figure's height


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert a colour from HSV to BGR.

    Args:
        hue: any real number; its integer part is ignored.
        saturation: 0-1.
        value: 0-1.

    Returns:
        Blue, green and red, each 0-255.
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return 255 * blue, 255 * green, 255 * red


def shade(colour: Sequence[float], factor: float) -> Colour:
    """Make a colour darker (factor below 1) or lighter (factor above 1)."""
    blue, green, red = (factor * channel for channel in colour)
    return blue, green, red


# Hue, saturation and value, each 0-1.
SKINS = [(0.07, 0.25, 0.97), (0.065, 0.38, 0.90), (0.06, 0.48, 0.74), (0.055, 0.55, 0.58), (0.05, 0.56, 0.44)]
HAIRS = [
    (0.06, 0.6, 0.14),
    (0.62, 0.3, 0.17),
    (0.6, 0.06, 0.75),
    (0.07, 0.65, 0.32),
    (0.05, 0.75, 0.50),
    (0.12, 0.55, 0.86),
]


def sample_appearance(rng: np.random.Generator) -> Appearance:
    """Sample an appearance. The distribution is the same for all classes and groups."""

    def around(value: float, spread: float) -> float:
        return value * rng.uniform(1 - spread, 1 + spread)

    standard = Body()
    legs, arms = around(1, 0.07), around(1, 0.07)
    body = Body(
        trunk=around(standard.trunk, 0.05),
        head=around(standard.head, 0.12),
        shoulder=around(standard.shoulder, 0.12),
        upper_arm=standard.upper_arm * arms,
        forearm=standard.forearm * arms,
        hip=around(standard.hip, 0.12),
        thigh=standard.thigh * legs,
        shin=standard.shin * legs,
        girth=around(1.0, 0.22),
    )
    skin = rng.integers(len(SKINS))
    hair = rng.integers(len(HAIRS) if skin < 2 else 3)  # dark skin: only black or grey hair, for contrast
    hue = rng.uniform()
    lower = hue + rng.uniform(0.25, 0.75)
    return Appearance(
        body=body,
        skin=hsv(*SKINS[skin]),
        hair=hsv(*HAIRS[hair]),
        shirt=hsv(hue, rng.uniform(0.45, 0.85), rng.uniform(0.65, 0.98)),
        trousers=hsv(lower, rng.uniform(0.2, 0.7), rng.uniform(0.25, 0.6)),
        shoes=hsv(rng.uniform(), rng.uniform(0, 0.8), rng.uniform(0.2, 0.95)),
        seat=hsv(rng.uniform(), rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.9)),
        ball=hsv(rng.uniform(), rng.uniform(0.6, 0.9), rng.uniform(0.75, 1)),
        long_sleeves=bool(rng.integers(2)),
        long_trousers=bool(rng.uniform() < 0.65),
        hair_style=int(rng.integers(3)),
        size=HEIGHT * rng.uniform(0.62, 0.70),
        pitch=rng.uniform(6, 14),
        ground=HEIGHT * rng.uniform(0.87, 0.92),
        seat_radius=rng.uniform(0.10, 0.13),
        ball_radius=rng.uniform(0.058, 0.075),
    )
