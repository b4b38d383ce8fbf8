"""Clips lie within their video, and gaps follow their distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.clips.sampling import clip_offsets, clip_span, draw_gap, draw_positions, uniform_starts
from mofore.config import Clip, Forecast

clips = st.builds(
    Clip,
    frames=st.integers(2, 16),
    stride=st.integers(1, 4),
    size=st.just(56),
    input=st.sampled_from(["rgb", "residual", "both"]),
)

DISTRIBUTIONS = st.sampled_from(["uniform", "log", "decreasing"])


def forecast(gap_min: int, gap_max: int, distribution: str = "uniform", futures: int = 1) -> Forecast:
    return Forecast(
        gap_min=gap_min,
        gap_max=gap_max,
        gap_distribution=distribution,
        gap_conditioning="gap",
        futures=futures,
        weight=1,
        loss="cosine",
        projection_dim=8,
        hidden_dim=8,
        batch_norm=True,
        residual=False,
    )


@pytest.mark.slow
@given(clip=clips)
def test_frame_differences_need_one_frame_more(clip: Clip) -> None:
    offsets = clip_offsets(clip)
    assert len(offsets) == clip.frames + (clip.input in ("residual", "both"))
    assert set(np.diff(offsets)) == {clip.stride}
    assert clip_span(clip) == offsets[-1] + 1


@given(
    span=st.integers(1, 40),
    gap_min=st.integers(0, 30),
    gap_range=st.integers(0, 60),
    room=st.integers(0, 100),
    distribution=DISTRIBUTIONS,
    futures=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_context_and_futures_fit_their_video(
    span: int, gap_min: int, gap_range: int, room: int, distribution: str, futures: int, seed: int
) -> None:
    n_frames = 2 * span + gap_min + room
    config = forecast(gap_min, gap_min + gap_range, distribution, futures)
    context, gap_F = draw_positions(n_frames, span, config, np.random.default_rng(seed))
    assert context >= 0
    assert len(gap_F) == futures
    assert context + span + gap_F.max() + span <= n_frames
    assert gap_min <= gap_F.min() <= gap_F.max() <= gap_min + gap_range


@pytest.mark.parametrize("distribution", ["uniform", "log", "decreasing"])
def test_gaps_follow_their_distribution(distribution: str) -> None:
    low, high, draws = 3, 12, 20_000
    rng = np.random.default_rng(0)
    found = (
        np.bincount([draw_gap(low, high, distribution, rng) - low for _ in range(draws)], minlength=high - low + 1)
        / draws
    )
    gap, count = np.arange(low, high + 1), high - low + 1
    expected = {
        "uniform": np.full(count, 1 / count),
        "log": np.log((2 + gap) / (1 + gap)) / np.log((2 + high) / (1 + low)),
        "decreasing": np.where(gap == low, 1, 2 * (high + 1 - gap) / count) / count,  # |a - b| of two uniform draws
    }[distribution]
    assert expected.sum() == pytest.approx(1)
    assert found == pytest.approx(expected, abs=0.012)  # at most 5 standard errors


def test_gaps_and_positions_take_all_possible_values() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_positions(30, 10, forecast(0, 100), rng) for _ in range(2000)]
    gaps = np.bincount([gap_F[0] for _, gap_F in drawn], minlength=11)
    assert len(gaps) == 11, "the video's length limits the gap to 10"
    assert gaps.min() > 2000 / 11 * 0.6, "the gap is uniform"
    assert {context for context, gap_F in drawn if gap_F[0] == 5} == set(range(6))


@given(clip=clips, n_clips=st.integers(1, 12), room=st.integers(0, 200))
def test_uniform_clips_cover_the_whole_video(clip: Clip, n_clips: int, room: int) -> None:
    span = clip_span(clip)
    starts = uniform_starts(span + room, span, n_clips)
    assert len(starts) == n_clips
    assert starts[0] == 0
    assert (np.diff(starts) >= 0).all()
    assert starts[-1] == (room if n_clips > 1 else 0)
    assert np.diff(starts).max(initial=0) - np.diff(starts).min(initial=room) <= 1


def test_a_video_that_is_one_frame_too_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="low"):
        draw_positions(2 * 10 + 5 - 1, 10, forecast(5, 5), np.random.default_rng(0))
