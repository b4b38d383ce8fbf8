"""Decode one video file into small JPEG images, with OpenCV or, if OpenCV fails, with PyAV if it is installed.

Each frame is taken once, in display order; with a variable frame rate, frames are therefore not evenly spaced in time,
unless `frames.fps` asks to resample them (see resample.py). Frames are rotated as the file asks for. Decoding stops at
the first frame that cannot be decoded, and the frames after it are left out: training measures time by the number of
frames between two frames, and a lost frame would make that number wrong.

Shapes: H height, W width, C=3 colours (BGR).
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

from mofore.config import Frames
from mofore.frames.container import is_cut_off
from mofore.frames.outcome import Outcome
from mofore.frames.resample import TimeStampError, resample

if TYPE_CHECKING:
    from av.container import InputContainer

JPEG_MAX_SIDE = 65500  # pixels; libjpeg's limit
MAX_FAILED_FRAMES = 256  # consecutive frames that may fail before the video counts as ended
INSTALL_AV = "a second decoder may read it: pip install av"


class UndecodableError(Exception):
    """A decoder cannot decode any frame of a file; the message gives the reason."""


class DamagedFrameError(Exception):
    """A frame after the first decoded frame cannot be decoded, though the video has not ended."""


@dataclass
class OpenedVideo:
    """A video file that a decoder has opened.

    Attributes:
        frames: time stamp in seconds (not a number if unknown) and image, uint8 [H, W, C] BGR; the next image may
            overwrite the memory of the last. Raises DamagedFrameError at a frame that cannot be decoded, except before
            the first image.
        fps: average frames per second, from the file's header; 0 if unknown.
        header_frames: number of frames that the file's header gives, which may be wrong; 0 if unknown.
        codec: name of the codec, for messages.
    """

    frames: Iterator[tuple[float, MatLike]]
    fps: float
    header_frames: int
    codec: str


def configure_opencv() -> None:
    """Set up OpenCV and its FFmpeg for a worker process: no output on stderr, no network, one thread.

    One thread is enough, since the worker processes use all cores together.
    """
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # AV_LOG_QUIET; read when the first video is opened
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"  # a playlist could name any URL
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)


def decode_video(file: Path, out: BinaryIO, wanted: Frames, on_frame: Callable[[], None]) -> Outcome:
    """Append the frames of one video file to `out`, as JPEG images without gaps between them.

    Args:
        file: a path; it need not exist or be a video.
        out: open for writing.
        wanted: size, quality and frame rate of the stored frames.
        on_frame: called after each decoded and each stored frame.

    Returns:
        What was stored, with the reason if frames are missing.

    Raises:
        OSError: `out` cannot be written.
    """
    reason = _unreadable_reason(file)
    if reason:
        return Outcome(reason=reason)
    try:
        try:
            return _write_jpegs(file, _open_with_opencv(file), out, wanted, on_frame)
        except UndecodableError as opencv_error:
            try:
                return _write_jpegs(file, _open_with_pyav(file), out, wanted, on_frame)
            except ImportError:
                raise UndecodableError(f"{opencv_error}; {INSTALL_AV}") from None
    except UndecodableError as undecodable:
        return Outcome(reason=f"cut off: {undecodable}" if _is_cut_off(file) else str(undecodable))


def _unreadable_reason(file: Path) -> str:
    """Why a path is not a readable, non-empty file; an empty string if it is one."""
    try:
        mode = file.stat().st_mode  # before opening: opening a pipe waits until a process writes to it
        if not stat.S_ISREG(mode):
            return "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe, socket or device, not a file"
        with file.open("rb") as opened:
            return "" if opened.read(1) else "empty file, zero bytes"
    except OSError as error:
        return str(error.strerror)


def _write_jpegs(
    file: Path, video: OpenedVideo, out: BinaryIO, wanted: Frames, on_frame: Callable[[], None]
) -> Outcome:
    """Append the frames of an opened video to `out`; arguments as for `decode_video`.

    Raises:
        UndecodableError: no frame can be decoded.
        OSError: `out` cannot be written.
    """
    lengths = array("i")
    width = height = decoded = 0
    damaged = False
    size = (0, 0)
    reason = ""

    def counted_frames() -> Iterator[tuple[float, MatLike]]:
        nonlocal decoded, damaged
        try:
            for stamp, image in video.frames:
                decoded += 1
                on_frame()
                yield stamp, image
        except DamagedFrameError:  # ends the video here, so that resampling still stores its last frame
            damaged = True

    header_fps = video.fps if math.isfinite(video.fps) else 0.0
    if wanted.fps:
        images = resample(counted_frames(), wanted.fps, header_fps)
    else:
        images = (image for _, image in counted_frames())
    try:
        for image in images:
            if not lengths:
                height, width = image.shape[:2]
                scale = wanted.short_side / min(width, height)
                size = (round(width * scale), round(height * scale))
                if max(size) > JPEG_MAX_SIDE:
                    return Outcome(reason=f"too long and thin to store, {width}x{height}")
            _, jpeg = cv2.imencode(".jpg", resize(image, size), [cv2.IMWRITE_JPEG_QUALITY, wanted.jpeg_quality])
            out.write(jpeg.data)
            lengths.append(jpeg.size)
            on_frame()  # resampling may repeat a frame for minutes
        reason = _incomplete_reason(file, decoded, video.header_frames, damaged)
    except TimeStampError as error:
        reason = str(error)
    if not lengths:
        raise UndecodableError(reason if decoded and reason else f"no frame can be decoded (codec {video.codec})")
    return Outcome(lengths, wanted.fps or round(header_fps, 3), width, height, reason)


def _incomplete_reason(file: Path, decoded: int, header_frames: int, damaged: bool) -> str:
    """Why a video was not decoded completely; an empty string if it was.

    The frame count of the header alone is no evidence: it is often an estimate, and an edit list hides frames on
    purpose. So frames count as missing only if the file's structure shows that its end is missing, or if a frame failed
    while later frames could be decoded.
    """
    if decoded < header_frames and _is_cut_off(file):
        return f"cut off: {decoded} of {header_frames} frames decoded"
    if damaged:
        return (
            f"damaged: {decoded} of {header_frames} frames decoded"
            if decoded < header_frames
            else f"damaged after {decoded} frames"
        )
    return ""


def _is_cut_off(file: Path) -> bool:
    """`is_cut_off`, but False if the file cannot be read."""
    try:
        return is_cut_off(file)
    except OSError:
        return False


def _open_capture(file: Path, *parameters: int) -> cv2.VideoCapture:
    # FFmpeg never takes an absolute path for a URL. One thread: see configure_opencv.
    return cv2.VideoCapture(str(file.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1, *parameters])


def _open_with_opencv(file: Path) -> OpenedVideo:
    try:
        capture = _open_capture(file)
        if not capture.isOpened():
            raise UndecodableError("not a video, or sound only, or of a format that OpenCV cannot read")
        header_frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    except cv2.error as error:
        raise UndecodableError(f"OpenCV fails to open it: {error.err}") from None
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    codec = code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ") or "unknown"
    return OpenedVideo(_opencv_frames(capture), capture.get(cv2.CAP_PROP_FPS), max(0, int(header_frames)), codec)


def _opencv_frames(capture: cv2.VideoCapture) -> Iterator[tuple[float, MatLike]]:
    try:
        if not any(capture.grab() for _ in range(MAX_FAILED_FRAMES)):
            return
        decoded, image = capture.retrieve()
        while decoded:
            yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, image
            decoded, image = capture.read(image)  # reuses the memory of the last image
        if any(capture.grab() for _ in range(MAX_FAILED_FRAMES)):
            raise DamagedFrameError
    except cv2.error:
        raise DamagedFrameError from None  # for example, an image too large for the memory


def _open_with_pyav(file: Path) -> OpenedVideo:
    """Open a file with PyAV.

    Raises:
        UndecodableError: PyAV cannot read the file.
        ImportError: PyAV is not installed.
    """
    import av  # here, since it is optional and few files need it

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
    return OpenedVideo(_pyav_frames(container), fps, stream.frames or int(seconds * fps), stream.codec_context.name)


def _pyav_frames(container: "InputContainer") -> Iterator[tuple[float, MatLike]]:
    import av

    yielded = False
    with container:
        try:
            for packet in container.demux(video=0):
                try:
                    for frame in packet.decode():
                        yielded = True
                        image = np.rot90(frame.to_ndarray(format="bgr24"), frame.rotation // 90)
                        yield math.nan if frame.time is None else frame.time, np.ascontiguousarray(image)
                except av.FFmpegError:
                    if yielded:
                        raise DamagedFrameError from None
        except (av.FFmpegError, ValueError, MemoryError):
            raise DamagedFrameError from None


def resize(image: MatLike, size: tuple[int, int]) -> MatLike:
    """Resize an image: area averaging to shrink it, linear interpolation if a side grows.

    The image is first halved as often as possible. The result is nearly that of a single step, and it takes a half to a
    fifth of the time, since OpenCV has special code for halving.

    Args:
        image: uint8 [H, W, C].
        size: (width, height) of the result.

    Returns:
        uint8 [size[1], size[0], C].
    """
    height, width = image.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    grows = width < size[0] or height < size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA)
