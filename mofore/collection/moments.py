"""Read the pictures of a moment of a video file, as a player shows them: small, upright, at a constant rate.

Reading starts at the key frame before the moment, so a moment near the end of ten hours takes no longer than one at
the start. This is for pages that show what was found: frames for an encoder are decoded by `mofore.frames.decode`,
which reads from the start and checks for damage.

Shapes: H height, W width, C=3 colours (RGB).
"""

import math
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av import VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from mofore.collection.reasons import first_line
from mofore.errors import UserError
from mofore.frames.probe import open_container, probe, wanted_stream
from mofore.frames.resample import TimeStampError, resample
from mofore.frames.video import Turn, UndecodableError, pixel_aspect

FrameArray = npt.NDArray[np.uint8]
# Seconds before the moment from which the key frame is looked for. Some formats only guess where a time is in the file,
# and may find a place after the moment; then the next one is tried, at last the start of the file.
RUN_UPS = (0.0, 15.0, math.inf)
LATE = 0.1  # seconds by which the first picture may come after the start of the moment
LAST = 1.0  # seconds for which the last picture of a video is shown
USUAL_FPS = 25.0


def read_moment(file: Path, start_s: float, end_s: float, rate: float = 8, height: int = 96) -> list[FrameArray]:
    """The pictures of a moment: what a viewer sees at `start_s`, 1 / rate later, and so on until `end_s`.

    Args:
        file: the video file.
        start_s: in seconds from the first frame, at least 0.
        end_s: likewise, later than `start_s`.
        rate: pictures a second. Where the video has fewer, they are repeated.
        height: of the pictures in pixels, at most; they are never enlarged.

    Returns:
        At least one picture, uint8 [H, W, C], all of one size. Fewer than asked for where the video ends.

    Raises:
        UserError: the file is gone or cannot be read, or has no picture at that time.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file: if it was moved, run `mofore embed` on it again")
    try:
        facts = probe(file, checks_packets=False)  # or VP9 would be read to its end
        for run_up in RUN_UPS:
            with open_container(file) as container:
                stream = wanted_stream(container, facts.stream)
                small = _Shrink(facts.turn, pixel_aspect(float(stream.sample_aspect_ratio or 1), 1), height)
                shown = _frames_of(_decoded(container, stream, start_s, run_up), start_s, end_s, small)
            if shown:
                return _at_rate(shown, max(1, round((end_s - start_s) * rate)), rate)
            if shown is not None:
                break
    except UndecodableError as error:
        raise UserError(f"{file}: {error}") from None
    except Exception as error:  # of a decoder, of any kind
        reason = error.strerror if isinstance(error, av.FFmpegError | OSError) else first_line(error)
        raise UserError(f"{file}: cannot be read: {reason}") from None
    raise UserError(f"{file}: has no picture from {start_s:.1f} to {end_s:.1f} s: run `mofore embed` on it again")


class _Shrink:
    """Makes of a frame the small picture that is shown, of the same size for all frames of a file."""

    def __init__(self, turn: Turn, pixel_aspect: float, height: int) -> None:
        self.turn, self.pixel_aspect, self.height = turn, pixel_aspect, height
        self.size: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame) -> FrameArray:
        if self.size is None:
            width, height = frame.width * self.pixel_aspect, float(frame.height)
            scale = min(1.0, self.height / (width if self.turn.transposed else height))
            self.size = max(1, round(width * scale)), max(1, round(height * scale))
        small = frame.reformat(width=self.size[0], height=self.size[1], format="rgb24")
        return np.asarray(self.turn(small.to_ndarray()), np.uint8)


def _frames_of(
    decoded: Iterator[tuple[float, VideoFrame]], start_s: float, end_s: float, small: _Shrink
) -> list[tuple[float, FrameArray]] | None:
    """Time and picture of the frames that a viewer sees in a moment; None if decoding began after its start."""
    shown: list[tuple[float, FrameArray]] = []
    before: tuple[float, VideoFrame] | None = None  # the last frame until `start_s`; others need not be shrunk
    for seconds, frame in decoded:
        if seconds <= start_s:
            before = seconds, frame
            continue
        if before is None and not shown and seconds > start_s + LATE:
            return None
        if before and not shown:
            shown.append((start_s, small(before[1])))
        if seconds >= end_s:
            break
        shown.append((seconds, small(frame)))
    if before and not shown and start_s - before[0] < LAST:
        shown.append((start_s, small(before[1])))
    return shown


def _at_rate(shown: list[tuple[float, FrameArray]], wanted: int, rate: float) -> list[FrameArray]:
    """At most `wanted` pictures at a constant rate."""
    try:
        even = resample(shown, rate, USUAL_FPS)
        return [np.asarray(image, np.uint8) for image, _ in zip(even, range(wanted), strict=False)]
    except TimeStampError:  # a pause of many minutes
        return [image for _, image in shown[:wanted]]


def _decoded(
    container: InputContainer, stream: VideoStream, start_s: float, run_up: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Seconds from the first frame, and frame, from the key frame at `start_s` - `run_up` on, in display order."""
    frames = _sound_frames(container, stream)
    first = next(frames, None)
    if first is None:
        return
    start, tick = first.pts, float(stream.time_base or 0)
    if start is None or not tick or start_s <= run_up:
        yield 0.0, first
    else:
        container.seek(start + int((start_s - run_up) / tick), stream=stream)
        frames = _sound_frames(container, stream)
    seconds = 0.0
    for frame in frames:
        if frame.pts is not None and start is not None:  # in AVI files, stamps may come in a wrong order
            seconds = max(seconds, (frame.pts - start) * tick)
        else:
            seconds += 1 / float(stream.average_rate or USUAL_FPS)
        yield seconds, frame


def _sound_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames that can be decoded, from where the container is."""
    for packet in container.demux(stream):
        try:
            yield from (frame for frame in packet.decode() if not frame.is_corrupt)
        except (av.FFmpegError, ValueError):
            continue
