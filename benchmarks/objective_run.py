"""One training of one method for `objectives.py`, in a process of its own, and what it scores on the way.

Time is that of training: batches and steps, from the first batch on; scoring does not count. A clip counts once, when
it is decoded and seen, through however many networks it passes. The schedules follow the share of the budget that is
used, so that each method anneals fully, be it fast or slow.

Shapes: V videos, N videos that are tested.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from objective_models import Settings, apply, make
from sklearn.model_selection import GroupShuffleSplit
from torch import nn

from mofore.clips.dataset import EpochSampler, ForecastDataset, Sample, to_device
from mofore.clips.loader import load_batches, loader_worker_count
from mofore.config import Params, load_params
from mofore.embedding.inference import UniformClips, embed_clips
from mofore.embedding.store import Embeddings, FloatArray
from mofore.embedding.views import leave_out_shorter_than_a_clip
from mofore.errors import UserError
from mofore.evaluation.knn import evaluate_knn
from mofore.evaluation.linear import evaluate_linear
from mofore.frames.store import FrameStore
from mofore.runtime.device import keep_freed_memory, pick_device
from mofore.splits import group_folds
from mofore.training.pretrain import leave_out_short

ENDLESS = 1_000_000  # epochs
FOLDS_SEED = 0  # of the parts that the groups are put into, the same for all


@dataclass
class Job:
    """One training.

    Attributes:
        budget: what is limited, "time" or "clips".
        amount: of it, in seconds or in clips.
        points: shares of the budget at which the encoder is scored, rising, the last 1.
        tuning: test on held-out groups of the training videos, and train on the others.
        fold, folds: instead of the split of videos.csv, test on this part, from 0, of so many parts of all groups.
    """

    method: str
    settings: Settings
    seed: int
    budget: str
    amount: float
    points: list[float]
    tuning: bool = False
    fold: int = 0
    folds: int = 0

    @property
    def name(self) -> str:
        words = [f"{key.rpartition('.')[2]}{value}" for key, value in self.settings.items()] if self.tuning else []
        part = [f"part{self.fold}of{self.folds}"] if self.folds else []
        return "-".join([self.method, "tuning" if self.tuning else self.budget, str(self.seed), *words, *part])


@dataclass
class Point:
    """What has been spent, and whether each test video is recognised: by the linear classifier, by its neighbour."""

    seconds: float
    clips: int
    linear: list[int]
    r_at_1: list[int]


class LabelledPairs(ForecastDataset):
    """Samples whose `group` is the number of the video's class instead."""

    label_V: Any

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        return super().__getitem__(key)._replace(group=self.label_V[key[1]])


@dataclass
class Trained:
    """What a job has given; `video` and `group` are those tested, in the order of the points' hits."""

    job: Job
    points: list[Point]
    video: list[str]
    group: list[str]


def run(job: Job, frames: Path) -> Trained:
    """Train and score, on the labelled videos alone: the same for all methods.

    Raises:
        UserError: too few training videos.
    """
    params = load_params()
    params.seed = job.seed
    videos = labelled_videos(frames, params)
    train_V, test_V = split(videos, params, job)
    trained, scored = videos.select(train_V), videos.select(np.concatenate([train_V, test_V]))
    leave_out_short(trained, longest_clips(params))

    apply(params, job.method, job.settings)
    device = pick_device(params.runtime)
    keep_freed_memory()
    points = []
    for encoder, seconds, clips in train(job, params, trained, device):
        linear_N, nearest_N = score(encoder, scored, len(train_V), params, device)
        points.append(Point(seconds, clips, linear_N.astype(int).tolist(), nearest_N.astype(int).tolist()))
    tested = videos.table.iloc[test_V]
    return Trained(job, points, tested.video.tolist(), tested.group.tolist())


def longest_clips(params: Params) -> Params:
    """The same with clips as long as any method's: differences take a frame more than colours."""
    return replace(params, clip=replace(params.clip, input="residual"))


def labelled_videos(frames: Path, params: Params) -> FrameStore:
    """Those of a frames folder that all methods learn from and are tested on."""
    videos = FrameStore(frames)
    leave_out_shorter_than_a_clip(videos, longest_clips(params).clip)
    videos.keep((videos.table.label != "").to_numpy())
    return videos


