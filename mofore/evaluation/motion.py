"""Motion features without learning: histograms of optical flow and of frame differences.

Each pair of frames gives these histograms in every cell of a grid:

- HOF, directions of the flow (Laptev et al., "Learning realistic human actions from movies", 2008);
- MBH, directions of the spatial gradient of the flow, in which a panning camera does not show (Dalal et al., "Human
  detection using oriented histograms of flow and appearance", 2006);
- speed of the flow;
- absolute difference of the frames.

The features are square roots of the histograms (Arandjelovic and Zisserman, "Three things everyone should know to
improve object retrieval", 2012).

Shapes: T pairs of frames, H height, W width, B bins, F features.
"""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
GrayArray = npt.NDArray[np.uint8]
GRID = 3  # cells per side of a frame
SPEED_OCTAVES = (-4, 3)  # bins in pixels per pair of frames: below 1/16, 1/16 to 1/8, ..., 4 and more
CHANGE_OCTAVES = (0, 8)  # bins in gray levels: no change, 1, 2 to 3, ..., 128 and more


def motion_features(before_THW: GrayArray, after_THW: GrayArray) -> FloatArray:
    """Mean and standard deviation over the pairs of the square roots of their histograms: [F], F = 738.

    Args:
        before_THW: first frame of each pair, gray; height and width are at least GRID pixels.
        after_THW: second frame of each pair, gray.
    """
    pairs = zip(before_THW, after_THW, strict=True)  # one pair at a time, so that its arrays stay in the CPU cache
    root_TF = np.sqrt([pair_histograms(before_HW, after_HW) for before_HW, after_HW in pairs])
    return np.concatenate([root_TF.mean(axis=0), root_TF.std(axis=0)])


def pair_histograms(before_HW: GrayArray, after_HW: GrayArray) -> FloatArray:
    """Histograms of one pair of frames, [369]: 41 bins in 9 cells, each the mean over the pixels of a cell."""
    x_HW, y_HW = flow(before_HW, after_HW)
    change_HW = cv2.absdiff(before_HW, after_HW).astype(np.float32)
    parts = [
        in_directions(x_HW, y_HW),
        in_directions(*_gradient(x_HW)),
        in_directions(*_gradient(y_HW)),
        in_octaves(np.hypot(x_HW, y_HW), *SPEED_OCTAVES),
        in_octaves(change_HW, *CHANGE_OCTAVES),
    ]
    return cell_means(np.concatenate(parts))


def flow(before_HW: GrayArray, after_HW: GrayArray) -> tuple[FloatArray, FloatArray]:
    """Optical flow: how far each pixel moves to the right [H, W] and downwards [H, W], in pixels.

    Farneback, "Two-Frame Motion Estimation Based on Polynomial Expansion", 2003. With one iteration, still pixels near
    the border seem to move by some tenths of a pixel. A second iteration mends that, but its features separated classes
    less well, by cross-validation over training groups.
    """
    flow_HW2 = np.empty((*before_HW.shape, 2), np.float32)
    cv2.calcOpticalFlowFarneback(
        before_HW,
        after_HW,
        flow_HW2,
        pyr_scale=0.5,
        levels=1,  # more have no effect: OpenCV skips pyramid levels that are this small
        winsize=9,
        iterations=1,
        poly_n=5,
        poly_sigma=1.1,
        flags=0,
    )
    x_HW, y_HW = np.moveaxis(flow_HW2, 2, 0).copy()
    return x_HW, y_HW


def in_directions(x_HW: FloatArray, y_HW: FloatArray) -> FloatArray:
    """Split each vector into parts along the two nearest of eight directions, 45 degrees apart: [8, H, W], lengths.

    The part along a direction is sqrt(2) times the smaller of the projections on the two neighbouring directions, and
    0 where that is negative.
    """
    half = np.float32(np.sqrt(0.5))
    first_4HW = np.stack([x_HW, (x_HW + y_HW) * half, y_HW, (y_HW - x_HW) * half])
    # All eight projections, with one more at either end, so that each direction has two neighbours.
    projection_10HW = np.concatenate([-first_4HW[3:], first_4HW, -first_4HW, first_4HW[:1]])
    part_8HW = np.minimum(projection_10HW[:-2], projection_10HW[2:])
    return np.maximum(part_8HW, 0, out=part_8HW) / half


def in_octaves(size_HW: FloatArray, low: int, high: int) -> FloatArray:
    """One-hot octave of each pixel, [B, H, W]: bins from `low` (and below) to `high` (and above).

    Octave n covers values from 2^(n - 1) up to, but not including, 2^n.
    """
    _, octave_HW = np.frexp(np.maximum(size_HW, np.float32(2.0 ** (low - 1))))  # frexp(0) would give octave 0
    return (np.minimum(octave_HW, high) == np.arange(low, high + 1)[:, None, None]).astype(np.float32)


def cell_means(x_BHW: FloatArray) -> FloatArray:
    """Mean of each bin over each cell of the grid: [B * GRID * GRID]."""
    _, height, width = x_BHW.shape
    return np.matmul(np.matmul(_averaging_matrix(height).T, x_BHW), _averaging_matrix(width)).reshape(-1)


def _gradient(x_HW: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Central differences along x and along y, each [H, W]: next pixel minus previous pixel."""
    d_x_HW, d_y_HW = np.empty_like(x_HW), np.empty_like(x_HW)
    cv2.Sobel(x_HW, -1, 1, 0, dst=d_x_HW, ksize=1)
    cv2.Sobel(x_HW, -1, 0, 1, dst=d_y_HW, ksize=1)
    return d_x_HW, d_y_HW


@cache
def _averaging_matrix(pixels: int) -> FloatArray:
    """Matrix [pixels, GRID] that averages the pixels of a side over GRID equal parts."""
    part = np.arange(pixels) * GRID // pixels
    matrix = (part[:, None] == np.arange(GRID)).astype(np.float32)
    matrix /= matrix.sum(axis=0)
    return matrix
