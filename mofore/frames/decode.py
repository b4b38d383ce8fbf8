"""One video file into small JPEG images: by OpenCV, or where that cannot, by PyAV if it is installed.

Frames are taken as they are stored, each once, in the order in which they are shown; so with a variable frame rate
they are not evenly spaced in time. They are turned as the file says. Decoding ends at the first frame that cannot be
decoded: those after a hole are left out, for the number of frames between two frames is a measure of time.
"""

import math
import os
import stat
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from cv2.typing import MatLike

from mofore.frames.container import is_cut_off
from mofore.frames.outcome import Outcome

if TYPE_CHECKING:
    from av.container import InputContainer

JPEG_MAX_SIDE = 65500  # pixels; libjpeg's limit
PATIENCE = 256  # frames that may fail, one after the other, before this counts as the end
INSTALL_AV = "a second decoder may read it: pip install av"


class UndecodableError(Exception):
    """A decoder can do nothing with a file; the message is the reason."""


class HoleError(Exception):
    """A frame cannot be decoded, though the video goes on."""


@dataclass
class Decoding:
    """A video file as a decoder gives it.

    Attributes:
        images: uint8 [H, W, 3] BGR; each may be overwritten by the next. Raises HoleError where decoding fails, other
            than before the first image.
        fps: frames a second on average, by the file's header; 0 if unknown.
        promised: number of frames by the file's header, which may be wrong; 0 if unknown.
        codec: a name for messages.
    """

    images: Iterator[MatLike]
    fps: float
    promised: int
    codec: str


