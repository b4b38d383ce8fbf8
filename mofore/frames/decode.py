"""Decode one video file into small images: with OpenCV where its pictures are right, otherwise with PyAV.

Each frame is taken once, in display order; with a variable frame rate, frames are therefore not evenly spaced in time,
unless `frames.fps` asks to resample them (see resample.py). Frames have the shape and direction in which a player shows
them. Decoding stops at the first frame that cannot be decoded or is damaged, and the frames after it are left out:
training measures time by the number of frames between two frames, and a lost frame would make that number wrong.

Shapes: H height, W width, C=3 colours (BGR).
"""

import stat
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import cv2
import numpy as np
from cv2.typing import MatLike

from mofore.config import Frames
from mofore.frames.avi import frames_before_a_break, is_plain_avi
from mofore.frames.container import ends_in_zeros, ends_within_a_packet, is_cut_off, is_fragmented
from mofore.frames.opencv import open_with_opencv
from mofore.frames.outcome import Decoded, Outcome
from mofore.frames.planes import open_planes
from mofore.frames.probe import has_damaged_packets, probe
from mofore.frames.pyav import open_with_pyav
from mofore.frames.resample import TimeStampError, resample
from mofore.frames.shrink import resize
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

JPEG_MAX_SIDE = 65500  # pixels; libjpeg's limit
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class FrameSink(Protocol):
    """Takes the frames of one video, in display order."""

    def start(self, fps: float, header_frames: int) -> float:
        """Begin with the first frame. If another decoder has been tried before, forget what it gave.

        Args:
            fps, header_frames: see `OpenedVideo`.

        Returns:
            Frames per second to resample the video to; 0 for frames as they are.
        """

    def add(self, seconds: float, image: MatLike) -> None:
        """Take a frame.

        Args:
            seconds: its time stamp; from the first frame on if resampled; not a number if unknown.
            image: uint8 [H, W, C], as a player shows it, but small. Its memory is not used again.
        """

    def keep(self, frames: int) -> None:
        """Forget all but the first `frames` frames: those after them turned out to be wrong. Called at the end."""


class JpegSink:
    """Appends frames to a file, as JPEG images without gaps between them.

    Attributes:
        lengths: bytes of each image.
    """

    def __init__(self, out: BinaryIO, wanted: Frames) -> None:
        self.lengths = array("i")
        self._out, self._wanted, self._start = out, wanted, out.tell()

    def start(self, fps: float, header_frames: int) -> float:
        self.keep(0)
        return self._wanted.fps

    def add(self, seconds: float, image: MatLike) -> None:
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._wanted.jpeg_quality])
        self._out.write(jpeg.data)
        self.lengths.append(jpeg.size)

    def keep(self, frames: int) -> None:
        self.lengths = self.lengths[:frames]
        self._out.seek(self._start + sum(self.lengths))
        self._out.truncate()


def decode_video(file: Path, out: BinaryIO, wanted: Frames, on_frame: Callable[[], None]) -> Outcome:
    """Append the frames of one video file to `out`, as JPEG images without gaps between them.

    Args:
        file: a path; it need not exist or be a video.
        out: open for writing, at its end.
        wanted: size, quality and frame rate of the stored frames.
        on_frame: called often, see `decode_frames`.

    Returns:
        What was stored, with the reason if frames are missing.

    Raises:
        OSError: `out` cannot be written.
    """
    sink = JpegSink(out, wanted)
    found = decode_frames(file, sink, wanted.short_side, on_frame)
    if not found.frames:
        sink.keep(0)  # what a decoder gave that failed later
        return Outcome(reason=found.reason)
    return Outcome(sink.lengths, found.fps, found.width, found.height, found.reason, found.note)


def decode_frames(
    file: Path, sink: FrameSink, short_side: int, on_frame: Callable[[], None], by_planes: bool = False
) -> Decoded:
    """Give the frames of one video file, shrunk, to a sink.

    Args:
        file: a path; it need not exist or be a video.
        sink: takes the frames.
        short_side: of the images, in pixels; the aspect ratio is that in which a player shows them.
        on_frame: called after each decoded frame, each that was given to the sink, and each packet that was read only.
        by_planes: where that can be done, shrink pictures before their colours are converted (see planes.py), which
            takes less time. Values differ a little from those that `frames` stores.

    Returns:
        What was decoded, with the reason if frames are missing. Errors of the sink pass through.
    """
    reason = _unreadable_reason(file)
    if reason:
        return Decoded(reason=reason)
    try:
        if by_planes:
            with suppress(UndecodableError, ComplaintError):
                return _give(file, *open_planes(file), sink, short_side, on_frame)
        facts = _facts(file, on_frame)
        if facts.suits_opencv:
            with suppress(UndecodableError, ComplaintError):
                return _give(file, open_with_opencv(file), facts, sink, short_side, on_frame)
        video = open_with_pyav(file, facts.stream)
        try:
            return _give(file, video, facts, sink, short_side, on_frame)
        except UndecodableError:
            if video.codec != "mjpeg":  # whose frames do not depend on each other
                raise
            video = open_with_pyav(file, facts.stream, strict=False)
            return _give(file, video, facts, sink, short_side, on_frame)
    except UndecodableError as undecodable:
        return Decoded(reason=f"cut off: {undecodable}" if _shows(is_cut_off, file) else str(undecodable))


