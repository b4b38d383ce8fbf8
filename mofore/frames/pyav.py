"""Decodes a video with PyAV, which tells of each frame whether it is damaged.

Three things count as damage: a frame or packet that FFmpeg marks as corrupt, a frame that it cannot decode, and a line
that the decoder writes to its log at the level of errors. Some decoders only do one of these, others none, so zeros
inside a packet count as well.
"""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.logging import ERROR, Capture, get_level, get_skip_repeated, set_level, set_skip_repeated
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from cv2.typing import MatLike

from mofore.frames.probe import SILENT, has_zeros, open_container, wanted_stream
from mofore.frames.video import (
    DamagedFrameError,
    DamagedStartError,
    OpenedVideo,
    Picture,
    pixel_aspect,
)

MAX_FPS = 1000  # a higher rate in a header is an error
REPAIRS_WELL = {"h264", "mpeg4"}  # their decoders mark what they have repaired; others stop at an error to show it
# How lines begin that do not touch the picture: a bad list of old pictures, a message of a camera that breaks off, a
# bad copy of a header, since other lines follow if a header that is needed is bad.
HARMLESS = (
    *("mmco: unref short failure", "co located POCs unavailable"),
    *("SEI type", "Overread VUI", "pps_id", "sps_id"),
)
# Of H.265, whose strict decoder rejects a picture with a bad message.
WITHOUT_MESSAGES = "hevc_mp4toannexb,filter_units=remove_types=39-40"


def to_bgr(frame: VideoFrame) -> MatLike:
    """A frame as an image."""
    image: MatLike = frame.reformat(format="bgr24", threads=1).to_ndarray()
    return image


def open_with_pyav(file: Path, index: int | None, strict: bool = True) -> OpenedVideo:
    """Open a stream of a video file with PyAV.

    Args:
        file: the file.
        index: of the stream; see `wanted_stream`.
        strict: False: only frames that are marked as corrupt or cannot be decoded count as damaged. For files of which
            a strict decoder rejects each frame, for a flaw that does not touch the picture.

    Raises:
        UndecodableError: PyAV cannot read the file, or no decoder knows its codec.
    """
    container = open_container(file)
    return open_stream(container, wanted_stream(container, index), strict)


def open_stream(
    container: InputContainer,
    stream: VideoStream,
    strict: bool = True,
    picture: Callable[[VideoFrame], Picture] = to_bgr,
) -> OpenedVideo:
    """Prepare to decode a stream of a container that PyAV has opened; the rest as for `open_with_pyav`.

    Args:
        picture: makes a picture of a frame; its errors pass through.
    """
    stream.codec_context.thread_count = 1
    if strict and stream.codec_context.name not in REPAIRS_WELL:
        stream.codec_context.options = {"err_detect": "explode"}
    seconds = (container.duration or 0) / av.time_base
    fps = float(stream.average_rate or 0)
    if not 0 < fps <= MAX_FPS:  # of raw streams
        fps = float(stream.guessed_rate or 0)
    frames = _frames(container, stream, strict, picture)
    aspect = pixel_aspect(float(stream.sample_aspect_ratio or 1), 1)
    return OpenedVideo(frames, fps, stream.frames or int(seconds * fps), stream.codec_context.name, aspect)


def _frames(
    container: InputContainer, stream: VideoStream, strict: bool, picture: Callable[[VideoFrame], Picture]
) -> Iterator[tuple[float, Picture]]:
    before = get_level(), get_skip_repeated()
    set_level(ERROR)
    set_skip_repeated(False)  # or the log would lack a line that another file had last
    seconds_per_tick = stream.time_base or Fraction(0)
    codec, yielded = stream.codec_context.name, False
    # At the place where two transport streams were joined, a sound packet is marked as corrupt.
    may_be_joined = container.format.name == "mpegts" and codec not in SILENT
    decode = _decoder_without_messages(stream) if codec == "hevc" else stream.decode
    start: float | None = -math.inf  # time stamp from which frames are good; None: that of the next key frame
    try:
        with container, Capture() as log:
            for packet in container.demux(stream):
                damaged = has_zeros(packet, codec) or (packet.is_corrupt and not may_be_joined)
                try:
                    frames = decode(packet)
                except av.FFmpegError:
                    frames, damaged = [], True
                damaged |= strict and any(not message.startswith(HARMLESS) for _, _, message in log)
                log.clear()
                for frame in frames:
                    damaged |= frame.is_corrupt
                    if damaged or start is None or (frame.pts or 0) < start:
                        continue
                    yielded = True
                    yield math.nan if frame.pts is None else float(frame.pts * seconds_per_tick), picture(frame)
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


def _decoder_without_messages(stream: VideoStream) -> Callable[["Packet[VideoStream]"], list[VideoFrame]]:
    """Decodes packets of H.265 without their supplemental messages."""
    without_messages = BitStreamFilterContext(WITHOUT_MESSAGES, stream)
    decoder = VideoCodecContext.create("hevc", "r")  # the stream's own reads packets as they were before the filter
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count, decoder.options = 1, stream.codec_context.options

    def decode(packet: "Packet[VideoStream]") -> list[VideoFrame]:
        if not packet.size:  # the last one, which makes the decoder give its last frames
            return decoder.decode(None)
        return [frame for part in without_messages.filter(packet) for frame in decoder.decode(part)]

    return decode
