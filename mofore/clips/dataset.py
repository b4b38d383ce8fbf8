"""Training samples: a context clip, later clips of the same video, and the gaps between.

Each sample's draws come from (seed, epoch, video) alone: any number of loader processes gives the same samples.

Shapes: B batch, F futures of a context, T frames, H = W side of a clip, C = 3 colours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from mofore.clips.augment import UNCHANGED_34, Frames, evaluated_part, random_colour, random_crop
from mofore.clips.sampling import clip_offsets, clip_span, draw_places
from mofore.config import Augment, Clip, Forecast
from mofore.frames.cache import FrameCache
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE, Processes

Matrix = npt.NDArray[np.float32]  # of colours, [3, 4]


class Sample(NamedTuple):
    """One sample; after collation each field has a leading batch dimension."""

    context_THWC: Any  # uint8
    future_FTHWC: Any  # uint8
    context_colour_34: Any  # float32
    future_colour_F34: Any  # float32
    gap_F: Any  # int64, video frames between context and future
    group: Any  # int64, number of the video's group


class ForecastDataset(Dataset[Sample]):
    """Contexts with their futures, indexed by (epoch, video)."""

    def __init__(
        self,
        videos: FrameStore,
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
        self.reader = FrameCache(videos.reader, self.n_frames, kept_bytes) if kept_bytes else videos.reader
        self.groups = videos.table.group.astype("category").cat.codes.to_numpy().astype(np.int64)

    def video(self, key: tuple[int, int]) -> int:
        """Number of the video of a key."""
        return key[1]

    def place(self, key: tuple[int, int]) -> tuple[int, npt.NDArray[np.int64], np.random.Generator]:
        """First frame of the context, the gap of each future, [F], and the generator of all further draws."""
        epoch, video = key
        rng = np.random.default_rng((self.seed, epoch, video))
        return *draw_places(int(self.n_frames[video]), self.span, self.forecast, rng), rng

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        _, video = key
        context, gap_F, rng = self.place(key)
        starts = [context, *(context + self.span + gap_F)]
        frames = self.reader.read(video, np.concatenate([start + self.offsets for start in starts]))
        count = len(self.offsets)
        clips = [frames[at : at + count] for at in range(0, len(frames), count)]
        clean_targets = rng.random() < self.augment.clean_target_prob
        (context_THWC, context_colour_34), *futures = (
            self._unaugmented(clip) if clean_targets and number else self._augmented(clip, rng)
            for number, clip in enumerate(clips)
        )
        future_FTHWC, future_colour_F34 = (np.stack(parts) for parts in zip(*futures, strict=True))
        return Sample(context_THWC, future_FTHWC, context_colour_34, future_colour_F34, gap_F, self.groups[video])

    def _augmented(self, frames: Frames, rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], Matrix]:
        return random_crop(frames, self.clip, self.augment, rng), random_colour(self.augment, rng)

    def _unaugmented(self, frames: Frames) -> tuple[npt.NDArray[np.uint8], Matrix]:
        """As the evaluations see a clip."""
        return evaluated_part(frames, self.clip), UNCHANGED_34


class EpochSampler(Sampler[list[tuple[int, int]]]):
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
        processes: Processes = SINGLE,
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
                    yield [(epoch, video) for video in self.processes.shard(batch)]


def to_device(batch: Sample, device: Any) -> Sample:
    """The same batch on `device`, copied without waiting where its memory is pinned."""
    fields: list[Tensor] = [tensor.to(device, non_blocking=True) for tensor in batch]
    return Sample(*fields)