def _facts(file: Path, on_frame: Callable[[], None]) -> Facts:
    """What is known of a file before it is decoded; what is usual, if PyAV cannot read it."""
    try:
        if is_plain_avi(file):
            return Facts()
        return probe(file, on_frame)
    except (UndecodableError, OSError):
        return Facts()  # OpenCV may read it all the same


def _unreadable_reason(file: Path) -> str:
    """Why a path is not a readable, non-empty file; an empty string if it is one."""
    try:
        mode = file.stat().st_mode  # before opening: opening a pipe waits until a process writes to it
        if not stat.S_ISREG(mode):
            return "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe, socket or device, not a file"
        with file.open("rb") as opened:
            head = opened.read(len(LFS_POINTER))
        if head == LFS_POINTER:
            return "a Git LFS pointer, not the video itself: run `git lfs pull`"
        if head.startswith(b"ffconcat version"):
            return "a list of other files, not a video itself"
        return "" if head else "empty file, zero bytes"
    except OSError as error:
        return str(error.strerror)


def _give(
    file: Path, video: OpenedVideo, facts: Facts, sink: FrameSink, short_side: int, on_frame: Callable[[], None]
) -> Decoded:
    """Give the frames of an opened video to the sink; arguments as for `decode_frames`.

    Raises:
        UndecodableError: no frame can be decoded.
        ComplaintError: its frames cannot be trusted.
    """
    rate = sink.start(video.fps, video.header_frames)
    width = height = decoded = given = 0
    damage = reason = ""
    size = (0, 0)  # of the small images before they are turned

    def counted_frames() -> Iterator[tuple[float, Picture]]:
        nonlocal decoded, damage
        try:
            for stamp, image in video.frames:
                decoded += 1
                on_frame()
                yield stamp, image
        except DamagedFrameError:  # ends the video here, so that resampling still gives its last frame
            damage = "damaged"
        except DamagedStartError:
            damage = "damaged at its start, which was left out"

    frames = counted_frames()
    if rate:
        frames = ((number / rate, image) for number, image in enumerate(resample(frames, rate, video.fps)))
    try:
        for stamp, image in frames:
            if not given:
                size = stored_size(image, video.pixel_aspect, short_side)
                width, height = shown_size(image, video.pixel_aspect, facts.turn)
                if max(size) > JPEG_MAX_SIDE:
                    return Decoded(reason=f"too long and thin to store, {width}x{height}")
            small = resize(image, size) if isinstance(image, np.ndarray) else image.shrunk(size)
            sink.add(stamp, facts.turn(small))
            given += 1
            on_frame()  # resampling may repeat a frame for minutes
        if not damage and decoded < video.header_frames and _has_damaged_packets(file, facts.stream, on_frame):
            damage = "damaged"
        reason = _incomplete_reason(file, decoded, video.header_frames, damage)
        sound = _frames_before_a_break(file, on_frame) if not reason and decoded < video.header_frames else None
        if sound is not None:
            reason = f"damaged: {sound} of {video.header_frames} frames decoded"
            given = min(given, int(sound * rate / video.fps) if rate and video.fps else sound)
            sink.keep(given)
    except TimeStampError as error:
        reason = str(error)
    if not given:
        raise UndecodableError(reason if decoded and reason else f"no frame can be decoded (codec {video.codec})")
    return Decoded(given, rate or round(video.fps, 3), width, height, reason, facts.note)


def shown_size(image: Picture, pixel_aspect: float, turn: Turn) -> tuple[int, int]:
    """Width and height in which a player shows an image [H, W, C]; a wide pixel makes it wider, not less high."""
    height, width = image.shape[:2]
    shown = max(1, round(width * pixel_aspect)), height
    return shown[::-1] if turn.transposed else shown


def stored_size(image: Picture, pixel_aspect: float, short_side: int) -> tuple[int, int]:
    """Width and height of a stored image before it is turned; the shorter one is `short_side`."""
    height, width = image.shape[0], image.shape[1] * pixel_aspect
    scale = short_side / min(width, height)
    return round(width * scale), round(height * scale)


def _incomplete_reason(file: Path, decoded: int, header_frames: int, damage: str) -> str:
    """Why a video was not decoded completely; an empty string if it was.

    The frame count of the header alone is no evidence: it is often an estimate, and an edit list hides frames on
    purpose. So frames count as missing only if the file's structure shows that its end is missing or overwritten, or if
    a frame is damaged.
    """
    missing = decoded < header_frames
    suspicious = missing or not header_frames or _shows(is_fragmented, file)
    if suspicious and _shows(is_cut_off, file):
        what = "cut off"
    elif suspicious and _shows(ends_in_zeros, file):
        what = "its end is zeros"
    elif _shows(ends_within_a_packet, file):
        what = "cut off"
    elif damage:
        what = damage
    else:
        return ""
    return f"{what}: {decoded} of {header_frames} frames decoded" if missing else f"{what}: {decoded} frames decoded"


def _has_damaged_packets(file: Path, stream: int | None, on_frame: Callable[[], None]) -> bool:
    try:
        return has_damaged_packets(file, stream, on_frame)
    except UndecodableError:
        return False


def _frames_before_a_break(file: Path, on_frame: Callable[[], None]) -> int | None:
    try:
        return frames_before_a_break(file, on_frame)
    except OSError:
        return None


def _shows(sign: Callable[[Path], bool], file: Path) -> bool:
    """Whether a file shows this sign; False if it cannot be read any more."""
    try:
        return sign(file)
    except OSError:
        return False
