"""The result of decoding one video, as the decoder, the watchdog and the stage pass it on."""

from array import array
from dataclasses import dataclass, field

SIMILAR_FPS = 1.2  # ratio of the highest to the lowest frame rate up to which videos share a time scale


@dataclass(frozen=True)
class Outcome:
    """The result of decoding one video.

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
        if not self.lengths:
            return "unreadable"
        return "truncated" if self.reason else "ok"
