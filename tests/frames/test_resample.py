"""Resampling by time stamps, against what a viewer sees."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.frames.resample import LONGEST_STILL, TOLERANCE, TimeStampError, resample


def numbers(seconds: list[float], fps: float, header_fps: float = 0.0) -> list[int]:
    """Which frames are stored, by number; the images share their memory, as those of a decoder do."""
    image = np.zeros((1, 1, 3), np.int64)

    def frames() -> object:
        for number, second in enumerate(seconds):
            image[:] = number
            yield second, image

    return [int(found[0, 0, 0]) for found in resample(frames(), fps, header_fps)]  # type: ignore[arg-type, index]


@given(
    st.integers(1, 60),
    st.sampled_from([5.0, 10.0, 12.5, 25.0, 29.97, 30.0, 60.0]),
    st.floats(0, 3),
    st.integers(0, 2**32),
)
def test_a_video_of_the_wanted_rate_keeps_each_frame_once(count: int, fps: float, start: float, seed: int) -> None:
    """Even where the container rounds time stamps to milliseconds."""
    exact = [start + number / fps for number in range(count)]
    assert numbers(exact, fps) == list(range(count))
    if fps < 60:
        assert numbers([round(second, 3) for second in exact], fps) == list(range(count))


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=40), st.sampled_from([4.0, 10.0, 25.0]))
def test_each_stored_frame_is_what_a_viewer_sees(steps: list[float], fps: float) -> None:
    seconds = np.cumsum([1.0, *steps]).tolist()
    found = numbers(seconds, fps)
    for slot, number in enumerate(found):
        until = seconds[0] + (slot + TOLERANCE) / fps
        assert seconds[number] <= until + 1e-9
        assert number + 1 == len(seconds) or seconds[number + 1] >= until - 1e-9
    lasted = seconds[-1] - seconds[0] + np.mean(steps)
    assert len(found) == pytest.approx(lasted * fps, abs=1)


def test_half_and_double_rates() -> None:
    assert numbers([0, 0.02, 0.04, 0.06, 0.08, 0.1], 25) == [0, 2, 4]
    assert numbers([0, 0.08, 0.16], 25) == [0, 0, 1, 1, 2, 2]
    assert numbers([5.0], 25) == [0]
    assert numbers([], 25) == []


def test_time_stamps_that_start_again_are_told() -> None:
    with pytest.raises(TimeStampError, match="time stamps jump back by 1 s after 21 frames"):
        numbers([1 + t / 20 for t in range(20)] * 2, 10)


def test_a_video_shorter_than_a_frame_gives_one() -> None:
    assert len(numbers([t / 1000 for t in range(20)], 12.5)) == 1


@pytest.mark.parametrize("unknown", [0.0, math.nan])
def test_without_time_stamps_the_header_decides(unknown: float) -> None:
    assert numbers([unknown] * 6, 25, header_fps=50) == [0, 2, 4]
    with pytest.raises(TimeStampError, match="no time stamps and no frame rate to resample it to 25 per second"):
        numbers([unknown] * 6, 25)


def test_time_stamps_that_go_back_count_as_no_time() -> None:
    assert numbers([0, 0.04, 0.03, 0.12], 25) == [0, 2, 2, 3]


def test_frames_without_a_time_stamp_follow_at_the_mean_interval() -> None:
    """OpenCV gives 0 for the last frames of an AVI file with B-frames, such as those of UCF101."""
    for first in (0, 1):
        assert numbers([0.08 * first + 0.04 * n for n in range(20)] + [0, 0], 25) == list(range(22))
    assert numbers([0, 0.04, 0.08, math.nan, 0.16], 25) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("twice", [2, 4])
def test_first_frames_of_one_time_are_not_a_lack_of_time_stamps(twice: int) -> None:
    found = numbers([0] * twice + [0.04, 0.2], 25, header_fps=25)
    assert found[:6] == [twice - 1, twice, twice, twice, twice, twice + 1]


def test_a_jump_does_not_fill_the_disk() -> None:
    with pytest.raises(TimeStampError, match=r"time stamps jump by 1,000,000 s after 2 frames"):
        numbers([0, 0.04, 1e6], 25)
    assert len(numbers([0, LONGEST_STILL], 1)) == 2 * LONGEST_STILL
