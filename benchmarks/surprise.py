"""Measure whether surprise finds events: how well forecast errors and controls tell events from normal moments.

    dvc repro pretrain
    python benchmarks/surprise.py [--model data/model] [--videos 24] [--gap 0] [--seed 1000]

Demo videos of ten seconds are drawn, of actors and scenes that no other seed has. In the middle of each one something
happens for two seconds:

    freeze     the picture stands still
    jump       1.5 seconds are missing: the event is the cut
    reversal   time runs backwards, and forwards again
    action     the figure does something else, for example runs instead of walking

A moment counts as event if the event covers half of its future clip or more (the cut: a sixth from its ends or more),
as normal if neither context nor future touch the event, and not at all otherwise. The score is AUROC, the probability
that a moment of an event is ranked above a normal one: over the moments of all videos together, raw and normalised by
video (distance from the video's mean in standard deviations), with 95 % intervals by bootstrap over videos. Scores:

    error             of the forecast by the model's predictor
    persistence       distance of the future's embedding to that of the context, by the same model
    shipped           the same by the shipped encoder
    frame_difference  mean absolute difference of frames
    stillness         frame_difference with its sign changed: what a freeze should show
    change            distance of frame_difference from its mean over the video, so any departure counts

Then the same figures are shown small in a large picture, where crops of a grid are compared with the whole frame. The
last line of the output is JSON.

Shapes: M moments, V videos, R resamples, T frames, H height, W width, C = 3 colours (BGR).
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.clips.sampling import clip_span
from mofore.collection.forecaster import Forecaster, open_forecaster
from mofore.collection.surprise_sink import SurpriseSink, normalise
from mofore.errors import run_stage
from mofore.evaluation.bootstrap import resamples
from mofore.frames.shrink import resize
from mofore.videos.synthetic import clip as demo_clip
from mofore.videos.synthetic.actions import ACTIONS
from mofore.videos.synthetic.appearance import sample_appearance
from mofore.videos.synthetic.draw import draw_frames
from mofore.videos.synthetic.scene import draw_background

EVENTS = ("freeze", "jump", "reversal", "action")
LENGTH, EVENT, SKIPPED = 250, 50, 37  # frames of a video, of an event, and those that a jump leaves out
STEP = 0.2  # seconds from moment to moment
PERIODIC = sorted(name for name, action in ACTIONS.items() if action.seconds)
LARGE = 480, 360  # width and height of the large pictures
CUT = 4  # frames of the future clip on either side of a cut, at least
Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


class Video(NamedTuple):
    """Frames [T, H, W, C], and the first frame of the event and the first after it; for a cut they are the same."""

    frames_THWC: Frames
    begin: int
    end: int


def draw(event: str, number: int, seed: int) -> Video:
    """Draw the video of a number with an event."""
    rng = np.random.default_rng((seed, EVENTS.index(event), number))
    name, other = rng.choice(PERIODIC, 2, replace=False).tolist()
    begin = int(rng.integers(100, 126))
    end = begin + EVENT
    appearance = sample_appearance(rng)
    background = draw_background(rng, appearance)
    with mock.patch.object(demo_clip, "FRAMES", (LENGTH + SKIPPED, LENGTH + SKIPPED)):  # demo videos are shorter
        clip = demo_clip.sample_demo_clip(rng)

    def drawn(action: str) -> Frames:
        return np.stack(list(draw_frames(action, appearance, background, clip)))

    frames_THWC, time_T = drawn(name), np.arange(LENGTH)
    if event == "freeze":
        time_T[begin:end] = begin
        time_T[end:] -= EVENT
    elif event == "jump":
        end = begin
        time_T[begin:] += SKIPPED
    elif event == "reversal":
        time_T[begin:end] = begin - 1 - np.arange(EVENT)
        time_T[end:] -= 2 * EVENT
    else:
        frames_THWC[begin:end] = drawn(other)[begin:end]
    return Video(frames_THWC[time_T], begin, end)


def placed(video: Video, rng: np.random.Generator) -> Video:
    """The video small in a large, still picture with the noise of a sensor."""
    length, height, width = video.frames_THWC.shape[:3]
    coarse = rng.integers(60, 190, (6, 8, 3)).astype(np.uint8)
    scene_HWC = cv2.resize(coarse, LARGE, interpolation=cv2.INTER_CUBIC)
    left, top = (int(rng.integers(large - small + 1)) for large, small in zip(LARGE, (width, height), strict=True))
    noise_THWC = rng.integers(-3, 4, (length, *scene_HWC.shape), dtype=np.int16)
    frames_THWC = np.clip(scene_HWC + noise_THWC, 0, 255).astype(np.uint8)
    frames_THWC[:, top : top + height, left : left + width] = video.frames_THWC
    return video._replace(frames_THWC=frames_THWC)


def measure(video: Video, forecaster: Forecaster, gap: float, grid: int = 1) -> pd.DataFrame:
    """Table of `Surprise` for a video, with column `event`: 1 in an event, 0 normal, -1 neither."""
    height, width = video.frames_THWC.shape[1:3]
    scale = grid * forecaster.encoder.short_side / min(height, width)
    sink = SurpriseSink(forecaster, gap, STEP, grid)
    sink.start(demo_clip.FPS)
    for number, frame_HWC in enumerate(video.frames_THWC):
        sink.add(number / demo_clip.FPS, resize(frame_HWC, (round(width * scale), round(height * scale))))
    found = sink.result("")
    assert found
    span = clip_span(forecaster.encoder.clip)
    first_M = np.rint(found.table.time_s.to_numpy() * demo_clip.FPS - (span - 1) / 2).astype(int)  # of the future
    context_M = first_M - span - round(found.gap_s * demo_clip.FPS)
    last_M = first_M + span - 1
    if video.end == video.begin:
        event_M = (first_M + CUT <= video.begin) & (last_M - CUT >= video.begin)
    else:
        event_M = 2 * (np.minimum(last_M + 1, video.end) - np.maximum(first_M, video.begin)) >= span
    normal_M = (last_M < video.begin) | (context_M >= video.end)
    return found.table.assign(event=np.where(event_M, 1, np.where(normal_M, 0, -1)))


def auroc(score: list[Floats], event: list[npt.NDArray[np.int64]]) -> dict[str, float]:
    """AUROC over the moments of all videos, with its 95 % interval over videos.

    Args:
        score, event: by video: score of each moment, and 1 for an event, 0 for normal, -1 for neither.
    """
    wins_VV = np.zeros((len(score), len(score)))  # of the events of one video over the normal moments of another
    for i, (score_i, event_i) in enumerate(zip(score, event, strict=True)):
        for j, (score_j, event_j) in enumerate(zip(score, event, strict=True)):
            difference = score_i[event_i == 1][:, None] - score_j[event_j == 0]
            wins_VV[i, j] = (difference > 0).sum() + 0.5 * (difference == 0).sum()
    positive_V = np.array([(one == 1).sum() for one in event], float)
    negative_V = np.array([(one == 0).sum() for one in event], float)

    def of(times_RV: Floats) -> Floats:
        pairs_R = (times_RV @ positive_V) * (times_RV @ negative_V)
        return ((times_RV @ wins_VV) * times_RV).sum(axis=1) / pairs_R

    value = float(of(np.ones((1, len(score))))[0])
    low, high = np.quantile(np.concatenate([of(times_RV) for times_RV in resamples(len(score))]), (0.025, 0.975))
    return {"auroc": round(value, 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def by_video(tables: list[pd.DataFrame], shipped: list[pd.DataFrame]) -> dict[str, list[Floats]]:
    """All scores, by video."""
    scores = {name: [table[name].to_numpy(float) for table in tables] for name in ("error", "persistence")}
    scores["shipped"] = [table["persistence"].to_numpy(float) for table in shipped]
    difference = [table["frame_difference"].to_numpy(float) for table in tables]
    scores["frame_difference"] = difference
    scores["stillness"] = [-one for one in difference]
    scores["change"] = [np.abs(one - one.mean()) for one in difference]
    return scores


def normalised(score_M: Floats) -> Floats:
    """A score normalised by video, as in `mofore surprise`."""
    return normalise(score_M[:, None].astype(np.float32))[:, 0].astype(np.float64)


def main() -> None:
    """Draw the videos, measure them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("data/model"), help="a trained model")
    parser.add_argument("--videos", type=int, default=24, help="of each event")
    parser.add_argument("--large", type=int, default=8, help="of these, how many are also shown small in a picture")
    parser.add_argument("--gap", type=float, default=0.0, help="seconds from context to future")
    parser.add_argument("--seed", type=int, default=1000, help="of the videos")
    arguments = parser.parse_args()
    forecaster, shipped = open_forecaster(arguments.model), open_forecaster()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for event in EVENTS:
        tables, of_shipped, whole, grid = [], [], [], []
        for number in range(arguments.videos):
            video = draw(event, number, arguments.seed)
            tables.append(measure(video, forecaster, arguments.gap))
            of_shipped.append(measure(video, shipped, arguments.gap))
            if number < arguments.large:
                large = placed(video, np.random.default_rng((arguments.seed, number)))
                whole.append(measure(large, forecaster, arguments.gap))
                grid.append(measure(large, forecaster, arguments.gap, 3))
        labels = [table.event.to_numpy() for table in tables]
        results[event] = {}
        for name, score in by_video(tables, of_shipped).items():
            results[event][f"{name} raw"] = auroc(score, labels)
            results[event][f"{name} normalised"] = auroc([normalised(one) for one in score], labels)
        for name, large_tables in (("whole", whole), ("grid", grid)):
            if large_tables:
                score = [table.normalised.to_numpy(float) for table in large_tables]
                results[event][f"{name} of large"] = auroc(score, [table.event.to_numpy() for table in large_tables])
        for name, found in results[event].items():
            print(f"{event:9}{name:29}{found['auroc']:.3f}  ({found['low']:.3f} to {found['high']:.3f})", flush=True)
    print(json.dumps({"videos": arguments.videos, "gap": arguments.gap, "auroc": results}))


if __name__ == "__main__":
    run_stage(main)
