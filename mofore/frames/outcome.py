"""The result of decoding one video, as decoders, the watchdog and stages pass it on."""

from array import array
from dataclasses import dataclass, field

SIMILAR_FPS = 1.2  # ratio of the highest to the lowest frame rate up to which videos share a time scale


@dataclass(frozen=True)
class Decoded:
    """What was decoded of one video.

    Attributes:
        frames: number of frames; 0 if the video cannot be used.
        fps, width, height, reason, note: see `Outcome`.
    """

    frames: int = 0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    reason: str = ""
    note: str = ""

    @property
    def status(self) -> str:
        """See `Outcome.status`."""
        return _status(self.frames, self.reason)


@dataclass(frozen=True)
class Outcome:
    """What was stored of one video.

    Attributes:
        lengths: bytes of each stored JPEG frame, as 4-byte integers; empty if the video cannot be used.
        fps: frames per second: average of the file, or `frames.fps` if resampled; 0 if unknown or unusable.
        width, height: in which a player shows the video: turned as the file asks for, its pixels made square; 0 if the
            video cannot be used.
        reason: why the video cannot be used, or only in part; empty if it was decoded completely.
        note: what else is to be known of it; empty for most.
    """

    lengths: "array[int]" = field(default_factory=lambda: array("i"))
    fps: float = 0.0
    width: int = 0
    height: int = 0
    reason: str = ""
    note: str = ""

    @property
    def status(self) -> str:
        """`ok`, `truncated` (usable, but frames are missing) or `unreadable`."""
        return _status(len(self.lengths), self.reason)


def _status(frames: int, reason: str) -> str:
    if not frames:
        return "unreadable"
    return "truncated" if reason else "ok"
