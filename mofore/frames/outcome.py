"""What became of one video, as decoders, supervisors and the stage hand it to each other."""

from array import array
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Extracted:
    """What became of one video.

    Attributes:
        lengths: bytes of each stored frame, 4 bytes an entry; empty if the video cannot be used.
        fps: frames a second on average, 0 if unknown or unusable.
        width, height: pixels of the frames as they are to be looked at (turned if the file says so); 0 if unusable.
        reason: why it cannot be used, or not as a whole; empty if all is well.
    """

    lengths: "array[int]" = field(default_factory=lambda: array("i"))
    fps: float = 0.0
    width: int = 0
    height: int = 0
    reason: str = ""

    @property
    def status(self) -> str:
        """`ok`, `truncated` (usable, but frames are missing) or `unreadable`."""
        if not self.lengths:
            return "unreadable"
        return "truncated" if self.reason else "ok"
