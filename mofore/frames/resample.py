"""Resample a video to a constant frame rate, by the time stamps of its frames.

Output frame k is what a viewer sees k / fps seconds after the first frame: the last frame with a time stamp up to then.
Since containers round time stamps, a frame may come a quarter of an interval late. So a video that already has the
wanted rate keeps each frame once. Frames are repeated or left out, never mixed.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import chain

from mofore.frames.video import Picture

TOLERANCE = 0.25  # of the interval between two output frames
LONGEST_STILL = 600.0  # seconds; a longer pause between two frames is taken for damaged time stamps
LONGEST_STEP_BACK = 0.5  # seconds; more than frames that come in the wrong order
FIRST_FRAMES = 5  # if none of these is later than the first, there are no time stamps


class TimeStampError(Exception):
    """A video cannot be resampled; the message is the reason."""


def resample(frames: Iterable[tuple[float, Picture]], fps: float, header_fps: float) -> Iterator[Picture]:
    """Yield the frames of a video at a constant rate.

    Args:
        frames: time stamp in seconds (not a number if unknown) and picture of each frame, in display order. A picture
            may be overwritten once the next one is asked for.
        fps: frames per second of the result, above 0.
        header_fps: the rate in the file's header, for files without time stamps; 0 if unknown.

    Raises:
        TimeStampError: time stamps are missing and so is the rate in the header, or they jump.
    """
    shown: Picture | None = None
    first = now = 0.0
    n_read = n_yielded = 0
    frames = iter(frames)
    ahead: list[tuple[float, Picture]] = []
    for stamp, image in frames:
        ahead.append((stamp, image.copy()))
        if stamp > ahead[0][0] or len(ahead) == FIRST_FRAMES:
            break
    by_header = len(ahead) > 1 and not ahead[-1][0] > ahead[0][0]  # also if one of them is not a number
    if by_header and not 0 < header_fps < math.inf:
        raise TimeStampError(f"no time stamps and no frame rate to resample it to {fps:g} per second")

    def due(end: float) -> bool:
        """Is the next output frame shown before `end`, in seconds after the first frame?"""
        return (n_yielded + TOLERANCE) / fps < end

    for stamp, image in chain(ahead, frames):
        before = now
        if n_read == 0:
            first = stamp
        elif by_header:
            now = n_read / header_fps
        elif stamp > first and stamp - first < now - LONGEST_STEP_BACK:
            raise TimeStampError(f"time stamps jump back by {now - stamp + first:,.0f} s after {n_read} frames")
        elif stamp > first:
            now = max(now, stamp - first)
        elif now:  # unknown: OpenCV gives 0 for the last frames of an AVI or MPEG file with B-frames
            now += now / (n_read - 1)  # the mean interval so far
        if now - before > LONGEST_STILL:
            raise TimeStampError(f"time stamps jump by {now - before:,.0f} s after {n_read} frames")
        while shown is not None and due(now):
            yield shown
            n_yielded += 1
        shown, n_read = image.copy(), n_read + 1
    end = now + (now / (n_read - 1) if n_read > 1 else 1 / fps)  # the last frame is shown as long as the others
    while shown is not None and (due(end) or not n_yielded):  # at least one frame, however short the video is
        yield shown
        n_yielded += 1
