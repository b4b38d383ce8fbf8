"""Read from a video file, before it is decoded, which stream to take, and how its pictures are turned.

PyAV tells what OpenCV does not: covers and further streams, mirrored pictures, interlacing, wide gamuts.
"""

import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.stream import VideoStream

from mofore.frames.container import may_be_turned
from mofore.frames.video import Facts, Turn, UndecodableError

DEFAULT_BONUS = 5_000_000  # pixels that a stream's flag "default" is worth when the `ffmpeg` command chooses a stream
USUAL_PRIMARIES = {0, 1, 2, 4, 5, 6, 7}  # of colours: unknown, HD and the SD ones; OpenCV changes the colours of others
HDR = {16, 18}  # transfer characteristics, PQ and HLG; OpenCV changes these, too
TURN_OF_ANGLE = {  # degrees, counter-clockwise
    90: Turn(True, flipped=True),
    180: Turn(False, mirrored=True, flipped=True),
    270: Turn(True, mirrored=True),
}
SILENT = {"hevc"}  # codecs whose decoder repairs damage without a line in its log, all that OpenCV would show of it
# So many zeros inside a packet are what an interrupted copy leaves: these codecs do not write them, but their decoders
# take them for pictures. Fewer, those at the end, and those before a start code may pad a packet.
WITHOUT_ZEROS = {"hevc", "vp8", "vp9"}
ZEROS_INSIDE = re.compile(rb"\0{32,}[^\0\x01]")
PROGRESSIVE = {0, 1}  # field orders: unknown, progressive
PACKETS_TO_FIRST_FRAME = 256


def open_container(file: Path, measures_rate: bool = True) -> InputContainer:
    """Open a video file with PyAV.

    Args:
        file: the file.
        measures_rate: whether the frame rate is measured where no header has it, which takes a fifth of the time.

    Raises:
        UndecodableError: PyAV cannot read it, or it has no video.
    """
    try:
        options = {"protocol_whitelist": "file"}  # a playlist could name any URL
        if not measures_rate:
            options["fpsprobesize"] = "0"
        container = av.open(str(file.absolute()), options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise UndecodableError("not a video, or of a format that neither OpenCV nor PyAV can read") from None
    if not container.streams.video:
        only = "sound only" if container.streams.audio else "nothing to decode"
        container.close()
        raise UndecodableError(f"no video stream, {only}")
    return container


def probe(file: Path, on_packet: Callable[[], None] = lambda: None, checks_packets: bool = True) -> Facts:
    """Read the facts of a video file. It is opened, and its first frame is decoded if it may be turned.

    Args:
        file: the file.
        on_packet: called after each packet that is read to look for damage.
        checks_packets: whether a file whose codec is one of WITHOUT_ZEROS is read to its end for damage, on which
            `suits_opencv` depends; that may take minutes.

    Raises:
        UndecodableError: PyAV cannot read it, or it has no video.
        OSError: the file cannot be read.
    """
    with open_container(file, measures_rate=False) as container:
        stream = best_stream(container)
        codec = stream.codec_context
        if codec is None:
            return Facts(stream.index)
        codec.thread_count = 1
        header_size = codec.width, codec.height
        progressive, primaries = codec.field_order in PROGRESSIVE, int(codec.color_primaries)
        is_hdr = int(codec.color_trc) in HDR
        turn = Turn()
        right_size = True  # OpenCV gives all pictures the size that the header has
        if (codec.name in ("mjpeg", "hevc") or may_be_turned(file)) and (first := _first_frame(container, stream)):
            turn = turn_of(first)
            right_size = (first.width, first.height) == header_size
            progressive, primaries = progressive and not first.interlaced_frame, int(first.color_primaries)
            is_hdr = is_hdr or int(first.color_trc) in HDR
        is_first = stream.index == container.streams.video[0].index
        usual_colours = primaries in USUAL_PRIMARIES and not is_hdr
        suits_opencv = is_first and right_size and progressive and usual_colours and codec.name not in SILENT
        if checks_packets and suits_opencv and codec.name in WITHOUT_ZEROS:
            suits_opencv = not has_damaged_packets(file, stream.index, on_packet)
        return Facts(stream.index, suits_opencv, turn, note_of(container, stream))


def wanted_stream(container: InputContainer, index: int | None) -> VideoStream:
    """The video stream with this index; None: the best one, see `best_stream`.

    Raises:
        UndecodableError: no decoder knows its codec.
    """
    stream = best_stream(container) if index is None else container.streams[index]
    if stream.codec_context is None:
        raise UndecodableError("of a codec that neither OpenCV nor PyAV knows")
    assert isinstance(stream, VideoStream)
    return stream


def best_stream(container: InputContainer) -> VideoStream:
    """The video stream that the `ffmpeg` command takes: no cover, if possible, then the largest picture.

    The flag "default" counts as much as DEFAULT_BONUS pixels. Of equals, the first. Unknown codecs are the last choice.
    """

    def score(stream: VideoStream) -> int:
        if stream.codec_context is None:
            return -1
        if stream.disposition & Disposition.attached_pic:
            return 1
        is_default = bool(stream.disposition & Disposition.default)
        return (stream.width or 0) * (stream.height or 0) + is_default * DEFAULT_BONUS

    return max(container.streams.video, key=score)


def note_of(container: InputContainer, chosen: VideoStream) -> str:
    """Which of several video streams was chosen, as "video stream 2 of 2, 320x240"; empty if there is only one."""
    streams = container.streams.video
    if len(streams) == 1:
        return ""
    place = [stream.index for stream in streams].index(chosen.index) + 1
    return f"video stream {place} of {len(streams)}, {chosen.width}x{chosen.height}"


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    try:
        for number, packet in enumerate(container.demux(stream)):
            for frame in packet.decode():
                return frame
            if number == PACKETS_TO_FIRST_FRAME:
                break
    except (av.FFmpegError, ValueError, MemoryError):
        pass  # decoding will give the reason
    return None


def has_zeros(packet: "Packet[VideoStream]", codec: str) -> bool:
    """Whether a packet has zeros inside that its codec does not write."""
    return codec in WITHOUT_ZEROS and ZEROS_INSIDE.search(bytes(packet)) is not None


def has_damaged_packets(file: Path, index: int | None, on_packet: Callable[[], None]) -> bool:
    """Whether packets of a stream cannot be read, or have zeros inside. They are read, but not decoded.

    Args:
        file: the file.
        index: of the stream; see `wanted_stream`.
        on_packet: called after each packet, since a long file takes minutes on a slow disk.

    Raises:
        UndecodableError: PyAV cannot read the file, or no decoder knows its codec.
    """
    with open_container(file) as container:
        stream = wanted_stream(container, index)
        try:
            for packet in container.demux(stream):
                on_packet()
                if has_zeros(packet, stream.codec_context.name):
                    return True
            return False
        except (av.FFmpegError, ValueError, MemoryError):
            return True


def turn_of(frame: VideoFrame) -> Turn:
    """How a frame is turned before it is shown, by its display matrix. Angles are rounded to quarter turns."""
    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload] # its stub is wrong
    except ValueError:  # PyAV does not know another kind of data of this frame
        return TURN_OF_ANGLE.get(frame.rotation % 360, Turn())
    if data is None:
        return Turn()
    # A pixel at (x, y) is shown at (a x + c y, b x + d y), up to a shift; x to the right, y down.
    (a, b, _), (c, d, _), _ = np.frombuffer(data, "<i4").reshape(3, 3).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(True, mirrored=c < 0, flipped=b < 0)
    return Turn(False, mirrored=a < 0, flipped=d < 0)
