"""Clips stay within their video, and the gap is what it is said to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.clips import clip_offsets, clip_span, draw_pair, uniform_starts
from mofore.config import Clip, Forecast

clips = st.builds(
    Clip,
    frames=st.integers(2, 16),
    stride=st.integers(1, 4),
    size=st.just(56),
    input=st.sampled_from(["rgb", "residual"]),
)


def forecast(gap_min: int, gap_max: int) -> Forecast:
    return Forecast(gap_min=gap_min, gap_max=gap_max, weight=1, projection=8, hidden=8)


@given(clip=clips)
def test_residual_reads_one_frame_more(clip: Clip) -> None:
    offsets = clip_offsets(clip)
    assert len(offsets) == clip.frames + (clip.input == "residual")
    assert set(np.diff(offsets)) == {clip.stride}
    assert clip_span(clip) == offsets[-1] + 1


@given(
    span=st.integers(1, 40),
    gap_min=st.integers(0, 30),
    wider=st.integers(0, 60),
    room=st.integers(0, 100),
    seed=st.integers(0, 10_000),
)
def test_a_pair_fits_its_video(span: int, gap_min: int, wider: int, room: int, seed: int) -> None:
    n_frames = 2 * span + gap_min + room
    context, future, gap = draw_pair(n_frames, span, forecast(gap_min, gap_min + wider), np.random.default_rng(seed))
    assert context >= 0
    assert future + span <= n_frames
    assert gap == future - (context + span)
    assert gap_min <= gap <= gap_min + wider


def test_gaps_and_places_take_all_their_values() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_pair(30, 10, forecast(0, 100), rng) for _ in range(2000)]
    gaps = np.bincount([gap for _, _, gap in drawn], minlength=11)
    assert len(gaps) == 11, "the room caps the gap at 10"
    assert gaps.min() > 2000 / 11 * 0.6, "the gap is uniform"
    assert {context for context, _, gap in drawn if gap == 5} == set(range(6))


@given(clip=clips, n_clips=st.integers(1, 12), room=st.integers(0, 200))
def test_uniform_clips_reach_from_end_to_end(clip: Clip, n_clips: int, room: int) -> None:
    span = clip_span(clip)
    starts = uniform_starts(span + room, span, n_clips)
    assert len(starts) == n_clips
    assert starts[0] == 0
    assert (np.diff(starts) >= 0).all()
    assert starts[-1] == (room if n_clips > 1 else 0)
    assert np.diff(starts).max(initial=0) - np.diff(starts).min(initial=room) <= 1


def test_one_frame_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="low"):
        draw_pair(2 * 10 + 5 - 1, 10, forecast(5, 5), np.random.default_rng(0))
