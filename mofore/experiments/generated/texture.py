"""Random pictures with the statistics of photographs: for backgrounds, and for the surfaces of things.

Shapes: H height, W width, C = 3 colours (BGR).
"""

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from mofore.experiments.generated.waves import log_uniform

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]


def random_colour(rng: np.random.Generator) -> Colour:
    """A colour, more often dull than bright: blue, green, red, 0-255."""
    red, green, blue = colorsys.hsv_to_rgb(rng.uniform(), rng.beta(1.2, 2), rng.beta(2, 1.5))
    return 255 * blue, 255 * green, 255 * red


def random_picture(rng: np.random.Generator, height: int, width: int) -> Image:
    """A random picture, uint8 [H, W, C]: noise, dead leaves or a landscape, all of them with noise at every scale."""
    paint = rng.choice(np.array([_plain, _dead_leaves, _landscape, _pattern]), p=[0.15, 0.35, 0.35, 0.15])
    picture_HWC = paint(rng, height, width).astype(np.float32)
    picture_HWC += rng.gamma(2, 8) * noise(rng, height, width, rng.uniform(0.8, 1.6))
    return np.asarray(np.clip(picture_HWC, 0, 255), np.uint8)


def noise(rng: np.random.Generator, height: int, width: int, slope: float) -> NDArray[np.float32]:
    """Noise whose amplitude falls with the frequency as f^-slope, as in photographs, where slope is about 1.

    Returns:
        float32 [H, W, C] of mean 0 and standard deviation 1. Its colours differ little.
    """
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = (down**2 + across**2 + 1e-4) ** (-slope / 2)
    gray = np.fft.irfft2(amplitude * np.exp(2j * np.pi * rng.random(amplitude.shape)), s=(height, width))
    gray = (gray - gray.mean()) / gray.std()
    tint = 1 + 0.25 * rng.standard_normal(3)
    return np.asarray(gray[..., None] * tint, np.float32)


def _plain(rng: np.random.Generator, height: int, width: int) -> Image:
    return np.tile(np.array(random_colour(rng), np.uint8), (height, width, 1))


def _dead_leaves(rng: np.random.Generator, height: int, width: int) -> Image:
    """Shapes that cover each other, few large and many small: a model of natural pictures (Lee et al., 2001)."""
    image_HWC = _plain(rng, height, width)
    largest = rng.uniform(0.3, 1) * height
    n_shapes = int(rng.integers(15, 120))
    for size in largest * np.sort((np.arange(n_shapes) + 1.0) ** -rng.uniform(0.4, 0.9))[::-1]:
        centre = rng.uniform(0, 1, 2) * (width, height)
        colour = random_colour(rng)
        if rng.uniform() < 0.5:
            corners = random_outline(rng, int(rng.integers(3, 7))) * size / 2 + centre
            cv2.fillPoly(image_HWC, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)
        else:
            axes = (int(size / 2) + 1, int(size / 2 * rng.uniform(0.3, 1)) + 1)
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(image_HWC, np.rint(centre).astype(int).tolist(), axes, turn, 0, 360, colour, -1, cv2.LINE_AA)
    return image_HWC


def random_outline(rng: np.random.Generator, corners: int) -> NDArray[np.float64]:
    """Corners of a star-shaped polygon about the origin, [corners, 2], at a distance of 0.5 to 1."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    return rng.uniform(0.5, 1, corners)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _landscape(rng: np.random.Generator, height: int, width: int) -> Image:
    """Horizontal layers, such as sky, hills and ground, or wall and floor, and upright things in front of them."""
    image_HWC = _plain(rng, height, width)
    for top in np.sort(rng.uniform(0.1, 0.95, rng.integers(1, 5))) * height:
        across = np.linspace(0, width, 24)
        rough = rng.choice([0.0, rng.gamma(1, height / 20)])
        ridge = top + rough * np.sin(across * rng.uniform(0.01, 0.1) + rng.uniform(0, 6)) + rng.normal(0, rough / 4, 24)
        outline = np.concatenate([np.stack([across, ridge], axis=1), [[width, height], [0, height]]])
        cv2.fillPoly(image_HWC, [np.rint(outline).astype(np.int32)], random_colour(rng), cv2.LINE_AA)
    for _ in range(rng.integers(0, 8)):  # houses, trunks, posts, people far away
        x, y = rng.uniform(0, width), rng.uniform(0.2, 0.9) * height
        half, tall = log_uniform(rng, 1, width / 8), log_uniform(rng, 4, height / 2)
        corners = np.rint([x - half, y - tall, x + half, y]).astype(int).tolist()
        cv2.rectangle(image_HWC, corners[:2], corners[2:], random_colour(rng), -1)
    return image_HWC


def _pattern(rng: np.random.Generator, height: int, width: int) -> Image:
    """Stripes or squares of two colours, turned and bent: clothes, fences, tiles, nets."""
    y, x = np.mgrid[:height, :width]
    turn, period = rng.uniform(0, np.pi), log_uniform(rng, 4, 40)
    bend = rng.gamma(1, 2) * np.sin(2 * np.pi * y / log_uniform(rng, 20, 200))
    u = (x + bend) * np.cos(turn) + y * np.sin(turn)
    v = -(x + bend) * np.sin(turn) + y * np.cos(turn)
    on = np.sin(2 * np.pi * u / period)
    if rng.uniform() < 0.5:
        on = on * np.sin(2 * np.pi * v / period)
    share = 1 / (1 + np.exp(-on[..., None] * log_uniform(rng, 1, 20)))
    first, second = np.array(random_colour(rng)), np.array(random_colour(rng))
    return np.asarray(first * share + second * (1 - share), np.uint8)
