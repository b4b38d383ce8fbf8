"""Training samples: a context clip, a later clip of the same video, and the gap between them.

Each sample's draws come from (seed, epoch, video) alone: any number of loader processes gives the same samples.

Shapes: B batch, T frames, H = W side of a clip, C = 3 colours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from mofore.augment import random_colour, random_crop
from mofore.clips import clip_offsets, clip_span, draw_pair
from mofore.config import Augment, Clip, Forecast
from mofore.decoded import DecodedFrames
from mofore.packed import PackedVideos
from mofore.processes import ALONE, Processes


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

    def __init__(
        self,
        videos: PackedVideos,
        clip: Clip,
        forecast: Forecast,
        augment: Augment,
        seed: int,
        kept_bytes: float = 0,
    ) -> None:
        """`kept_bytes`: how much of decoded frames may be kept in memory, by each process that decodes."""
        self.clip, self.forecast, self.augment, self.seed = clip, forecast, augment, seed
        self.offsets, self.span = clip_offsets(clip), clip_span(clip)
        self.n_frames = videos.table.frames.to_numpy()
        self.reader = DecodedFrames(videos.reader, self.n_frames, kept_bytes) if kept_bytes else videos.reader
        self.groups = videos.table.group.astype("category").cat.codes.to_numpy().astype(np.int64)

    def video(self, key: tuple[int, int]) -> int:
        """Number of the video of a key."""
        return key[1]

    def place(self, key: tuple[int, int]) -> tuple[int, int, int, np.random.Generator]:
        """First frame of the context, first frame of the future, the gap, and the generator of all further draws."""
        epoch, video = key
        rng = np.random.default_rng((self.seed, epoch, video))
        return *draw_pair(int(self.n_frames[video]), self.span, self.forecast, rng), rng

    def __getitem__(self, key: tuple[int, int]) -> Pair:
        _, video = key
        context, future, gap, rng = self.place(key)
        frames = self.reader.read(video, np.concatenate([context + self.offsets, future + self.offsets]))
        half = len(self.offsets)
        return Pair(
            random_crop(frames[:half], self.clip.size, self.augment, rng),
            random_crop(frames[half:], self.clip.size, self.augment, rng),
            random_colour(self.augment, rng),
            random_colour(self.augment, rng),
            gap,
            self.groups[video],
        )


class Epochs(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, video) for a whole run or the rest of one, each epoch in a new order.

    One sampler for all epochs lets loader processes run on over the end of an epoch. What does not fill the last
    batch of an epoch is left out of that epoch.
    """

    def __init__(
        self,
        n_videos: int,
        batch_size: int,
        epochs: int,
        seed: int,
        first_step: int = 0,
        processes: Processes = ALONE,
    ) -> None:
        """`first_step`: steps of the run that are done; `processes`: each gets its share of every batch."""
        self.n_videos, self.batch_size, self.epochs, self.seed = n_videos, batch_size, epochs, seed
        self.first_step, self.processes = first_step, processes
        self.steps_per_epoch = n_videos // batch_size
        self.steps = epochs * self.steps_per_epoch  # of the whole run

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for epoch in range(self.first_step // self.steps_per_epoch, self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(self.n_videos).tolist()
            for step in range(self.steps_per_epoch):
                if epoch * self.steps_per_epoch + step >= self.first_step:
                    batch = order[step * self.batch_size : (step + 1) * self.batch_size]
                    yield [(epoch, video) for video in self.processes.share(batch)]


def to_device(batch: Pair, device: Any) -> Pair:
    """The same batch on `device`, copied without waiting where its memory is pinned."""
    fields: list[Tensor] = [tensor.to(device, non_blocking=True) for tensor in batch]
    return Pair(*fields)
