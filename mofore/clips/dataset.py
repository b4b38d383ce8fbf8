"""Dataset and batch sampler for pretraining: a context clip, future clips of the same video, and the gaps.

All random draws of a sample follow from (seed, epoch, video). So samples are the same for any number of loader workers.

Shapes: F futures of a context, T frames, H = W side of a clip, C = 3 colours (RGB), 34 a [3, 4] affine map of RGB.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset, Sampler

from mofore.clips.augment import IDENTITY_34, ClipFrames, eval_crop, random_colour, random_crop
from mofore.clips.sampling import clip_offsets, clip_span, draw_positions
from mofore.config import Augment, Clip, Forecast
from mofore.frames.cache import FrameCache
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE, Processes

ColourMap = npt.NDArray[np.float32]  # affine map of RGB, [3, 4]


class Sample(NamedTuple):
    """One sample; after collation each field has a leading batch dimension."""

    context_THWC: Any  # uint8
    future_FTHWC: Any  # uint8
    context_colour_34: Any  # float32
    future_colour_F34: Any  # float32
    gap_F: Any  # int64, video frames between the end of the context and the start of each future
    group: Any  # int64, index of the video's group


class ForecastDataset(Dataset[Sample]):
    """Contexts with their futures. A key is (epoch, index of the video)."""

    def __init__(
        self,
        videos: FrameStore,
        clip: Clip,
        forecast: Forecast,
        augment: Augment,
        seed: int,
        cache_bytes: float = 0,
    ) -> None:
        """`cache_bytes`: size limit of the cache of decoded frames, for each loader worker; 0 means no cache."""
        self.clip, self.forecast, self.augment, self.seed = clip, forecast, augment, seed
        self.offsets, self.span = clip_offsets(clip), clip_span(clip)
        self.n_frames = videos.table.frames.to_numpy()
        self.reader = FrameCache(videos.reader, self.n_frames, cache_bytes) if cache_bytes else videos.reader
        self.groups = videos.table.group.astype("category").cat.codes.to_numpy().astype(np.int64)

    def video(self, key: tuple[int, int]) -> int | None:
        """Index of the video of a key, if frames are cached."""
        return key[1] if isinstance(self.reader, FrameCache) else None

    def positions(self, key: tuple[int, int]) -> tuple[int, npt.NDArray[np.int64], np.random.Generator]:
        """Draw where the clips of a sample lie.

        Returns:
            First frame of the context; gap to each future in video frames, [F]; the generator for all later draws.
        """
        epoch, video = key
        rng = np.random.default_rng((self.seed, epoch, video))
        return *draw_positions(int(self.n_frames[video]), self.span, self.forecast, rng), rng

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        _, video = key
        context, gap_F, rng = self.positions(key)
        starts = [context, *(context + self.span + gap_F)]
        frames = self.reader.read(video, np.concatenate([start + self.offsets for start in starts]))
        count = len(self.offsets)
        clips = [frames[at : at + count] for at in range(0, len(frames), count)]
        clean_targets = rng.random() < self.augment.clean_target_prob
        (context_THWC, context_colour_34), *futures = (
            self._unaugmented(clip) if clean_targets and index else self._augmented(clip, rng)
            for index, clip in enumerate(clips)  # clip 0 is the context, which is always augmented
        )
        future_FTHWC, future_colour_F34 = (np.stack(parts) for parts in zip(*futures, strict=True))
        return Sample(context_THWC, future_FTHWC, context_colour_34, future_colour_F34, gap_F, self.groups[video])

    def _augmented(self, frames: ClipFrames, rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], ColourMap]:
        return random_crop(frames, self.clip, self.augment, rng), random_colour(self.augment, rng)

    def _unaugmented(self, frames: ClipFrames) -> tuple[npt.NDArray[np.uint8], ColourMap]:
        """The crop that evaluations use, with unchanged colours."""
        return eval_crop(frames, self.clip), IDENTITY_34


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Yields batches of keys (epoch, video) for a whole run, or for the rest of a resumed one.

    Each epoch shuffles the videos anew and drops the last incomplete batch. One sampler serves all epochs, so that
    loader workers prefetch across epoch boundaries.
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
        """Plan a run of `epochs`.

        Args:
            n_videos: number of videos, at least `batch_size`.
            batch_size: samples of the global batch; a multiple of the number of processes.
            epochs: epochs of the whole run.
            seed: of the order of videos.
            first_step: number of steps that are already done.
            processes: each yields its shard of every batch.
        """
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