def split(videos: FrameStore, params: Params, job: Job) -> tuple[Any, Any]:
    """Numbers of the videos to train and to test on; of folds and for tuning, no group stands on both sides, either."""
    table = videos.table
    if job.folds:
        tested_V = group_folds(table.label.tolist(), table.group.tolist(), job.folds, FOLDS_SEED)[job.fold]
        return np.flatnonzero(~tested_V), np.flatnonzero(tested_V)
    train_V = np.flatnonzero(table.split == "train")
    if not job.tuning:
        return train_V, np.flatnonzero(table.split == "test")
    splitter = GroupShuffleSplit(n_splits=1, test_size=params.linear.holdout, random_state=params.seed)
    kept, held_out = next(splitter.split(train_V, groups=table.group[train_V]))
    return train_V[kept], train_V[held_out]


def train(job: Job, params: Params, videos: FrameStore, device: torch.device) -> Iterator[tuple[nn.Module, float, int]]:
    """Train; at each point of the budget give the encoder, and the seconds and clips that it has taken."""
    batch_size = params.pretrain.batch_size
    if len(videos) < batch_size:
        raise UserError(f"params.yaml: pretrain.batch_size is {batch_size}, but only {len(videos)} videos are usable")
    keep = params.runtime.cache * 1e9 if device.type == "cpu" else 0
    cache_bytes = keep / max(1, loader_worker_count(params.runtime.workers))
    pairs = (LabelledPairs if job.method == "supervised" else ForecastDataset)(
        videos, params.clip, params.forecast, params.augment, params.seed, cache_bytes
    )
    classes, label_V = np.unique(videos.table.label.to_numpy(str), return_inverse=True)
    if isinstance(pairs, LabelledPairs):
        pairs.label_V = label_V
    learner = make(job.method, params, len(classes), device)

    clips_a_step = batch_size * (1 + params.forecast.futures)
    amount = job.amount if job.budget == "time" else max(1, round(job.amount / clips_a_step))  # seconds, or steps
    spent, last = 0.0, float(job.budget == "clips")  # of it, so far and by the last step
    seconds, steps = 0.0, 0
    batches = EpochSampler(len(videos), batch_size, ENDLESS, params.seed)
    with closing(load_batches(pairs, batches, params.runtime.workers, device)) as loaded:
        awaited = chain([next(loaded)], loaded)
        for point in job.points:
            while spent < point * amount:
                began = time.perf_counter()
                learner.step(to_device(next(awaited), device), min(1.0, (spent + last) / amount))
                if device.type == "cuda":
                    torch.cuda.synchronize()
                took = time.perf_counter() - began
                last = took if job.budget == "time" else 1.0
                spent, seconds, steps = spent + last, seconds + took, steps + 1
            yield learner.encoder, seconds, steps * clips_a_step


def score(
    encoder: nn.Module, videos: FrameStore, trained: int, params: Params, device: torch.device
) -> tuple[Any, Any]:
    """Which videos after the first `trained` are recognised, [N]: by the linear classifier, by the nearest neighbour.

    An encoder that has diverged recognises none.
    """
    samples = UniformClips(videos, params.clip, params.embed.clips)
    x_VD = embed_clips({"": encoder.eval()}, samples, params.runtime, device)[""].mean(axis=1)
    encoder.train()
    return recognised(x_VD, videos, trained, params)


def recognised(x_VD: FloatArray, videos: FrameStore, trained: int, params: Params) -> tuple[Any, Any]:
    """As `score`, of features."""
    if not np.isfinite(x_VD).all():
        none_N = np.zeros(len(videos) - trained, bool)
        return none_N, none_N
    text = {name: videos.table[name].to_numpy(str) for name in ("video", "label", "group", "split")}
    embedded, number_V = Embeddings(x_VD, **text), np.arange(len(videos))
    train, test = embedded.rows(number_V < trained), embedded.rows(number_V >= trained)
    linear = evaluate_linear(test, train, params.linear.holdout, params.seed)
    return linear.hit_N, evaluate_knn(test, train, params.knn).hit_NR[:, 0]


def merge_folds(parts: list[Trained]) -> Trained:
    """The same training once for each fold, as one: all tested videos, and the mean of what was spent."""
    points = [
        Point(
            seconds=float(np.mean([point.seconds for point in same])),
            clips=round(float(np.mean([point.clips for point in same]))),
            linear=[hit for point in same for hit in point.linear],
            r_at_1=[hit for point in same for hit in point.r_at_1],
        )
        for same in zip(*(part.points for part in parts), strict=True)
    ]
    videos = [video for part in parts for video in part.video]
    return Trained(parts[0].job, points, videos, [group for part in parts for group in part.group])
