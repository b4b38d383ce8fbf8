"""Samples clips from videos: frame numbers of a clip, positions of context and futures.

    |--- context ---|<------ gap ------>|--- future ---|
    start            end                 start + span + gap

A clip of `clip.frames` frames at `clip.stride` covers `span` video frames. Input with frame differences needs one frame
more. Short videos are never looped, because a looped future would repeat the context.

Shapes: T frames of a clip, F futures of a context.
"""

import numpy as np
import numpy.typing as npt

from mofore.config import Clip, Forecast


def clip_offsets(clip: Clip) -> npt.NDArray[np.int64]:
    """Frame numbers of a clip that starts at frame 0: [T] for rgb, [T + 1] for input with frame differences."""
    count = clip.frames + (clip.input != "rgb")
    return np.arange(count, dtype=np.int64) * clip.stride


def clip_span(clip: Clip) -> int:
    """Number of video frames from the first to the last frame of a clip, both included."""
    return int(clip_offsets(clip)[-1]) + 1


def draw_positions(
    n_frames: int, span: int, forecast: Forecast, rng: np.random.Generator
) -> tuple[int, npt.NDArray[np.int64]]:
    """Draw the position of a context and the gaps to its futures.

    Each gap follows `forecast.gap_distribution` in gap_min..gap_max, where gap_max is limited by the length of the
    video. The start of the context is then uniform among the positions at which the future with the longest gap fits.

    Args:
        n_frames: frames of the video, at least 2 * span + gap_min.
        span: video frames that a clip covers.
        forecast: number of futures, and range and distribution of gaps.
        rng: the random generator to draw from.

    Returns:
        First frame of the context; gap to each future in video frames, int64 [F].
    """
    longest_gap = n_frames - 2 * span
    low, high = forecast.gap_min, min(forecast.gap_max, longest_gap)
    gaps = [draw_gap(low, high, forecast.gap_distribution, rng) for _ in range(forecast.futures)]
    gap_F = np.array(gaps, dtype=np.int64)
    return int(rng.integers(0, longest_gap - gap_F.max() + 1)), gap_F


def draw_gap(low: int, high: int, distribution: str, rng: np.random.Generator) -> int:
    """Draw a gap in low..high, both included, in video frames.

    Args:
        low: smallest gap, at least 0.
        high: largest gap.
        distribution: "uniform"; "log": uniform in log(1 + gap), so short gaps are more frequent; "decreasing": the
            probability falls linearly up to `high`, as for two clips at random positions of a video (CVRL, Qian et
            al., 2021).
        rng: the random generator to draw from.
    """
    if distribution == "log":
        return min(high, int(np.exp(rng.uniform(np.log(1 + low), np.log(2 + high)))) - 1)
    if distribution == "decreasing":
        first, second = rng.integers(low, high + 1, 2).tolist()
        return low + abs(first - second)
    return int(rng.integers(low, high + 1))


def uniform_starts(n_frames: int, span: int, clips: int) -> npt.NDArray[np.int64]:
    """First frames of uniformly spaced clips, int64 [clips]. In a short video several clips start at the same frame."""
    return np.linspace(0, n_frames - span, clips).round().astype(np.int64)
