"""Training samples: a context clip, a later clip of the same video, and the gap between them.

Each sample's draws come from (seed, epoch, video) alone: any number of loader processes gives the same samples.

Shapes: B batch, T frames, H = W side of a clip, C = 3 colours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mofore.augment import random_colour, random_crop
from mofore.clips import clip_offsets, clip_span, draw_pair
from mofore.config import Augment, Clip, Forecast
from mofore.packed import PackedVideos


class Pair(NamedTuple):
    """One sample; after collation each field has a leading batch dimension."""

    context_THWC: Any  # uint8
    future_THWC: Any  # uint8
    context_colour_34: Any  # float32
    future_colour_34: Any  # float32
    gap: Any  # int64, video frames between the two
    group: Any  # int64, number of the video's group


class Pairs(Dataset[Pair]):
    """Pairs of clips, indexed by (epoch, video)."""

    def __init__(self, videos: PackedVideos, clip: Clip, forecast: Forecast, augment: Augment, seed: int) -> None:
        self.reader, self.clip, self.forecast, self.augment, self.seed = videos.reader, clip, forecast, augment, seed
        self.offsets, self.span = clip_offsets(clip), clip_span(clip)
        self.n_frames = videos.table.frames.to_numpy()
        self.groups = videos.table.group.astype("category").cat.codes.to_numpy().astype(np.int64)

    def __getitem__(self, key: tuple[int, int]) -> Pair:
        epoch, video = key
        rng = np.random.default_rng((self.seed, epoch, video))
        context, future, gap = draw_pair(int(self.n_frames[video]), self.span, self.forecast, rng)
        frames_THWC = self.reader.read(video, np.concatenate([context + self.offsets, future + self.offsets]))
        context_THWC, future_THWC = np.split(frames_THWC, 2)
        return Pair(
            random_crop(context_THWC, self.clip.size, self.augment, rng),
            random_crop(future_THWC, self.clip.size, self.augment, rng),
            random_colour(self.augment, rng),
            random_colour(self.augment, rng),
            gap,
            self.groups[video],
        )


class Epochs(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, video) for a whole run, each epoch in a new order.

    One sampler for all epochs lets loader processes run on over the end of an epoch. What does not fill the last
    batch of an epoch is left out of that epoch.
    """

    def __init__(self, n_videos: int, batch_size: int, epochs: int, seed: int) -> None:
        self.n_videos, self.batch_size, self.epochs, self.seed = n_videos, batch_size, epochs, seed
        self.steps_per_epoch = n_videos // batch_size

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for epoch in range(self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(self.n_videos).tolist()
            for step in range(self.steps_per_epoch):
                yield [(epoch, v) for v in order[step * self.batch_size : (step + 1) * self.batch_size]]


def pair_loader(pairs: Pairs, batches: Epochs, workers: int, pin: bool) -> DataLoader[Pair]:
    """Batches of pairs, decoded by `workers` processes ahead of need; 0 decodes in the calling process."""
    return DataLoader(
        pairs,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
    )


def to_device(batch: Pair, device: Any) -> Pair:
    """The same batch on `device`, copied without waiting where its memory is pinned."""
    fields: list[Tensor] = [tensor.to(device, non_blocking=True) for tensor in batch]
    return Pair(*fields)
