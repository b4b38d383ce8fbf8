"""Takes the frames of a video, as they are decoded, and measures how surprising its moments are; see `surprise`.

Only the frames of one clip are in memory, so the length of the video does not matter.

Shapes: M moments, K crops of the frame (all of it first), B moments of a batch, N = B K clips, T frames of a clip,
H = W side of a clip, C = 3 colours (RGB), P dimensions, S scores.
"""

import math
from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from cv2.typing import MatLike
from torch import Tensor

from mofore.clips.augment import eval_crop
from mofore.clips.sampling import clip_offsets, clip_span
from mofore.collection.forecaster import Forecaster
from mofore.collection.frame_times import check_even, repaired_time
from mofore.collection.gray import frame_difference, to_gray
from mofore.collection.windows import RATE, rates
from mofore.frames.shrink import resize

FloatArray = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
ERROR, PERSISTENCE, FRAME_DIFFERENCE = "error", "persistence", "frame_difference"
SCORES = (ERROR, PERSISTENCE, FRAME_DIFFERENCE)
COLUMNS = ("time_s", ERROR, "normalised", "crop", PERSISTENCE, FRAME_DIFFERENCE, "gap_s")
MOMENTS_PER_BATCH = 16
PEAKS, APART = 4, 2.0  # number of peaks that are shown; seconds from one to the next, at least
MAX_PICTURES = 4096  # kept of moments that may be peaks
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Peak:
    """A moment at which the normalised error is highest, for APART seconds around.

    Attributes:
        time_s: in seconds.
        normalised: the normalised error.
        picture: JPEG of the frame at that time.
        crop: left, top, right, bottom of the crop with the error, as shares of the frame.
    """

    time_s: float
    normalised: float
    picture: bytes
    crop: tuple[float, float, float, float]


@dataclass(frozen=True)
class Surprise:
    """How surprising the moments of a video are.

    Attributes:
        table: one row a moment, COLUMNS: `time_s`, of the middle of the future clip; of the whole frame `error` and
            `persistence`, 1 - cosine similarity, 0 to 2, and `frame_difference`, mean absolute difference of successive
            frames of the clip in gray levels, 0 to 255; `normalised`, see `normalise`, of the error in the crop
            where it is largest, which is `crop`: "whole", or "row-column" of a grid; `gap_s`, see below, in all rows.
        peaks: the highest first.
        forecasts: False if there was no predictor, as with the shipped encoder; `error` then equals `persistence`.
        gap_s: from the context's end to the future's start, in seconds.
        reason: why the video was not used completely; empty if it was.
        note: what else is to be known of it; empty for most.
    """

    table: pd.DataFrame
    peaks: list[Peak]
    forecasts: bool
    gap_s: float
    reason: str = ""
    note: str = ""


