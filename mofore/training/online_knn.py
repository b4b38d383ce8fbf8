"""Does training help? The nearest neighbour's label, on training videos, while training goes on.

Labels are looked at here, for the log, and nowhere in the training itself.

Shapes: V videos, K clips, D feature dimensions.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from mofore.config import Params
from mofore.embedding.inference import UniformClips, embed_clips
from mofore.frames.store import FrameStore

VIDEOS = 512  # at most
CLIPS = 2  # a video


class OnlineKnn:
    """Leave one group out: is the nearest training video of another group of the same class?"""

    def __init__(self, videos: FrameStore, params: Params) -> None:
        """Take the labelled videos, some of them if they are many."""
        labelled = (videos.table.label != "").to_numpy()
        rows = np.flatnonzero(labelled)
        if len(rows) > VIDEOS:
            rows = np.random.default_rng(params.seed).choice(rows, VIDEOS, replace=False)
        some = videos.some(np.sort(rows))
        self.label, self.group = some.table.label.to_numpy(str), some.table.group.to_numpy(str)
        self.samples, self.runtime = UniformClips(some, params.clip, CLIPS), params.runtime

    @property
    def possible(self) -> bool:
        """Are there two classes and two groups?"""
        return len(set(self.label)) > 1 and len(set(self.group)) > 1

    def score(self, encoder: nn.Module, device: torch.device) -> float:
        """Share of videos, 0 to 1; the encoder is left in the mode it was in."""
        learning = encoder.training
        features_VKD = embed_clips({"": encoder.eval()}, self.samples, self.runtime, device)[""]
        encoder.train(learning)
        return nearest_of_another_group(features_VKD.mean(axis=1), self.label, self.group)


def nearest_of_another_group(
    x_VD: npt.NDArray[np.float32], label: npt.NDArray[np.str_], group: npt.NDArray[np.str_]
) -> float:
    """Share of videos whose nearest neighbour among the other groups, by cosine, has their label."""
    unit_VD = F.normalize(torch.from_numpy(x_VD), dim=1).numpy()
    similarity_VV = unit_VD @ unit_VD.T
    similarity_VV[group[:, None] == group[None, :]] = -np.inf
    return float((label[similarity_VV.argmax(axis=1)] == label).mean())
