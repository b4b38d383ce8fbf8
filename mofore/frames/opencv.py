"""Decodes a video with OpenCV, and notices when its decoder complains.

OpenCV hides what goes wrong: it gives a black or an old picture where it cannot convert a frame, and a repaired one
where the file is damaged. But the FFmpeg inside it writes a line to its log, which OpenCV prints to the standard
output. So this is read here, which costs nothing.
"""

import ctypes
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2

from mofore.frames.video import ComplaintError, OpenedVideo, Picture, UndecodableError, pixel_aspect

MAX_FAILED_FRAMES = 256  # consecutive frames at the start that may fail
GRABS_AFTER_END = 16  # if one succeeds, it was not the end: the frame before failed
FRAMES_PER_LOOK = 64  # into the log; its last look, after the last frame, is what counts
LOG_LEVEL = "16"  # AV_LOG_ERROR


def configure_opencv() -> None:
    """Set up OpenCV and its FFmpeg for a worker process: errors to the log, no network, one thread.

    One thread is enough, since the worker processes use all cores together.
    """
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = LOG_LEVEL  # read when the first video is opened
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"  # a playlist could name any URL
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)


class _Log:
    """Catches what C code prints to the standard output, between `__enter__` and `__exit__`."""

    def __enter__(self) -> "_Log":
        self._c = ctypes.CDLL(None)
        self._c.fflush(None)
        self._saved = os.dup(1)
        self._file = tempfile.TemporaryFile()
        os.dup2(self._file.fileno(), 1)
        return self

    def grew(self) -> bool:
        """Whether anything has been printed."""
        self._c.fflush(None)
        return os.fstat(self._file.fileno()).st_size > 0

    def __exit__(self, *_: object) -> None:
        self._c.fflush(None)
        os.dup2(self._saved, 1)
        os.close(self._saved)
        self._file.close()


def open_with_opencv(file: Path) -> OpenedVideo:
    """Open a video file with OpenCV, which decodes its first video stream and leaves its pictures unturned.

    `OpenedVideo.frames` raises ComplaintError if OpenCV skips a frame, or the decoder inside it has written to its log.

    Raises:
        UndecodableError: OpenCV cannot read the file.
        ComplaintError: it complains of it.
    """
    log = _Log()
    try:
        with log:
            # FFmpeg never takes an absolute path for a URL. One thread: see configure_opencv.
            capture = cv2.VideoCapture(str(file.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
            capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
            complained = log.grew()
        if not capture.isOpened():
            raise UndecodableError("not a video, or sound only, or of a format that OpenCV cannot read")
        if complained:
            raise ComplaintError
        header_frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    except cv2.error as error:
        raise UndecodableError(f"OpenCV fails to open it: {error.err}") from None
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    codec = code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ") or "unknown"
    fps = capture.get(cv2.CAP_PROP_FPS)
    aspect = pixel_aspect(capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN))
    fps = fps if math.isfinite(fps) else 0.0
    return OpenedVideo(_frames(capture), fps, max(0, int(header_frames)), codec, aspect)


def _frames(capture: cv2.VideoCapture) -> Iterator[tuple[float, Picture]]:
    with _Log() as log:
        try:
            if not any(capture.grab() for _ in range(MAX_FAILED_FRAMES)):
                return
            decoded, image = capture.retrieve()
            number = 0
            while decoded:
                number += 1
                if number % FRAMES_PER_LOOK == 0 and log.grew():
                    raise ComplaintError
                yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, image
                decoded, image = capture.read(image)  # reuses the memory of the last image
            if log.grew() or any(capture.grab() for _ in range(GRABS_AFTER_END)):
                raise ComplaintError
        except cv2.error:
            raise ComplaintError from None  # for example, an image too large for the memory