def quiet_and_single_threaded() -> None:
    """Keep OpenCV and its FFmpeg off stderr and off the network; one thread, since processes share the cores."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # AV_LOG_QUIET; read when the first video is opened
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"  # a playlist could name any address
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)


def decode_video(file: Path, out: BinaryIO, short_side: int, quality: int, alive: Callable[[], None]) -> Outcome:
    """Append the frames of one video file to `out`, as JPEG images back to back.

    Args:
        file: may be anything, or missing.
        out: open for writing.
        short_side: pixels of the images' shorter side.
        quality: of the JPEG images, 1-100.
        alive: called after each frame.

    Returns:
        What was stored; if nothing, or not all, with the reason.

    Raises:
        OSError: `out` cannot be written to.
    """
    reason = _unreadable(file)
    if reason:
        return Outcome(reason=reason)
    try:
        try:
            return _store(file, _by_opencv(file), out, short_side, quality, alive)
        except UndecodableError as first:
            try:
                return _store(file, _by_pyav(file), out, short_side, quality, alive)
            except ImportError:
                raise UndecodableError(f"{first}; {INSTALL_AV}") from None
    except UndecodableError as undecodable:
        cut = _missing(file)
        return Outcome(reason=f"cut off: {undecodable}" if cut else str(undecodable))


def _unreadable(file: Path) -> str:
    """Why a path leads to no file with something in it; empty if it does."""
    try:
        mode = file.stat().st_mode  # first, since opening a pipe waits for a writer
        if not stat.S_ISREG(mode):
            return "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe, socket or device, not a file"
        with file.open("rb") as opened:
            return "" if opened.read(1) else "empty file, zero bytes"
    except OSError as error:
        return str(error.strerror)


def _store(
    file: Path, decoding: Decoding, out: BinaryIO, short_side: int, quality: int, alive: Callable[[], None]
) -> Outcome:
    lengths = array("i")
    width = height = 0
    size = (0, 0)
    hole = False
    try:
        for image in decoding.images:
            if not lengths:
                height, width = image.shape[:2]
                scale = short_side / min(width, height)
                size = (round(width * scale), round(height * scale))
                if max(size) > JPEG_MAX_SIDE:
                    return Outcome(reason=f"too long and thin to store, {width}x{height}")
            _, jpeg = cv2.imencode(".jpg", resize(image, size), [cv2.IMWRITE_JPEG_QUALITY, quality])
            out.write(jpeg.data)
            lengths.append(jpeg.size)
            alive()
    except HoleError:
        hole = True
    if not lengths:
        raise UndecodableError(f"no frame can be decoded (codec {decoding.codec})")
    fps = round(decoding.fps, 3) if math.isfinite(decoding.fps) else 0.0
    return Outcome(lengths, fps, width, height, _incomplete(file, len(lengths), decoding.promised, hole))


def _incomplete(file: Path, decoded: int, promised: int, hole: bool) -> str:
    """Why a video is not all there; empty if it is.

    A header's count alone proves nothing: it is often an estimate, and an edit list hides frames on purpose. So a
    second witness is asked: the structure of the file, or a frame that failed while later ones can be had.
    """
    if decoded < promised and _missing(file):
        return f"cut off: {decoded} of {promised} frames decoded"
    if hole:
        return (
            f"damaged: {decoded} of {promised} frames decoded"
            if decoded < promised
            else f"damaged after {decoded} frames"
        )
    return ""


def _missing(file: Path) -> bool:
    try:
        return is_cut_off(file)
    except OSError:
        return False


def _capture(file: Path, *more: int) -> cv2.VideoCapture:
    # An absolute path cannot be taken for a URL. One thread: see quiet_and_single_threaded.
    return cv2.VideoCapture(str(file.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1, *more])


def _by_opencv(file: Path) -> Decoding:
    try:
        capture = _capture(file)
        if not capture.isOpened():
            raise UndecodableError("not a video, or sound only, or of a format that OpenCV cannot read")
        promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    except cv2.error as error:
        raise UndecodableError(f"OpenCV fails to open it: {error.err}") from None
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    codec = code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ") or "unknown"
    return Decoding(_opencv_images(capture), capture.get(cv2.CAP_PROP_FPS), max(0, int(promised)), codec)


def _opencv_images(capture: cv2.VideoCapture) -> Iterator[MatLike]:
    try:
        if not any(capture.grab() for _ in range(PATIENCE)):
            return
        more, image = capture.retrieve()
        while more:
            yield image
            more, image = capture.read(image)  # into the same memory
        if any(capture.grab() for _ in range(PATIENCE)):
            raise HoleError
    except cv2.error:
        raise HoleError from None  # too large for the memory, say


def _by_pyav(file: Path) -> Decoding:
    """Raises ImportError if PyAV is not installed."""
    import av  # an extra, and only few files need it

    try:
        container = av.open(str(file.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise UndecodableError("not a video, or of a format that neither OpenCV nor PyAV can read") from None
    if not container.streams.video:
        only = "sound only" if container.streams.audio else "nothing to decode"
        raise UndecodableError(f"no video stream, {only}")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise UndecodableError("of a codec that neither OpenCV nor PyAV knows")
    stream.codec_context.thread_count = 1
    seconds = (container.duration or 0) / av.time_base
    fps = float(stream.average_rate or 0)
    return Decoding(_pyav_images(container), fps, stream.frames or int(seconds * fps), stream.codec_context.name)


def _pyav_images(container: "InputContainer") -> Iterator[MatLike]:
    import av

    begun = False
    with container:
        try:
            for packet in container.demux(video=0):
                try:
                    for frame in packet.decode():
                        begun = True
                        yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="bgr24"), frame.rotation // 90))
                except av.FFmpegError:
                    if begun:
                        raise HoleError from None
        except (av.FFmpegError, ValueError, MemoryError):
            raise HoleError from None


def resize(image: MatLike, size: tuple[int, int]) -> MatLike:
    """Resize an image by averaging areas, or by linear interpolation where it grows.

    Halving as long as it goes gives nearly the same as one step, 2 to 5 times faster: OpenCV has special code for it.

    Args:
        image: uint8 [H, W, 3].
        size: width and height to make.
    """
    height, width = image.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    grows = width < size[0] or height < size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA)
