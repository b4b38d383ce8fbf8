"""Which frames make a clip, and where context and future stand in a video.

    |--- context ---|<------ gap ------>|--- future ---|
    start            end                 start + span + gap

A clip of `clip.frames` frames at `clip.stride` covers `span` video frames. Residual input is made of differences, so
it reads one frame more. Frames are never looped: a looped future would equal the past.
"""

import numpy as np
import numpy.typing as npt

from mofore.config import Clip, Forecast


def clip_offsets(clip: Clip) -> npt.NDArray[np.int64]:
    """Frame numbers of a clip that starts at 0: [T] for rgb, [T + 1] for residual input."""
    count = clip.frames + (clip.input == "residual")
    return np.arange(count, dtype=np.int64) * clip.stride


def clip_span(clip: Clip) -> int:
    """Video frames from the first to the last frame of a clip, both counted."""
    return int(clip_offsets(clip)[-1]) + 1


def draw_pair(n_frames: int, span: int, forecast: Forecast, rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw a context and a future clip with a random gap.

    The gap is uniform in gap_min..gap_max, capped by the room that the video has; then the context's start is uniform
    in the room that is left.

    Args:
        n_frames: frames of the video, at least 2 * span + gap_min.
        span: video frames that a clip covers.

    Returns:
        First frame of the context, first frame of the future, gap in video frames.
    """
    room = n_frames - 2 * span
    gap = int(rng.integers(forecast.gap_min, min(forecast.gap_max, room) + 1))
    start = int(rng.integers(0, room - gap + 1))
    return start, start + span + gap, gap


def uniform_starts(n_frames: int, span: int, clips: int) -> npt.NDArray[np.int64]:
    """First frames of `clips` uniformly spaced clips, [clips]; equal ones where the video has too little room."""
    return np.linspace(0, n_frames - span, clips).round().astype(np.int64)
