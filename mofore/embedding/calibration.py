"""The control `random_init`: the encoder with random weights, with normalisations that fit the data.

A new network has BatchNorm statistics of mean 0 and variance 1, which fit no video. With these its features would be
worse than random weights need to be, and the lead over them too large. Therefore the statistics are first measured on
training clips, without labels and without gradients. The weights stay as they were drawn.

Shapes: V videos of a batch, K clips of each, T frames, H = W side of a clip, C = 3 colours.
"""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from mofore.clips.augment import to_input
from mofore.clips.loader import load_batches
from mofore.clips.transfer import to_device
from mofore.config import Params
from mofore.embedding.inference import UniformClips, video_batches
from mofore.frames.store import FrameStore
from mofore.method.encoders import Encoder, TwoStream, build_encoder
from mofore.runtime.device import autocast
from mofore.splits import sample_rows, these_or_all

MAX_VIDEOS = 256
CLIPS_PER_VIDEO = 4


def untrained_encoder(videos: FrameStore, params: Params, device: torch.device) -> Encoder | TwoStream:
    """The encoder with random weights, calibrated, in eval mode, on `device`.

    Args:
        videos: each at least one clip long. Those of the train split are used, all if there is none; of many a random
            sample, by `seed`.
    """
    encoder = build_encoder(params.encoder.name, params.seed, params.clip.input).to(device)
    calibrate(encoder, videos, params, device)
    return encoder.eval()


def calibrate(encoder: nn.Module, videos: FrameStore, params: Params, device: torch.device) -> None:
    """Set the statistics of all BatchNorm layers to the mean over batches of training clips."""
    train = np.flatnonzero(these_or_all((videos.table.split == "train").to_numpy()))
    chosen = sample_rows(train, MAX_VIDEOS, params.seed)
    samples = UniformClips(videos.select(chosen), params.clip, CLIPS_PER_VIDEO)
    with torch.no_grad(), autocast(params.runtime, device):
        update_bn(_inputs(samples, params, device), encoder)


def _inputs(samples: UniformClips, params: Params, device: torch.device) -> Iterator[Tensor]:
    with closing(load_batches(samples, video_batches(len(samples)), params.runtime.workers, device)) as loaded:
        for frames_VKTHWC in loaded:
            yield to_input(to_device(frames_VKTHWC, device).flatten(0, 1), params.clip.input)
