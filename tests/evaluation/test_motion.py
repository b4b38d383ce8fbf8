"""Motion features: histograms against slow definitions, and on known motion."""

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.evaluation.motion import cell_means, flow, in_directions, in_octaves, motion_features, pair_histograms

ANGLES = [math.radians(45 * k) for k in range(8)]
HOF, MBH, SPEED, CHANGE = slice(0, 72), slice(72, 216), slice(216, 288), slice(288, 369)  # of a pair's histograms
coordinate = st.floats(-50, 50, width=32)


def moving(dx: float, dy: float, frames: int = 2, side: int = 48) -> np.ndarray:
    """A smooth random picture that moves by (dx, dy) pixels a frame."""
    picture = cv2.GaussianBlur(np.random.default_rng(0).random((200, 200)).astype(np.float32), (0, 0), 3)
    picture = (255 * (picture - picture.min()) / np.ptp(picture)).astype(np.float32)
    shifts = [np.array([[1, 0, dx * t - 70], [0, 1, dy * t - 70]], np.float32) for t in range(frames)]
    return np.stack([cv2.warpAffine(picture, shift, (side, side)).round().astype(np.uint8) for shift in shifts])


@given(x=coordinate, y=coordinate)
def test_a_vector_is_the_sum_of_its_parts_in_the_two_nearest_directions(x: float, y: float) -> None:
    part = in_directions(np.full((1, 1), x, np.float32), np.full((1, 1), y, np.float32))[:, 0, 0]
    assert (part >= 0).all()
    assert part @ np.cos(ANGLES) == pytest.approx(x, abs=1e-4)
    assert part @ np.sin(ANGLES) == pytest.approx(y, abs=1e-4)
    there = np.flatnonzero(part > 1e-4)
    assert len(there) <= 2
    assert len(there) < 2 or (there[1] - there[0]) % 8 in (1, 7)


@pytest.mark.parametrize("k", range(8))
def test_a_vector_along_a_direction_has_no_other_part(k: int) -> None:
    x, y = np.full((1, 1), 3 * math.cos(ANGLES[k]), np.float32), np.full((1, 1), 3 * math.sin(ANGLES[k]), np.float32)
    assert in_directions(x, y)[:, 0, 0] == pytest.approx(3 * np.eye(8)[k], abs=1e-5)


@given(size=st.floats(0, 300, width=32), low=st.integers(-5, 0), bins=st.integers(2, 10))
def test_octaves_equal_the_definition(size: float, low: int, bins: int) -> None:
    octave = low if size == 0 else math.floor(math.log2(size)) + 1
    expected = min(max(octave, low), low + bins - 1) - low
    found = in_octaves(np.full((1, 1), size, np.float32), low, low + bins - 1)[:, 0, 0]
    assert found.tolist() == [float(b == expected) for b in range(bins)]


@given(height=st.integers(3, 11), width=st.integers(3, 11))
def test_cell_means_equal_the_definition(height: int, width: int) -> None:
    x = np.random.default_rng(0).random((2, height, width)).astype(np.float32)
    found = cell_means(x).reshape(2, 3, 3)
    for row in range(3):
        for column in range(3):
            inside = [
                x[:, h, w]
                for h in range(height)
                for w in range(width)
                if h * 3 // height == row and w * 3 // width == column
            ]
            assert found[:, row, column] == pytest.approx(np.mean(inside, axis=0), abs=1e-5)


@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (0, -1.5), (-1, 1)])
def test_the_flow_of_a_moving_picture_is_its_motion(dx: float, dy: float) -> None:
    x, y = flow(*moving(dx, dy))
    assert np.median(x) == pytest.approx(dx, abs=0.3)
    assert np.median(y) == pytest.approx(dy, abs=0.3)


@pytest.mark.parametrize(("dx", "dy", "direction"), [(2, 0, 0), (1, 1, 1), (0, 2, 2), (-2, 0, 4), (0, -2, 6)])
def test_directions_are_those_of_the_motion(dx: float, dy: float, direction: int) -> None:
    by_cell = pair_histograms(*moving(dx, dy))[HOF].reshape(8, 9)
    assert (by_cell.argmax(axis=0) == direction).all()


def test_motion_in_one_cell_is_found_in_that_cell() -> None:
    before, after = moving(2, 0)
    still = before.copy()
    still[:16, 32:] = after[:16, 32:]  # only the upper right cell moves
    moved = pair_histograms(before, still)
    assert moved[HOF].reshape(8, 3, 3)[0].argmax() == 2
    assert moved[CHANGE].reshape(9, 9)[0].argmin() == 2, "this cell has the fewest unchanged pixels"


def test_a_panning_camera_hardly_shows_in_the_gradient_of_the_flow() -> None:
    histograms = pair_histograms(*moving(2, 0))
    assert histograms[MBH].sum() < 0.2 * histograms[HOF].sum()


@pytest.mark.parametrize(("along", "direction"), [(0, 0), (1, 2)])
def test_the_gradient_of_the_flow_has_a_direction(along: int, direction: int) -> None:
    """A picture stretched along x (or y) about its centre moves outwards, faster with distance from the centre."""
    before = moving(0, 0, 1)[0]
    stretch = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    stretch[along, along], stretch[along, 2] = 1.08, -0.08 * 23.5
    after = np.empty_like(before)
    cv2.warpAffine(before, stretch, before.shape, dst=after, borderMode=cv2.BORDER_REFLECT)
    variation = pair_histograms(before, after)[MBH].reshape(2, 8, 3, 3)[:, :, 1, 1]  # of x and of y, in the middle
    assert variation.argmax() == 8 * along + direction
    assert variation[along, direction] == pytest.approx(0.16, rel=0.3), "from the pixel before to the pixel behind"


def test_faster_motion_is_in_higher_octaves() -> None:
    slow, fast = (pair_histograms(*moving(dx, 0))[SPEED].reshape(8, 9).mean(axis=1) for dx in (0.35, 2.6))
    assert slow.argmax() == 3, "1/4 to 1/2 pixel"
    assert fast.argmax() == 6, "2 to 4 pixels"
    assert slow.sum() == pytest.approx(1)


def test_a_still_video_has_no_motion() -> None:
    frames = np.repeat(moving(0, 0, 1), 5, axis=0)
    mean, std = motion_features(frames, frames).reshape(2, 369)
    assert (mean.reshape(41, 9)[:24, 4] == 0).all(), "flow away from the border"
    assert mean[SPEED].reshape(8, 9)[0, 4] == 1
    assert (mean[CHANGE].reshape(9, 9)[0] == 1).all()
    assert std == pytest.approx(0, abs=1e-6)


def test_mean_and_spread_are_over_pairs() -> None:
    frames = moving(1.5, 0, 4)
    root = np.sqrt([pair_histograms(a, b) for a, b in pairwise(frames)])
    found = motion_features(frames[:3], frames[1:])
    assert found.shape == (738,)
    assert found == pytest.approx(np.concatenate([root.mean(axis=0), root.std(axis=0)]), abs=1e-6)


def test_backwards_is_another_motion() -> None:
    frames = moving(1.5, 0, 4)
    forwards, backwards = motion_features(frames[:3], frames[1:]), motion_features(frames[:0:-1], frames[2::-1])
    assert np.abs(forwards[HOF] - backwards[HOF]).max() > 0.5
    assert backwards[HOF].reshape(8, 9)[4] == pytest.approx(forwards[HOF].reshape(8, 9)[0], rel=0.1)
