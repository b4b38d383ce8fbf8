"""Online kNN evaluation: a score of the training videos that shows the progress of pretraining in the log.

Only this score uses labels; the training does not.

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
from mofore.splits import sample_rows

MAX_VIDEOS = 512
CLIPS_PER_VIDEO = 2


class OnlineKnn:
    """1-nearest-neighbour classification of labelled training videos, with neighbours from other groups only."""

    def __init__(self, videos: FrameStore, params: Params) -> None:
        """Use the labelled videos; a random sample of MAX_VIDEOS if there are more."""
        labelled = np.flatnonzero((videos.table.label != "").to_numpy())
        some = videos.select(sample_rows(labelled, MAX_VIDEOS, params.seed))
        self.label, self.group = some.table.label.to_numpy(str), some.table.group.to_numpy(str)
        self.samples, self.runtime = UniformClips(some, params.clip, CLIPS_PER_VIDEO), params.runtime

    @property
    def possible(self) -> bool:
        """Whether there are at least two classes and two groups."""
        return len(set(self.label)) > 1 and len(set(self.group)) > 1

    def score(self, encoder: nn.Module, device: torch.device) -> float:
        """Accuracy of the classification with an encoder, 0 to 1. The encoder's train or eval mode is kept."""
        was_training = encoder.training
        features_VKD = embed_clips({"": encoder.eval()}, self.samples, self.runtime, device)[""]
        encoder.train(was_training)
        return nearest_of_another_group(features_VKD.mean(axis=1), self.label, self.group)


def nearest_of_another_group(
    x_VD: npt.NDArray[np.float32], label: npt.NDArray[np.str_], group: npt.NDArray[np.str_]
) -> float:
    """Share of videos, 0 to 1, whose nearest neighbour by cosine similarity among other groups has their label."""
    unit_VD = F.normalize(torch.from_numpy(x_VD), dim=1).numpy()
    similarity_VV = unit_VD @ unit_VD.T
    similarity_VV[group[:, None] == group[None, :]] = -np.inf
    return float((label[similarity_VV.argmax(axis=1)] == label).mean())
