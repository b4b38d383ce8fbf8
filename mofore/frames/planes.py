"""Pictures as decoders have them: brightness and two colours as planes, which are shrunk before they become BGR.

To convert whole pictures and then shrink them takes two thirds of the time that decoding takes. The planes have half as
many values, as most videos store colours at half the size, and what is converted then is small. The result differs from
that of the other order by rounding, and by where between pixels colours lie.

Shapes: H height, W width, C=3 colours (BGR).
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from av import VideoFrame
from cv2.typing import MatLike

from mofore.frames.probe import note_of, open_container, turn_of, wanted_stream
from mofore.frames.pyav import open_stream
from mofore.frames.shrink import halve, resize
from mofore.frames.video import (
    ComplaintError,
    DamagedFrameError,
    DamagedStartError,
    Facts,
    OpenedVideo,
    Picture,
    Turn,
    UndecodableError,
)

PLANAR = {f"yuv{full_range}{colours}p" for full_range in ("", "j") for colours in ("420", "422", "444")}
FULL_RANGE = 2  # as FFmpeg numbers ranges
WEIGHTS = {  # shares of red and of blue in brightness, by FFmpeg's number of the colour space (ITU-T H.273, table 4)
    1: (0.2126, 0.0722),  # BT.709
    2: (0.299, 0.114),  # unknown, which is taken for BT.601
    5: (0.299, 0.114),  # BT.601
    6: (0.299, 0.114),
}


class Planes:
    """A picture that has the shape of an image, but not yet its values; see `video.Shrinkable`."""

    def __init__(self, frame: VideoFrame) -> None:
        """Take a frame with planes of 8 bits.

        Raises:
            ComplaintError: its format is none of PLANAR, its colour space none of WEIGHTS, or its lines are stored from
                bottom to top.
        """
        if frame.format.name not in PLANAR or int(frame.colorspace) not in WEIGHTS:
            raise ComplaintError
        if any(plane.line_size < plane.width for plane in frame.planes):
            raise ComplaintError
        self._frame = frame
        self.shape = frame.height, frame.width, 3

    @property
    def turn(self) -> Turn:
        """How it is turned before it is shown."""
        return turn_of(self._frame)

    def copy(self) -> "Planes":
        """The same picture: no decoder overwrites its memory."""
        return self

    def shrunk(self, size: tuple[int, int]) -> MatLike:
        """The image with this width and height: uint8 [H, W, C]."""
        planes = [
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            for plane in self._frame.planes
        ]
        halved = [halve(plane, size) for plane in planes]
        if len({plane.shape for plane in halved}) == 1:  # what is left is done for the three at once
            yuv_HWC = resize(cv2.merge(halved), size)
        else:
            yuv_HWC = cv2.merge([resize(plane, size) for plane in halved])
        full_range = self._frame.format.name.startswith("yuvj") or int(self._frame.color_range) == FULL_RANGE
        return cv2.transform(yuv_HWC, _bgr_of_yuv(int(self._frame.colorspace), full_range))


@lru_cache
def _bgr_of_yuv(colour_space: int, full_range: bool) -> npt.NDArray[np.float32]:
    """The matrix [C, 4] that makes B, G and R of Y, U, V and 1."""
    red, blue = WEIGHTS[colour_space]
    green = 1 - red - blue
    from_u, from_v = 2 * (1 - blue), 2 * (1 - red)
    matrix = np.array([[1, from_u, 0], [1, -blue * from_u / green, -red * from_v / green], [1, 0, from_v]]) * (
        [1, 1, 1] if full_range else [255 / 219, 255 / 224, 255 / 224]
    )
    zero = [0 if full_range else 16, 128, 128]
    return np.column_stack([matrix, -matrix @ zero]).astype(np.float32)


def open_planes(file: Path) -> tuple[OpenedVideo, Facts]:
    """Open a video file with PyAV, for pictures whose planes are not converted, and decode the first one.

    It tells how pictures are turned, so the file is opened only once.

    `OpenedVideo.frames` raises ComplaintError instead of the errors of damage, for pictures of other kinds, and if time
    stamps do not rise, as those of AVI files with B-frames.

    Raises:
        UndecodableError: PyAV cannot read the file, or finds no picture in it.
        ComplaintError: see above.
    """
    container = open_container(file)
    stream = wanted_stream(container, None)
    note = note_of(container, stream)
    video = open_stream(container, stream, picture=Planes)
    frames = _whole(video.frames)
    first = next(frames, None)
    if first is None:
        raise UndecodableError("no frame can be decoded")
    _, picture = first
    return replace(video, frames=chain([first], frames)), Facts(stream.index, turn=picture.turn, note=note)


def _whole(frames: Iterator[tuple[float, Picture]]) -> Iterator[tuple[float, Planes]]:
    last = -math.inf
    try:
        for stamp, picture in frames:
            if not stamp > last:
                raise ComplaintError
            last = stamp
            assert isinstance(picture, Planes)
            yield stamp, picture
    except (DamagedFrameError, DamagedStartError):
        raise ComplaintError from None
