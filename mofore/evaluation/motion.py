"""Hand-made motion: what optical flow and frame differences say of a video, with nothing learned.

Each pair of frames gives histograms over a grid of cells: of the flow's directions (HOF), of the directions in which
the flow itself changes (MBH; a camera that pans leaves them alone), of the flow's size, and of the difference of the
frames. HOF: Laptev et al., "Learning realistic human actions from movies", 2008. MBH: Dalal et al., "Human detection
using oriented histograms of flow and appearance", 2006; here without trajectories. Square roots of histograms:
Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", 2012.

Shapes: T pairs of frames, H height, W width, B bins, F features.
"""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
GrayArray = npt.NDArray[np.uint8]
GRID = 3  # cells along each side
SPEEDS = (-4, 3)  # octaves: below 1/16 pixel a pair, 1/16 to 1/8, ..., 4 and more
CHANGES = (0, 8)  # octaves of gray levels: no change, 1, 2 to 3, ..., 128 and more


def motion_features(before_THW: GrayArray, after_THW: GrayArray) -> FloatArray:
    """Mean and standard deviation, over pairs of frames, of their histograms' square roots: [F], 738 numbers.

    Args:
        before_THW: gray, the first frame of each pair; no side is shorter than GRID pixels.
        after_THW: the second frames.
    """
    pairs = zip(before_THW, after_THW, strict=True)  # one by one: their arrays stay in the processor's cache
    root_TF = np.sqrt([pair_histograms(before_HW, after_HW) for before_HW, after_HW in pairs])
    return np.concatenate([root_TF.mean(axis=0), root_TF.std(axis=0)])


def pair_histograms(before_HW: GrayArray, after_HW: GrayArray) -> FloatArray:
    """Histograms of one pair of frames, each bin as a mean over the pixels of a cell."""
    x_HW, y_HW = flow(before_HW, after_HW)
    change_HW = cv2.absdiff(before_HW, after_HW).astype(np.float32)
    parts = [
        in_directions(x_HW, y_HW),
        in_directions(*_slopes(x_HW)),
        in_directions(*_slopes(y_HW)),
        in_octaves(np.hypot(x_HW, y_HW), *SPEEDS),
        in_octaves(change_HW, *CHANGES),
    ]
    return cell_means(np.concatenate(parts))


def flow(before_HW: GrayArray, after_HW: GrayArray) -> tuple[FloatArray, FloatArray]:
    """How far each pixel moves to the right and downwards, in pixels. Farneback, 2003.

    One iteration: pixels near the border then seem to move by some tenths of a pixel, even where nothing does. A
    second would mend that, but its features told classes apart less well, by cross-validation over training groups.
    """
    flow_HW2 = np.empty((*before_HW.shape, 2), np.float32)
    cv2.calcOpticalFlowFarneback(
        before_HW,
        after_HW,
        flow_HW2,
        pyr_scale=0.5,
        levels=1,  # smaller ones OpenCV leaves out at this size
        winsize=9,
        iterations=1,
        poly_n=5,
        poly_sigma=1.1,
        flags=0,
    )
    x_HW, y_HW = np.moveaxis(flow_HW2, 2, 0).copy()
    return x_HW, y_HW


def in_directions(x_HW: FloatArray, y_HW: FloatArray) -> FloatArray:
    """Vectors taken apart into the two nearest of eight directions, 45 degrees apart: how long each part is, [8, H, W].

    A direction's part of a vector is the smaller of the vector's projections on the two directions beside it, times
    the square root of 2; below zero, it has none.
    """
    half = np.float32(np.sqrt(0.5))
    first_4HW = np.stack([x_HW, (x_HW + y_HW) * half, y_HW, (y_HW - x_HW) * half])
    along_10HW = np.concatenate([-first_4HW[3:], first_4HW, -first_4HW, first_4HW[:1]])  # the eight, and round again
    part_8HW = np.minimum(along_10HW[:-2], along_10HW[2:])
    return np.maximum(part_8HW, 0, out=part_8HW) / half


def in_octaves(size_HW: FloatArray, low: int, high: int) -> FloatArray:
    """1 in the bin of a pixel's octave, from `low` or less to `high` or more, and 0 in the other bins: [B, H, W].

    Octave n reaches from 2^(n - 1) up to 2^n, the latter not included.
    """
    _, octave_HW = np.frexp(np.maximum(size_HW, np.float32(2.0 ** (low - 1))))  # it would take 0 for octave 0
    return (np.minimum(octave_HW, high) == np.arange(low, high + 1)[:, None, None]).astype(np.float32)


def cell_means(x_BHW: FloatArray) -> FloatArray:
    """Means over the cells of a grid: [B * GRID * GRID]."""
    _, height, width = x_BHW.shape
    return np.matmul(np.matmul(_averaging(height).T, x_BHW), _averaging(width)).reshape(-1)


def _slopes(x_HW: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Differences of the pixels on both sides, along a row and down a column."""
    along_HW, down_HW = np.empty_like(x_HW), np.empty_like(x_HW)
    cv2.Sobel(x_HW, -1, 1, 0, dst=along_HW, ksize=1)
    cv2.Sobel(x_HW, -1, 0, 1, dst=down_HW, ksize=1)
    return along_HW, down_HW


@cache
def _averaging(pixels: int) -> FloatArray:
    """Matrix that takes the means of pixels over GRID equal parts of a side."""
    part = np.arange(pixels) * GRID // pixels
    inside = (part[:, None] == np.arange(GRID)).astype(np.float32)
    inside /= inside.sum(axis=0)
    return inside
