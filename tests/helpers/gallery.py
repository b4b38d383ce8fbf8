"""Makes video files of unusual kinds whose pictures are known: four coloured quarters, and a bar that moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

FRAMES = 20
SIZE = (192, 128)  # width, height
SAMPLES = 320  # of sound in a frame, at 8000 Hz
CORNERS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (225, 225, 225)}
Image = npt.NDArray[np.uint8]


@dataclass
class Video:
    """One video stream.

    Attributes:
        codec: FFmpeg's name of the encoder.
        size: width and height in pixels.
        pixels: pixel format.
        aspect: width of a pixel divided by its height.
        options: of the encoder.
        flags: of the encoder, by name: interlaced_dct, interlaced_me.
        matrix: display matrix, (a, b, c, d); a pixel at (x, y) is shown at (a x + c y, b x + d y).
        colour: colorspace, primaries and transfer characteristics, as FFmpeg numbers them.
        cover: whether it is a cover, with one frame.
        default: whether it has the flag "default".
        frames: number of frames.
        plain: gray instead of the picture.
        extradata: bytes of the header for the decoder; empty for those that the encoder makes.
    """

    codec: str = "libx264"
    size: tuple[int, int] = SIZE
    pixels: str = "yuv420p"
    aspect: Fraction = Fraction(1)
    options: dict[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    matrix: tuple[int, int, int, int] | None = None
    colour: tuple[int, int, int] | None = None
    cover: bool = False
    default: bool = True
    frames: int = FRAMES
    plain: bool = False
    extradata: bytes = b""


def picture(t: int, size: tuple[int, int] = SIZE) -> Image:
    """Frame `t`, RGB [H, W, 3]: red and green above, blue and white below; a black bar moves down between them."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    half_w, half_h = width // 2, height // 2
    image[:half_h, :half_w], image[:half_h, half_w:] = CORNERS["red"], CORNERS["green"]
    image[half_h:, :half_w], image[half_h:, half_w:] = CORNERS["blue"], CORNERS["white"]
    row = (2 + 2 * t) * height // 64
    image[row : row + height // 16, half_w - width // 8 : half_w + width // 8] = 0
    return image


def write_gallery_video(
    path: Path, *videos: Video, container: dict[str, str] | None = None, sound_first: bool = False
) -> Path:
    """Write a file with these streams, at 25 frames per second; before them, on request, a stream of silence.

    Skips the test if an encoder is missing.
    """
    with av.open(str(path), "w", options=container or {}) as file:
        sound = file.add_stream("pcm_s16le", rate=8000, layout="mono") if sound_first else None
        streams = [_add_stream(file, video) for video in videos]
        for t in range(max(video.frames for video in videos)):
            if sound:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, SAMPLES), np.int16), "s16", "mono")
                silence.sample_rate, silence.pts = 8000, t * SAMPLES
                for packet in sound.encode(silence):
                    file.mux(packet)
            for video, stream in zip(videos, streams, strict=True):
                if t < video.frames:
                    for packet in stream.encode(_frame(video, t)):
                        file.mux(packet)
        for stream in streams:
            for packet in stream.encode(None):
                file.mux(packet)
    return path


def _add_stream(file: Any, video: Video) -> Any:
    from av.stream import Disposition

    try:
        stream = file.add_stream(video.codec, rate=25, options=video.options)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"no encoder {video.codec}")
    stream.width, stream.height, stream.pix_fmt = *video.size, video.pixels
    stream.codec_context.sample_aspect_ratio = video.aspect
    if video.extradata:
        stream.codec_context.extradata = video.extradata
    for flag in video.flags:
        stream.codec_context.flags |= int(av.codec.context.Flags[flag])
    if video.matrix:
        a, b, c, d = (65536 * x for x in video.matrix)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
    if video.colour:
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = video.colour
        context.color_range = 1
    stream.disposition = Disposition.attached_pic if video.cover else Disposition.default if video.default else 0
    return stream


def _frame(video: Video, t: int) -> Any:
    image = np.full((video.size[1], video.size[0], 3), 128, np.uint8) if video.plain else picture(t, video.size)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame = frame.reformat(format=video.pixels, dst_colorspace=video.colour[0] if video.colour else None)
    frame.pts, frame.time_base = t, Fraction(1, 25)
    return frame
