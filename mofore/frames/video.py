"""What is known of a video before it is decoded, and what a decoder gives: its frames, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from cv2.typing import MatLike

MAX_PIXEL_ASPECT = 8.0  # a more extreme shape of pixels is an error of the file


class UndecodableError(Exception):
    """A decoder cannot decode any frame of a file; the message gives the reason."""


@dataclass(frozen=True)
class Turn:
    """How a picture is turned before it is shown: first transposed, then mirrored.

    Attributes:
        transposed: rows become columns.
        mirrored: left and right are exchanged.
        flipped: top and bottom are exchanged.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def __call__(self, image: MatLike) -> MatLike:
        """Turn an image [H, W, C]."""
        if not (self.transposed or self.mirrored or self.flipped):
            return image
        turned = image.swapaxes(0, 1) if self.transposed else image
        return np.ascontiguousarray(turned[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1])


@dataclass(frozen=True)
class Facts:
    """What is known of a video before it is decoded.

    Attributes:
        stream: index of the stream to decode, in its file; None: its best video stream, see `probe.best_stream`.
        note: which stream it is, if there are several.
        suits_opencv: whether OpenCV takes this stream, and gives its pictures as they are.
        turn: how its pictures are turned before they are shown.
    """

    stream: int | None = None
    suits_opencv: bool = True
    turn: Turn = Turn()
    note: str = ""


class DamagedFrameError(Exception):
    """A frame cannot be decoded, or is damaged, though the video has not ended."""


class DamagedStartError(Exception):
    """Raised after the last frame: frames before the first good one are damaged, and were left out."""


class ComplaintError(Exception):
    """What a decoder gives cannot be trusted, or is none of what it was asked for: another one should be tried."""


class Shrinkable(Protocol):
    """A picture that becomes an image only when it is shrunk; see `planes.Planes`."""

    shape: tuple[int, int, int]

    def copy(self) -> "Shrinkable": ...

    def shrunk(self, size: tuple[int, int]) -> MatLike: ...


Picture = MatLike | Shrinkable  # an image is uint8 [H, W, C=3], BGR


@dataclass
class OpenedVideo:
    """A video file that a decoder has opened.

    Attributes:
        frames: time stamp in seconds (not a number if unknown) and picture, as coded, not turned; the next one may
            overwrite the memory of the last. Raises DamagedFrameError at a frame that is damaged, except before the
            first picture: see DamagedStartError.
        fps: average frames per second, from the file's header; 0 if unknown.
        header_frames: number of frames that the file's header gives, which may be wrong; 0 if unknown.
        codec: name of the codec, for messages.
        pixel_aspect: width of a pixel divided by its height.
    """

    frames: Iterator[tuple[float, Picture]]
    fps: float
    header_frames: int
    codec: str
    pixel_aspect: float


def pixel_aspect(width: float, height: float) -> float:
    """Shape of a pixel as a file gives it, width by height; 1 if it gives none, or one that cannot be."""
    aspect = width / height if height else 1.0
    return aspect if 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT else 1.0
