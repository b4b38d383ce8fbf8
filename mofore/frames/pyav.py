"""Decodes a video with PyAV, which tells of each frame whether it is damaged.

Three things count as damage: a frame or packet that FFmpeg marks as corrupt, a frame that it cannot decode, and a line
that the decoder writes to its log at the level of errors. Some decoders only do one of these. The one of H.265 often
does none, so zeros inside its packets count as well: the standard forbids them.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.logging import ERROR, Capture, get_level, get_skip_repeated, set_level, set_skip_repeated
from av.video.stream import VideoStream
from cv2.typing import MatLike

from mofore.frames.probe import open_container
from mofore.frames.video import DamagedFrameError, DamagedStartError, OpenedVideo, UndecodableError, pixel_aspect

MAX_FPS = 1000  # a higher rate in a header is an error
REPAIRS_WELL = {"h264", "mpeg4"}  # their decoders mark what they have repaired; others must stop at an error to show it
HARMLESS = ("mmco: unref short failure", "co located POCs unavailable")  # a bad list of old pictures, in sound files

# In a packet of H.265: so many zeros without a start code after them are what an interrupted copy leaves. Fewer, and
# those at the end of a packet, may pad it.
ZEROS_INSIDE = re.compile(rb"\0{32,}[^\0\x01]")


def open_with_pyav(file: Path, index: int, strict: bool = True) -> OpenedVideo:
    """Open a stream of a video file with PyAV.

    Args:
        file: the file.
        index: of the stream; that of a video.
        strict: False: only frames that are marked as corrupt or cannot be decoded count as damaged. For files of which
            a strict decoder rejects each frame, for a flaw that does not touch the picture.

    Raises:
        UndecodableError: PyAV cannot read the file.
    """
    container = open_container(file)
    stream = container.streams[index]
    if stream.codec_context is None:
        raise UndecodableError("of a codec that neither OpenCV nor PyAV knows")
    assert isinstance(stream, av.VideoStream)
    stream.codec_context.thread_count = 1
    if strict and stream.codec_context.name not in REPAIRS_WELL:
        stream.codec_context.options = {"err_detect": "explode"}
    seconds = (container.duration or 0) / av.time_base
    fps = float(stream.average_rate or 0)
    if not 0 < fps <= MAX_FPS:  # of raw streams
        fps = float(stream.guessed_rate or 0)
    frames = _frames(container, stream, strict)
    aspect = pixel_aspect(float(stream.sample_aspect_ratio or 1), 1)
    return OpenedVideo(frames, fps, stream.frames or int(seconds * fps), stream.codec_context.name, aspect)


def _frames(container: InputContainer, stream: VideoStream, strict: bool) -> Iterator[tuple[float, MatLike]]:
    before = get_level(), get_skip_repeated()
    set_level(ERROR)
    set_skip_repeated(False)  # or the log would lack a line that another file had last
    is_hevc, yielded = stream.codec_context.name == "hevc", False
    start: float | None = -math.inf  # time stamp from which frames are good; None: that of the next key frame
    try:
        with container, Capture() as log:
            for packet in container.demux(stream):
                damaged = packet.is_corrupt or (is_hevc and ZEROS_INSIDE.search(bytes(packet)) is not None)
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    frames, damaged = [], True
                damaged |= strict and any(not message.startswith(HARMLESS) for _, _, message in log)
                log.clear()
                for frame in frames:
                    damaged |= frame.is_corrupt
                    if damaged or start is None or (frame.pts or 0) < start:
                        continue
                    yielded = True
                    image: MatLike = frame.reformat(format="bgr24", threads=1).to_ndarray()
                    yield math.nan if frame.time is None else frame.time, image
                if damaged and yielded:
                    raise DamagedFrameError
                if damaged:  # a stream that was joined late, or whose start is damaged
                    start = None
                elif start is None and packet.is_keyframe:
                    start = packet.pts or 0
        if start != -math.inf:
            raise DamagedStartError
    except (av.FFmpegError, ValueError, MemoryError):
        raise DamagedFrameError from None
    finally:
        set_level(before[0])
        set_skip_repeated(before[1])
