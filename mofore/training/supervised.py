"""Trains the same encoder from scratch on the labels of the training videos, as a supervised upper reference.

Clips, augmentation, optimiser and schedule are those of pretraining. A linear layer with cross-entropy replaces the
heads and losses of pretraining. The weights after the last epoch are used, without selection on other videos.

Shapes: B clips of this process, T frames, H = W side of a clip, C = 3 colours, V videos, L classes.
"""

from collections import deque
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from mofore.clips.augment import random_colour, random_crop, to_input
from mofore.clips.dataset import EpochSampler
from mofore.clips.loader import load_batches
from mofore.clips.sampling import clip_offsets, clip_span
from mofore.clips.transfer import to_device
from mofore.config import Params
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from mofore.method.encoders import Encoder, TwoStream, build_encoder
from mofore.runtime.device import autocast
from mofore.runtime.distributed import SINGLE, Processes
from mofore.training.optim import adamw, learning_rate
from mofore.utils.progress import progress
from mofore.utils.text import counted


class Labelled(NamedTuple):
    """One sample; in a batch each field has a leading dimension B."""

    clip_THWC: Any  # uint8
    colour_34: Any  # float32
    label: Any  # int64, index of the class


class LabelledClips(Dataset[Labelled]):
    """Random augmented clips. A key is (epoch, index of the video); all draws follow from it and the seed."""

    def __init__(self, videos: FrameStore, params: Params) -> None:
        self.clip, self.augment, self.seed = params.clip, params.augment, params.seed
        self.offsets, self.reader = clip_offsets(params.clip), videos.reader
        self.last_start_V = videos.table.frames.to_numpy() - clip_span(params.clip)
        self.classes_L, self.label_V = np.unique(videos.table.label.to_numpy(str), return_inverse=True)

    def video(self, key: tuple[int, int]) -> None:
        """Nothing is cached."""

    def __getitem__(self, key: tuple[int, int]) -> Labelled:
        epoch, video = key
        rng = np.random.default_rng((self.seed, epoch, video))
        frames = self.reader.read(video, rng.integers(self.last_start_V[video] + 1) + self.offsets)
        clip_THWC = random_crop(frames, self.clip, self.augment, rng)
        return Labelled(clip_THWC, random_colour(self.augment, rng), self.label_V[video])


class Trained(NamedTuple):
    """A network that was trained on labels.

    Attributes:
        encoder: in eval mode.
        classifier: from its features [B, D] to logits [B, L].
        classes_L: names of the classes.
        accuracy: on the clips of the last epoch, 0 to 1.
    """

    encoder: Encoder | TwoStream
    classifier: nn.Linear
    classes_L: npt.NDArray[np.str_]
    accuracy: float


def why_untrainable(videos: FrameStore, batch_size: int) -> str:
    """The reason why these labelled training videos do not suffice for training; empty if they do."""
    classes = videos.table.label.nunique()
    if classes < 2:
        return f"the training videos have {counted(classes, 'label')}, but at least two are needed"
    if len(videos) < batch_size:
        return f"{counted(len(videos), 'labelled training video')}, fewer than pretrain.batch_size, {batch_size}"
    return ""


def train_on_labels(params: Params, videos: FrameStore, device: torch.device, processes: Processes = SINGLE) -> Trained:
    """Train encoder and linear layer for `supervised.epochs`.

    Args:
        params: all parameters.
        videos: labelled training videos, each at least one clip long, and enough of them (see `why_untrainable`).
        device: where to train.
        processes: the data-parallel processes.

    Raises:
        UserError: the weights are not finite at the end.
    """
    p = params.pretrain
    clips = LabelledClips(videos, params)
    batches = EpochSampler(len(videos), p.batch_size, params.supervised.epochs, params.seed, processes=processes)
    torch.manual_seed(params.seed)
    encoder = build_encoder(params.encoder.name, params.seed, params.clip.input)
    classifier = nn.Linear(encoder.dim, len(clips.classes_L))
    model = nn.Sequential(encoder, classifier).to(device).train()
    network = processes.replicate(model, device)
    optimizer = adamw(model, p.lr, p.weight_decay)
    accuracies: deque[Tensor] = deque(maxlen=batches.steps_per_epoch)  # of the last steps

    with closing(load_batches(clips, batches, params.runtime.workers, device)) as loaded:
        bar = progress(loaded, batches.steps, "supervised", "step", hidden=not processes.is_main)
        for step, host_batch in enumerate(bar, start=1):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(p, step / batches.steps)
            batch = to_device(host_batch, device)
            clip_BCTHW = to_input(batch.clip_THWC, params.clip.input, batch.colour_34)  # in float32, as in pretraining
            with autocast(params.runtime, device):
                logits_BL = network(clip_BCTHW)
            loss = F.cross_entropy(logits_BL.float(), batch.label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            accuracies.append((logits_BL.argmax(dim=1) == batch.label).float().mean())

    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise UserError("params.yaml: supervised training diverged, its weights are not finite: lower pretrain.lr")
    last_epoch = processes.gather(torch.stack(list(accuracies)))
    return Trained(encoder.eval(), classifier, clips.classes_L, float(last_epoch.mean()))
