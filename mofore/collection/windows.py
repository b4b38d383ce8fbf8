"""Which windows and clips of a video are embedded.

A window lasts some seconds; its embedding is the mean over clips that are spread evenly over it, each overlapping the
next by half. Windows of one video share clips where they overlap.

    |------------- window -------------|
    |--- clip ---|
          |--- clip ---|
                |--- clip ---|   ...
"""

import math
from dataclasses import dataclass

import numpy as np

NORMAL_RATES = 20.0, 40.0  # frames per second at which clips are taken from the frames as they are
RATE = 25.0  # to which other videos are resampled, and which is assumed if a file does not tell its own


@dataclass(frozen=True)
class Windows:
    """Windows of a video, in frames.

    Attributes:
        span: frames that a clip covers.
        length: of a window, at least `span`.
        step: from the start of one window to the start of the next, at least 1.
    """

    span: int
    length: int
    step: int

    def clips(self, start: int, length: int) -> list[int]:
        """First frames of the clips of a window of `length` frames, which may be shorter than the others.

        Returns:
            Nothing if the window is shorter than a clip.
        """
        room = length - self.span
        if room < 0:
            return []
        count = 1 + math.ceil(2 * room / self.span)
        return [start + offset for offset in np.linspace(0, room, count).astype(int).tolist()]

    def last(self, frames: int) -> tuple[int, int] | None:
        """Start and length of the window at the end of a video, if the regular windows leave out too much of it.

        Args:
            frames: of the whole video.

        Returns:
            The whole video, if it is shorter than a window; None, if less than half a step is left out.
        """
        if frames < self.length:
            return 0, frames
        left_out = (frames - self.length) % self.step
        return (frames - self.length, self.length) if 2 * left_out >= self.step else None


def in_frames(window: float, step: float, rate: float, span: int) -> Windows:
    """Windows of `window` seconds, one every `step` seconds, in a video of `rate` frames per second."""
    return Windows(span, max(span, round(window * rate)), max(1, round(step * rate)))


def rates(fps: float) -> tuple[float, float]:
    """How a video is read, for the rate in its header, which may be unknown (0) or no number.

    The encoder takes every n-th frame, so it knows motion at usual rates only. Videos whose frames turn out not to be
    evenly spaced in time are resampled, too (see `frame_times.UnevenError`).

    Returns:
        Frames per second to which it is resampled, 0 for frames as they are; frames per second of what is read.
    """
    low, high = NORMAL_RATES
    if not 0 < fps < math.inf:
        return 0.0, RATE
    return (0.0, fps) if low <= fps <= high else (RATE, RATE)
