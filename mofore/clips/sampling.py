"""Which frames make a clip, and where context and future stand in a video.

    |--- context ---|<------ gap ------>|--- future ---|
    start            end                 start + span + gap

A clip of `clip.frames` frames at `clip.stride` covers `span` video frames. For differences of frames, one frame more
is read. Frames are never looped: a looped future would equal the past.
"""

import numpy as np
import numpy.typing as npt

from mofore.config import Clip, Forecast


def clip_offsets(clip: Clip) -> npt.NDArray[np.int64]:
    """Frame numbers of a clip that starts at 0: [T] for rgb, [T + 1] for input that holds differences."""
    count = clip.frames + (clip.input != "rgb")
    return np.arange(count, dtype=np.int64) * clip.stride


def clip_span(clip: Clip) -> int:
    """Video frames from the first to the last frame of a clip, both counted."""
    return int(clip_offsets(clip)[-1]) + 1


def draw_places(
    n_frames: int, span: int, forecast: Forecast, rng: np.random.Generator
) -> tuple[int, npt.NDArray[np.int64]]:
    """Draw where a context stands, and how far ahead its futures are.

    Each gap follows `forecast.gap_distribution` in gap_min..gap_max, capped by the room that the video has. Then the
    context's start is uniform in the room that the longest gap leaves.

    Args:
        n_frames: frames of the video, at least 2 * span + gap_min.
        span: video frames that a clip covers.

    Returns:
        First frame of the context, and the gap to each future in video frames, [F].
    """
    room = n_frames - 2 * span
    low, high = forecast.gap_min, min(forecast.gap_max, room)
    gaps = [draw_gap(low, high, forecast.gap_distribution, rng) for _ in range(forecast.futures)]
    gap_F = np.array(gaps, dtype=np.int64)
    return int(rng.integers(0, room - gap_F.max() + 1)), gap_F


def draw_gap(low: int, high: int, distribution: str, rng: np.random.Generator) -> int:
    """Draw a gap in low..high, in video frames.

    Args:
        distribution: "uniform"; "log": uniform in log(1 + gap), so that short gaps are frequent; "decreasing": falls
            linearly to high, as the gap between two clips at random places of a video (CVRL, Qian et al., 2021).
    """
    if distribution == "log":
        return min(high, int(np.exp(rng.uniform(np.log(1 + low), np.log(2 + high)))) - 1)
    if distribution == "decreasing":
        first, second = rng.integers(low, high + 1, 2).tolist()
        return low + abs(first - second)
    return int(rng.integers(low, high + 1))


def uniform_starts(n_frames: int, span: int, clips: int) -> npt.NDArray[np.int64]:
    """First frames of `clips` uniformly spaced clips, [clips]; equal ones where the video has too little room."""
    return np.linspace(0, n_frames - span, clips).round().astype(np.int64)
