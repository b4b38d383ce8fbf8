"""How surprising is each moment of a video to a model that forecasts?

A clip of the video is the context. From it the predictor of a trained model forecasts the embedding of a later clip,
the future; how far the forecast is from what comes is the error of that moment.

    |--- context ---|<-- gap -->|--- future ---|
                                       ^ time of the error

Beside it always stand two controls that forecast nothing: persistence, how far the embedding of the future is from that
of the context; and frame difference, how much moves in the future clip. `benchmarks/surprise.py` measures what each is
worth. The shipped encoder comes without a predictor. The change of its features, which is all that it could give, finds
events no better than chance there, so a trained model is needed.

Some videos are harder to forecast than others at all times. So errors are also normalised: their distance from the mean
over the video, in standard deviations. Where the picture is large, the cells of a grid are forecast, too, each compared
with its own mean, and the largest distance counts: what is small in the whole frame is not small in its cell.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import av

from mofore.collection.encoder import SHIPPED
from mofore.collection.forecaster import Forecaster, open_forecaster
from mofore.collection.frame_times import UnevenError
from mofore.collection.reasons import first_line
from mofore.collection.surprise_sink import Surprise, SurpriseSink
from mofore.errors import UserError
from mofore.frames.child import ChildLostError, Reply, work_in_child
from mofore.frames.decode import decode_frames
from mofore.frames.outcome import Decoded

MAX_GRID = 3  # cells per side of the frame
MAX_SECONDS = 3600.0  # of gap and step
MIN_MOMENTS = 5  # of a video; of fewer, none can be called unusual


def surprise(
    file: Path,
    model: Path = Path("data/model"),
    gap: float = 0.0,
    step: float = 0.2,
    grid: int = 0,
    timeout: float = 60.0,
) -> Surprise:
    """Measure how surprising each moment of a video file is.

    The file is decoded in a child process, which may crash or hang without harm.

    Args:
        file: the video.
        model: folder of a trained model, as `dvc repro pretrain` writes it.
        gap: from the end of the context to the start of the future, in seconds, at least: the future is a clip that
            starts whole steps after the context starts. `Surprise.gap_s` is the gap that results. With a step of 5
            seconds and clips of 1 second it is 4 seconds, though 0 was asked for.
        step: from one moment to the next, in seconds.
        grid: cells per side of the frame, 1 to 3; 1 for the whole frame only; 0: as many as have the size that the
            network sees.
        timeout: seconds without a frame after which the video is given up.

    Raises:
        UserError: the video cannot be used, or is too short; the model cannot be read; a number is out of range.
    """
    check_options(model, gap, step, grid)
    arguments = (file.absolute(), str(model.absolute()), gap, step, grid)
    try:
        (found,) = [answer for answer in work_in_child(_answer, *arguments, timeout=timeout) if answer is not None]
    except TimeoutError:
        raise UserError(f"{file}: its decoder gave no frame for {timeout:g} seconds: give another file") from None
    except ChildLostError as error:
        raise UserError(f"{file}: its decoder crashed ({error}): give another file") from None
    assert isinstance(found, Surprise)
    return found


def check_options(model: Path, gap: float, step: float, grid: int) -> None:
    """Check what `surprise` is asked to do, before any video is opened.

    Raises:
        UserError: a number is out of range, or the model is no folder.
    """
    if not 0 <= gap <= MAX_SECONDS or not 0 < step <= MAX_SECONDS or grid not in range(MAX_GRID + 1):
        raise UserError(
            f"gap {gap:g}, step {step:g}, grid {grid}: gap must be 0 to {MAX_SECONDS:g}, step above 0 to "
            f"{MAX_SECONDS:g} seconds, grid 0 to {MAX_GRID}"
        )
    if not model.is_dir():
        what = "has no predictor" if str(model) == SHIPPED else "no such folder"
        raise UserError(f"{model}: {what}: give the folder of a trained model, data/model of `dvc repro pretrain`")


def _answer(reply: Reply, file: Path, model: str, gap: float, step: float, grid: int) -> None:
    """In the child."""
    reply.answer(measure(file, _opened(model), gap, step, grid, reply.heartbeat))


@lru_cache(1)
def _opened(model: str) -> Forecaster:
    return open_forecaster(model)


def measure(
    file: Path,
    forecaster: Forecaster,
    gap: float = 0.0,
    step: float = 0.2,
    grid: int = 0,
    on_frame: Callable[[], None] = lambda: None,
) -> Surprise:
    """As `surprise`, in this process; `on_frame` is called after each frame."""
    small = forecaster.encoder.short_side
    grid = grid or min(MAX_GRID, max(1, _short_side(file) // small))

    def decode(uneven: bool) -> tuple[SurpriseSink, Decoded]:
        sink = SurpriseSink(forecaster, gap, step, grid, uneven)
        return sink, decode_frames(file, sink, grid * small, on_frame)

    try:
        try:
            sink, decoded = decode(uneven=False)
        except UnevenError:
            sink, decoded = decode(uneven=True)  # resampled
    except RuntimeError:
        raise  # the network failed
    except Exception as error:  # any error of a decoder affects this file only
        what = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{file}: the decoder failed ({what}): give another file") from None
    if not decoded.frames:
        raise UserError(f"{file}: {decoded.reason}: give another file")
    found = sink.result(decoded.reason)
    if found is None or len(found.table) < MIN_MOMENTS:
        needed = sink.needed_seconds + (MIN_MOMENTS - 1) * step
        raise UserError(
            f"{file}: too short, as {MIN_MOMENTS} moments to compare need {needed:.1f} seconds: "
            "give a longer video, or a shorter gap"
        )
    return found


def _short_side(file: Path) -> int:
    """Of the pictures, in pixels; 0 if unknown."""
    try:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            return min(stream.width, stream.height)
    except (av.FFmpegError, OSError, IndexError, ValueError):
        return 0
