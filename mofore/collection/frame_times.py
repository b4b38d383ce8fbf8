"""Times in a video: of frames, repaired where stamps are wrong; whether frames are evenly spaced; times as text."""

from mofore.frames.outcome import SIMILAR_FPS


class UnevenError(Exception):
    """The frames are not evenly spaced in time: some of them last longer, or less long, than they should."""


def clock(seconds: float) -> str:
    """Format a time: 0:07.5, 12:00.0, 9:59:58.0."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def repaired_time(seconds: float, before: float | None, rate: float) -> float:
    """The time of a frame from the first frame on.

    Args:
        seconds: by its time stamp; not a number if unknown.
        before: time of the frame before; None for the first frame.
        rate: frames per second, above 0.

    Returns:
        `seconds`; one frame after the frame before, if the stamp is unknown or out of order; 0 for the first frame.
    """
    earliest = -1 / rate if before is None else before
    return seconds if seconds > earliest else earliest + 1 / rate


def check_even(first_s: float, last_s: float, frames: int, rate: float) -> None:
    """Check that successive frames last about as long as they should.

    Args:
        first_s, last_s: times of the first and the last of them, in seconds.
        frames: their number.
        rate: frames per second that they should have.

    Raises:
        UnevenError: they do not.
    """
    lasts, should = last_s - first_s, (frames - 1) / rate
    if not should / SIMILAR_FPS <= lasts <= should * SIMILAR_FPS:
        raise UnevenError