@dataclass
class _State:
    """What is known of the video so far. Each decoder that is tried begins with a new one.

    Attributes:
        rate: frames per second.
        hop: frames from one clip to the next.
        lag: hops from context to future.
        last: frames of one clip, as crops [K, H, W, C].
        images: the frames from the middle of that clip on, as they came.
        frames: number of frames.
        seconds: times of the frames of one clip.
        start_stamp: time stamp of the first frame.
        waiting: clips that are not embedded yet, [K, T, H, W, C].
        past: of the last `lag` clips, what was forecast from them, and their own targets, [K, P].
        clips: number of clips that were embedded.
        scores: by batch, of the moments [B, S, K].
        times, ends: of the moments: seconds, and number of frames up to the end of the future.
        pictures: JPEG by moment, of those that may be peaks.
    """

    rate: float
    hop: int
    lag: int
    last: deque[Image]
    images: deque[MatLike]
    seconds: deque[float]
    frames: int = 0
    start_stamp: float = 0.0
    waiting: list[Image] = field(default_factory=list)
    past: deque[tuple[Tensor, Tensor]] = field(default_factory=deque)
    clips: int = 0
    scores: list[FloatArray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    pictures: dict[int, bytes] = field(default_factory=dict)


class SurpriseSink:
    """Takes the frames of a video and measures its moments; see `frames.decode.FrameSink`.

    Images must have `grid` times the short side of the encoder.
    """

    def __init__(self, forecaster: Forecaster, gap: float, step: float, grid: int, uneven: bool = False) -> None:
        """Prepare to take one video. `add` may raise `UnevenError`.

        Args:
            forecaster: the model.
            gap, step, grid: see `surprise`; `grid` is at least 1.
            uneven: whether a sink has raised `UnevenError` for this video before: it is resampled now.
        """
        self._uneven = uneven
        self._forecaster, self._gap, self._step, self._grid = forecaster, gap, step, grid
        self._offsets_T, self._span = clip_offsets(forecaster.encoder.clip), clip_span(forecaster.encoder.clip)
        self._kept: int | None = None
        self._state = self._new(RATE)

    def _new(self, fps: float) -> _State:
        _, rate = self._rates(fps)
        hop = max(1, round(self._step * rate))
        lag = math.ceil((self._span + round(self._gap * rate)) / hop)
        span = self._span
        return _State(rate, hop, lag, deque(maxlen=span), deque(maxlen=(span + 1) // 2), deque(maxlen=span))

    def _rates(self, fps: float) -> tuple[float, float]:
        return (RATE, RATE) if self._uneven else rates(fps)

    @property
    def needed_seconds(self) -> float:
        """Length of a video with one moment."""
        return (self._state.lag * self._state.hop + self._span) / self._state.rate

    @property
    def gap_s(self) -> float:
        """From the context's end to the future's start, in seconds."""
        return self._gap_frames / self._state.rate

    @property
    def _gap_frames(self) -> int:
        return self._state.lag * self._state.hop - self._span

    def start(self, fps: float, header_frames: int = 0) -> float:
        self._state, self._kept = self._new(fps), None
        return self._rates(fps)[0]

    def add(self, seconds: float, image: MatLike) -> None:
        state = self._state
        if not state.frames:
            state.start_stamp = seconds
        before = state.seconds[-1] if state.frames else None
        state.seconds.append(repaired_time(seconds - state.start_stamp, before, state.rate))
        state.frames += 1
        if not self._uneven and state.frames >= self._span:
            check_even(state.seconds[0], state.seconds[-1], self._span, state.rate)
        state.last.append(self._crops(image))
        state.images.append(image)
        clip, rest = divmod(state.frames - self._span, state.hop)
        if clip < 0 or rest:
            return
        state.waiting.append(np.stack([state.last[offset] for offset in self._offsets_T], axis=1))
        if clip >= state.lag:
            state.times.append(max(0.0, state.seconds[-1] - (self._span - 1) / 2 / state.rate))
            state.ends.append(state.frames)
            _, jpeg = cv2.imencode(".jpg", state.images[0], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            state.pictures[len(state.times) - 1] = jpeg.tobytes()
        if len(state.waiting) == MOMENTS_PER_BATCH:
            self._embed()

    def keep(self, frames: int) -> None:
        self._kept = frames

    def result(self, reason: str) -> Surprise | None:
        """After the last frame: all moments; None if there is none. `reason`: see `Surprise`."""
        self._embed()
        state = self._state
        count = int(np.searchsorted(state.ends, self._kept, "right")) if self._kept is not None else len(state.times)
        if not count:
            return None
        scores_MSK = np.concatenate(state.scores)[:count]
        z_MK = normalise(scores_MSK[:, 0])
        crop_M, normalised_M = z_MK.argmax(axis=1), z_MK.max(axis=1)
        names = ["whole", *(f"{row}-{column}" for row, column in _cells(self._grid))]
        table = pd.DataFrame({"time_s": state.times[:count]})
        table["normalised"], table["crop"] = normalised_M, [names[crop] for crop in crop_M]
        for score, name in enumerate(SCORES):
            table[name] = scores_MSK[:, score, 0]
        table["gap_s"] = self.gap_s
        peaks = []
        for moment in find_peaks(table.time_s.to_numpy(), normalised_M, set(state.pictures)):
            box = self._box(int(crop_M[moment]))
            peaks.append(Peak(state.times[moment], float(normalised_M[moment]), state.pictures[moment], box))
        forecasts, note = self._forecaster.model is not None, ""
        if forecasts and self._gap_frames > self._forecaster.gap_max:
            note = (
                f"the gap has {self._gap_frames} frames, but the model was trained on {self._forecaster.gap_max} at "
                "most: its forecasts may mean little"
            )
        return Surprise(table[list(COLUMNS)], peaks, forecasts, self.gap_s, reason, note)

    def _crops(self, image: MatLike) -> Image:
        """The crops of a frame as the network sees them, [K, H, W, C]."""
        height, width = image.shape[:2]
        grid, small = self._grid, (round(width / self._grid), round(height / self._grid))
        parts = [resize(image, small) if grid > 1 else image]
        for left, top, right, bottom in (self._box(crop) for crop in range(1, 1 + len(_cells(grid)))):
            part = image[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
            parts.append(part if part.shape[:2] == parts[0].shape[:2] else resize(part, small))
        clip = self._forecaster.encoder.clip
        return np.stack(
            [eval_crop([cv2.cvtColor(part, cv2.COLOR_BGR2RGB).astype(np.uint8)], clip)[0] for part in parts]
        )

    def _box(self, crop: int) -> tuple[float, float, float, float]:
        if crop == 0:
            return 0.0, 0.0, 1.0, 1.0
        row, column = divmod(crop - 1, self._grid)
        return column / self._grid, row / self._grid, (column + 1) / self._grid, (row + 1) / self._grid

    def _embed(self) -> None:
        """Embed the clips that are waiting, and measure the moments that they end."""
        state, found = self._state, []
        if not state.waiting:
            return
        clips_BKTHWC, state.waiting = np.stack(state.waiting), []
        projection_NP, target_NP = self._forecaster.embed(clips_BKTHWC.reshape(-1, *clips_BKTHWC.shape[2:]))
        forecast_NP = target_NP
        if projection_NP is not None:
            forecast_NP = self._forecaster.forecast(projection_NP, self._gap_frames)
        crops = clips_BKTHWC.shape[1]
        for number, clip_KTHWC in enumerate(clips_BKTHWC):
            at = slice(number * crops, (number + 1) * crops)
            if len(state.past) == state.lag:
                forecast_KP, before_KP = state.past.popleft()
                guesses = forecast_KP, before_KP
                errors = [(1 - (guess * target_NP[at]).sum(dim=1)).clamp_min(0).numpy() for guess in guesses]
                found.append(np.stack([*errors, frame_difference(to_gray(clip_KTHWC))]))
            state.past.append((forecast_NP[at], target_NP[at]))
        if found:
            state.scores.append(np.stack(found).astype(np.float32))
        if len(state.pictures) > MAX_PICTURES:
            z_M = normalise(np.concatenate(state.scores)[:, 0]).max(axis=1)
            highest = sorted(state.pictures, key=lambda moment: -z_M[moment])[: MAX_PICTURES // 2]
            state.pictures = {moment: state.pictures[moment] for moment in sorted(highest)}


def normalise(x_MK: FloatArray) -> FloatArray:
    """Distance of each crop from its mean over the moments, in standard deviations; 0 where all are the same.

    All crops share one standard deviation, the root mean square of theirs. By its own, each crop would have its peaks,
    though nothing happens there.
    """
    distance_MK = x_MK - x_MK.mean(axis=0, dtype=np.float64)
    std = float(np.sqrt(np.square(distance_MK).mean()))
    return np.asarray(distance_MK / (std if std > 1e-6 else np.inf), np.float32)


def find_peaks(time_M: npt.NDArray[np.float64], score_M: FloatArray, among: set[int]) -> list[int]:
    """The moments with the highest scores, at most PEAKS, each APART seconds or more from the others.

    Args:
        time_M: times in seconds.
        score_M: scores.
        among: the moments to choose from.
    """
    peaks: list[int] = []
    for moment in sorted((moment for moment in among if moment < len(time_M)), key=lambda moment: -score_M[moment]):
        if all(abs(time_M[moment] - time_M[peak]) >= APART for peak in peaks):
            peaks.append(moment)
        if len(peaks) == PEAKS:
            break
    return peaks


def _cells(grid: int) -> list[tuple[int, int]]:
    """Row and column of the cells of a grid, from 1 on; none if the only cell is the whole frame."""
    return [(row, column) for row in range(1, grid + 1) for column in range(1, grid + 1)] if grid > 1 else []
