"""Train and score one method for `objectives.py`.

Training time is the time for batches and steps, from the first batch on; scoring does not count. A clip counts once,
when it is decoded, even if several networks encode it. The schedules of learning rate and momentum follow the fraction
of the budget that is used, so that they end with every budget, however fast a method is.

Shapes: V videos, N test videos, D feature dimensions, R values of k.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from objective_models import Settings, apply_settings, make_trainer
from sklearn.model_selection import GroupShuffleSplit

from mofore.clips.dataset import EpochSampler, ForecastDataset, Sample
from mofore.clips.loader import load_batches, loader_worker_count
from mofore.clips.transfer import to_device
from mofore.config import Params, load_params
from mofore.embedding.inference import UniformClips, embed_videos
from mofore.embedding.store import Embeddings, FloatArray
from mofore.embedding.streams import choose_streams
from mofore.embedding.views import leave_out_shorter_than_a_clip, video_embeddings
from mofore.errors import UserError
from mofore.evaluation.knn import evaluate_knn
from mofore.evaluation.linear import evaluate_linear
from mofore.frames.store import FrameStore
from mofore.method.encoders import Encoder, TwoStream
from mofore.method.shipped import averaged_with_shipped, whole_encoder
from mofore.runtime.device import keep_freed_memory, pick_device
from mofore.splits import group_folds
from mofore.training.pretrain import leave_out_short, trained_part
from mofore.utils.text import counted

STARTS = ("shipped", "random")
ENDLESS = 1_000_000  # epochs; more than any budget allows
FOLDS_SEED = 0  # all methods and seeds have the same folds


@dataclass
class Job:
    """One training.

    Attributes:
        method: one of `objective_models.METHODS`, or a control.
        start: of the encoder, one of STARTS; see `compared_params`.
        settings: parameters to change from what is recommended for the method.
        seed: of initial weights, samples and evaluation.
        budget: what is limited: "time" or "clips"; "none" for controls, which are not trained.
        amount: the limit, in seconds or in clips.
        points: fractions of the budget at which the encoder is scored, rising; the last is 1.
        tuning: whether to test on held-out groups of the training videos and train on the other ones.
        fold: the fold to test on, 0 to `folds` - 1.
        folds: number of folds over all groups; 0: use the split of videos.csv.
    """

    method: str
    start: str
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
        """Names the file of its results. Settings are part of it only in tuning."""
        words = [f"{key.rpartition('.')[2]}{value}" for key, value in self.settings.items()] if self.tuning else []
        part = [f"part{self.fold}of{self.folds}"] if self.folds else []
        return "-".join(
            [self.method, self.start, "tuning" if self.tuning else self.budget, str(self.seed), *words, *part]
        )


@dataclass
class Point:
    """One scoring of an encoder during training.

    Attributes:
        seconds, clips: spent on training so far.
        linear: for each test video, 1 if the linear classifier is right, else 0.
        r_at_1: for each test video, 1 if its nearest training video has the same label, else 0.
    """

    seconds: float
    clips: int
    linear: list[int]
    r_at_1: list[int]


class LabelledPairs(ForecastDataset):
    """Samples whose `group` is the class index of the video, for supervised training."""

    label_V: Any

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        return super().__getitem__(key)._replace(group=self.label_V[key[1]])


@dataclass
class Trained:
    """The results of a job. `video` and `group` name the test videos in the order of the hits in `points`."""

    job: Job
    points: list[Point]
    video: list[str]
    group: list[str]


def run(job: Job, frames: Path) -> Trained:
    """Train and score on the labelled videos that are long enough for every method.

    Raises:
        UserError: there are fewer training videos than `pretrain.batch_size`, or fewer groups than folds.
    """
    params, train_videos, scored, n_train = prepare(job, frames)

    apply_settings(params, job.method, job.settings)
    device = pick_device(params.runtime)
    keep_freed_memory()
    points = []
    for trained, seconds, clips in train(job, trained_part(params), train_videos, device):
        linear_N, nearest_N = score(final_encoder(trained, params), scored, n_train, params, device)
        trained.train()
        points.append(Point(seconds, clips, linear_N.astype(int).tolist(), nearest_N.astype(int).tolist()))
    tested = scored.table.iloc[n_train:]
    return Trained(job, points, tested.video.tolist(), tested.group.tolist())


def prepare(job: Job, frames: Path) -> tuple[Params, FrameStore, FrameStore, int]:
    """The parameters of a job, and its videos.

    Returns:
        Parameters; the videos to train on, each long enough for two clips; the videos to score, those of the training
        side first, and how many these are.

    Raises:
        UserError: no training video is long enough, or there are fewer groups than folds.
    """
    params = compared_params(job.start)
    params.seed = job.seed
    videos = labelled_videos(frames, params)
    train_V, test_V = split(videos, params, job)
    train_videos, scored = videos.select(train_V), videos.select(np.concatenate([train_V, test_V]))
    leave_out_short(train_videos, params)
    return params, train_videos, scored, len(train_V)


def compared_params(start: str) -> Params:
    """The parameters of all methods: those of params.yaml.

    Args:
        start: "shipped": every method trains what MoFore trains by default, the motion stream from the shipped weights;
            "random": both streams, from random weights.
    """
    params = load_params()
    if start == "random":
        params.encoder.start, params.encoder.keep, params.pretrain.streams = "random", "online", "both"
    return params


def final_encoder(trained: Encoder | TwoStream, params: Params) -> Encoder | TwoStream:
    """The encoder that embeds videos, as the stage pretrain makes it, for every method."""
    if params.encoder.keep == "averaged":
        trained = averaged_with_shipped(copy.deepcopy(trained).cpu(), trained_part(params).clip.input)
    return whole_encoder(trained, params.clip.input)


def labelled_videos(frames: Path, params: Params) -> FrameStore:
    """The videos of a frames folder that have a label and are long enough for a clip."""
    videos = FrameStore(frames)
    leave_out_shorter_than_a_clip(videos, params.clip)
    videos.keep((videos.table.label != "").to_numpy())
    return videos


def split(videos: FrameStore, params: Params, job: Job) -> tuple[Any, Any]:
    """Indices of training and test videos. No group is on both sides, in folds and in tuning as in the split.

    Raises:
        UserError: there are fewer groups than folds, or only one fold.
    """
    table = videos.table
    if job.folds:
        masks = group_folds(table.label.tolist(), table.group.tolist(), job.folds, FOLDS_SEED)
        groups = table.group.nunique()
        if len(masks) < job.folds:
            use = f"use 2 to {groups}, or 0 for the split" if groups > 1 else "use 0 for the split"
            raise UserError(f"--folds {job.folds}: the usable videos have {counted(groups, 'group')}: {use}")
        tested_V = masks[job.fold]
        return np.flatnonzero(~tested_V), np.flatnonzero(tested_V)
    train_V = np.flatnonzero(table.split == "train")
    if not job.tuning:
        return train_V, np.flatnonzero(table.split == "test")
    splitter = GroupShuffleSplit(n_splits=1, test_size=params.linear.holdout, random_state=params.seed)
    kept, held_out = next(splitter.split(train_V, groups=table.group[train_V]))
    return train_V[kept], train_V[held_out]


def train(
    job: Job, params: Params, videos: FrameStore, device: torch.device
) -> Iterator[tuple[Encoder | TwoStream, float, int]]:
    """Train; at each of `job.points` yield the encoder, and the seconds and clips spent so far."""
    batch_size = params.pretrain.batch_size
    if len(videos) < batch_size:
        raise UserError(f"params.yaml: pretrain.batch_size is {batch_size}, but only {len(videos)} videos are usable")
    cache_bytes = params.runtime.cache * 1e9 if device.type == "cpu" else 0
    bytes_a_worker = cache_bytes / max(1, loader_worker_count(params.runtime.workers))
    dataset = (LabelledPairs if job.method == "supervised" else ForecastDataset)(
        videos, params.clip, params.forecast, params.augment, params.seed, bytes_a_worker
    )
    classes, label_V = np.unique(videos.table.label.to_numpy(str), return_inverse=True)
    if isinstance(dataset, LabelledPairs):
        dataset.label_V = label_V
    trainer = make_trainer(job.method, params, len(classes), device)

    clips_a_step = batch_size * (1 + params.forecast.futures)
    amount = job.amount if job.budget == "time" else max(1, round(job.amount / clips_a_step))  # in seconds or steps
    spent, last = 0.0, float(job.budget == "clips")  # in the unit of `amount`: in total and by the last step
    seconds, steps = 0.0, 0
    sampler = EpochSampler(len(videos), batch_size, ENDLESS, params.seed)
    # The next step is expected to spend as much as the last one; the schedules need the fraction after it.
    with closing(load_batches(dataset, sampler, params.runtime.workers, device)) as loaded:
        batches = chain([next(loaded)], loaded)  # waits for the first batch before the clock starts
        for point in job.points:
            while spent < point * amount:
                start = time.perf_counter()
                trainer.step(to_device(next(batches), device), min(1.0, (spent + last) / amount))
                if device.type == "cuda":
                    torch.cuda.synchronize()
                took = time.perf_counter() - start
                last = took if job.budget == "time" else 1.0
                spent, seconds, steps = spent + last, seconds + took, steps + 1
            yield trainer.encoder, seconds, steps * clips_a_step


def score(
    encoder: Encoder | TwoStream, videos: FrameStore, n_train: int, params: Params, device: torch.device
) -> tuple[Any, Any]:
    """Score an encoder, with embeddings as the stage embed makes them.

    Args:
        videos: training videos first, then test videos.
        n_train: number of training videos.

    Returns:
        Whether each test video is classified correctly, [N]: by the linear classifier, and by the nearest neighbour.
        All False if an embedding is not finite, because training has diverged.
    """
    samples = UniformClips(videos, params.clip, params.embed.clips)
    encoder = encoder.to(device).eval()
    features = embed_videos({"": encoder}, samples, params.embed.grid, params.runtime, device)[""]
    is_train_V = np.arange(len(videos)) < n_train
    choice = None
    if encoder.n_streams > 1 and np.isfinite(features.mean_VE).all():
        split_V = pd.Series(np.where(is_train_V, "train", "test"))
        choice = choose_streams([features.mean_VE], videos.table.group, split_V, params.seed)
    return score_features(video_embeddings(features, is_train_V, params.embed, choice), videos, n_train, params)


def score_features(x_VD: FloatArray, videos: FrameStore, n_train: int, params: Params) -> tuple[Any, Any]:
    """As `score`, for given features [V, D]."""
    if not np.isfinite(x_VD).all():
        none_N = np.zeros(len(videos) - n_train, bool)
        return none_N, none_N
    text = {name: videos.table[name].to_numpy(str) for name in ("video", "label", "group", "split")}
    embedded, index_V = Embeddings(x_VD, **text), np.arange(len(videos))
    train, test = embedded.rows(index_V < n_train), embedded.rows(index_V >= n_train)
    linear = evaluate_linear(test, train, params.linear.holdout, params.seed)
    return linear.hit_N, evaluate_knn(test, train, params.knn).hit_NR[:, 0]


def merge_folds(parts: list[Trained]) -> Trained:
    """Merge the results of one training in several folds: all test videos, and the mean of seconds and clips."""
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
