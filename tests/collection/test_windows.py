"""Windows cover the video, and clips lie in their windows."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.collection.windows import RATE, Windows, in_frames, rates

windows = st.builds(
    lambda span, more, step: Windows(span, span + more, step),
    st.integers(1, 60),
    st.integers(0, 300),
    st.integers(1, 300),
)


@given(windows, st.integers(0, 500))
def test_clips_lie_in_the_window_from_its_start_to_its_end_and_leave_no_gap(windows: Windows, start: int) -> None:
    clips = windows.clips(start, windows.length)
    assert clips[0] == start
    assert clips[-1] + windows.span == start + windows.length or len(clips) == 1
    assert all(0 <= later - earlier <= windows.span for earlier, later in itertools.pairwise(clips))


@given(windows)
def test_a_window_shorter_than_a_clip_has_none(windows: Windows) -> None:
    assert windows.clips(0, windows.span - 1) == []
    assert windows.clips(0, windows.span) == [0]


@given(windows, st.integers(1, 2000))
def test_the_end_of_a_video_is_covered_but_for_half_a_step(windows: Windows, frames: int) -> None:
    regular = range(0, frames - windows.length + 1, windows.step)
    ends = [start + windows.length for start in regular]
    if last := windows.last(frames):
        start, length = last
        assert start >= 0
        ends.append(start + length)
        assert start not in regular or length != windows.length
    assert frames - max(ends) <= windows.step / 2
    assert max(ends) <= frames


def test_seconds_become_frames() -> None:
    assert in_frames(2.0, 1.0, 25.0, span=25) == Windows(25, 50, 25)
    assert in_frames(2.0, 1.0, 29.97, span=25) == Windows(25, 60, 30)
    assert in_frames(0.1, 0.001, 25.0, span=25) == Windows(25, 25, 1), "a window has at least one clip"


@pytest.mark.parametrize("fps", [20, 25, 29.97, 40])
def test_usual_rates_stay(fps: float) -> None:
    assert rates(fps) == (0, fps)


@pytest.mark.parametrize("fps", [1, 12, 19.9, 50, 240])
def test_unusual_rates_are_resampled(fps: float) -> None:
    assert rates(fps) == (RATE, RATE)


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf])
def test_an_unknown_rate_is_taken_for_a_usual_one(fps: float) -> None:
    assert rates(fps) == (0, RATE)
