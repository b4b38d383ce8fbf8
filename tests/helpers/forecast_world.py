"""Made-up clip embeddings with targets, and forecasters of known quality, for tests of the forecast skill.

The features of a clip are (number of its video, its first frame), so a forecaster can look up any target.

Shapes: K distinct clips, N forecasts, D features, P dimensions of a target.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.config import Forecast
from mofore.embedding.store import ClipEmbeddings, Embeddings
from mofore.evaluation.forecast_pairs import score_pairs

SPAN, P = 5, 8  # video frames that a clip spans, dimensions of a target
TRAINED = Forecast(
    gap_min=2,
    gap_max=12,
    gap_distribution="uniform",
    gap_conditioning="gap",
    futures=1,
    weight=1.0,
    loss="cosine",
    projection_dim=P,
    hidden_dim=8,
    batch_norm=True,
    residual=False,
)
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass
class World:
    """Embeddings of clips and videos, and forecasters for them."""

    features: ClipEmbeddings
    targets: ClipEmbeddings
    videos: Embeddings

    def __post_init__(self) -> None:
        self.of_clip = {
            (int(number), int(start)): target / np.linalg.norm(target)
            for (number, start), target in zip(self.features.x_ND, self.targets.x_ND, strict=True)
        }

    def oracle(self, features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        """Forecast the true target if the gap is correct. The forecasts are not normalised."""
        nowhere = np.ones(P, np.float32)
        at = zip(features_KD[context_N].astype(int), gap_N, strict=True)
        return np.stack([3 * self.of_clip.get((number, start + SPAN + gap), nowhere) for (number, start), gap in at])

    def persistence(self, features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return np.stack([2 * self.of_clip[number, start] for number, start in features_KD[context_N].astype(int)])

    def vague(self, features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        """Forecast the sum of the true target and the present one: better than persistence, but not perfect."""
        return self.oracle(features_KD, context_N, gap_N) + self.persistence(features_KD, context_N, gap_N)

    def pairs(self, forecaster: str = "vague", seed: int = 0) -> pd.DataFrame:
        return score_pairs(self.features, self.targets, self.videos, getattr(self, forecaster), SPAN, seed)


def world(
    n_videos: int = 24, clips: int = 6, groups: int = 8, drift: float = 0.5, step: int = 4, seed: int = 0
) -> World:
    """Make a world in which each video's targets follow a random walk.

    Args:
        n_videos: number of videos.
        clips: clips per video.
        groups: number of groups; every second group is in the test split.
        drift: standard deviation of the random walk per clip.
        step: video frames from one clip to the next.
        seed: of all random values.
    """
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=(n_videos, 1, P)) + drift * np.cumsum(rng.normal(size=(n_videos, clips, P)), axis=1)
    number = np.arange(n_videos)
    name, group = np.array([f"v, {i:03d}" for i in number]), number % groups
    start = (np.arange(clips) * step)[None] + rng.integers(0, 3, n_videos)[:, None]
    features = np.stack([np.repeat(number, clips), start.ravel()], axis=1).astype(np.float32)
    of_clips = {"video": np.repeat(name, clips), "start": start.ravel()}
    return World(
        ClipEmbeddings(features, **of_clips),
        ClipEmbeddings(walk.reshape(-1, P).astype(np.float32), **of_clips),
        Embeddings(
            walk.mean(axis=1).astype(np.float32),
            name,
            label=np.full(n_videos, ""),
            group=group.astype(str),
            split=np.where(group % 2, "test", "train"),
        ),
    )
