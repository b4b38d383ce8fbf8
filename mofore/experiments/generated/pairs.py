"""Samples of generated videos, a context and a later clip of the same video, and batches of whole families.

Shapes: T frames of a clip, H, W, C as in `clips.dataset`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mofore.clips.augment import IDENTITY_34, eval_crop, random_colour, random_crop
from mofore.clips.dataset import EpochSampler, Sample
from mofore.clips.sampling import clip_offsets, draw_positions
from mofore.config import Params
from mofore.experiments.generated.packs import FRAME_STEP, FRAMES, LOOKS, PROGRAMS
from mofore.frames.store import FrameReader


class GeneratedPairs:
    """Samples with one future each. Each epoch takes one of the program's looks at random.

    A key is (epoch, number of the program).
    """

    def __init__(self, folder: Path, families: int, params: Params) -> None:
        """`folder`: that of `draw_packs`. Clips take stored frames one by one, which are FRAME_STEP frames apart."""
        self.reader = FrameReader(folder, np.arange(families * PROGRAMS * LOOKS) * FRAMES)
        self.clip = replace(params.clip, stride=1)
        self.augment, self.seed = params.augment, params.seed
        self.forecast = replace(params.forecast, gap_min=0, gap_max=FRAMES, futures=1)
        self.offsets = clip_offsets(self.clip)

    def video(self, key: tuple[int, int]) -> None:
        """Nothing is cached."""

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, program = key
        rng = np.random.default_rng((self.seed, epoch, program))
        context, gap_F = draw_positions(FRAMES, len(self.offsets), self.forecast, rng)
        video = program * LOOKS + int(rng.integers(LOOKS))
        context_THWC = self.reader.read(video, context + self.offsets)
        future_THWC = self.reader.read(video, context + len(self.offsets) + int(gap_F[0]) + self.offsets)
        context_clip = random_crop(context_THWC, self.clip, self.augment, rng), random_colour(self.augment, rng)
        if rng.random() < self.augment.clean_target_prob:
            future_clip = eval_crop(future_THWC, self.clip), IDENTITY_34
        else:
            future_clip = random_crop(future_THWC, self.clip, self.augment, rng), random_colour(self.augment, rng)
        return Sample(
            context_clip[0],
            future_clip[0][None],
            context_clip[1],
            future_clip[1][None],
            gap_F * FRAME_STEP,
            np.int64(program // PROGRAMS),
        )


class FamilySampler(EpochSampler):
    """Batches of whole families, whose programs are hard to tell apart."""

    def __init__(self, families: int, batch_size: int, steps: int, seed: int) -> None:
        """`batch_size`: samples, a multiple of PROGRAMS; `steps`: at least so many, in whole epochs."""
        per_epoch = families * PROGRAMS // batch_size
        super().__init__(families * PROGRAMS, batch_size, -(-steps // per_epoch), seed)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        n_families = self.batch_size // PROGRAMS
        for step in range(self.first_step, self.steps):
            epoch, at = divmod(step, self.steps_per_epoch)
            order = np.random.default_rng((self.seed, epoch)).permutation(self.n_videos // PROGRAMS)
            families = order[at * n_families : (at + 1) * n_families].tolist()
            yield [(epoch, family * PROGRAMS + program) for family in families for program in range(PROGRAMS)]
