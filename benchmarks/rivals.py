"""MoCo and BYOL built from lightly's modules as in lightly's examples, but on clips instead of images.

As in the examples: float32, the default memory format, a DataLoader whose processes augment one sample at a time with
torchvision, SGD with learning rate 0.06, the sizes of the heads, and an EMA momentum that rises from 0.996 to 1.

As in MoFore, so that methods are compared and not data: encoder, batch size, pairs of clips, strength of augmentation,
and frames from packs, which are faster to read than videos.

Shapes: B batch, F futures, T frames, H = W side of a clip, C = 3 colours, P projection dimensions.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead, MoCoProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from mofore.clips.augment import MEAN, STD
from mofore.clips.sampling import clip_offsets, clip_span, draw_positions
from mofore.config import Params
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder


class TwoClips(Dataset[tuple[Tensor, Tensor]]):
    """Two clips of a video, augmented independently: [C, T, H, W] each."""

    def __init__(self, videos: FrameStore, params: Params) -> None:
        self.videos, self.params = videos, params
        augment, size = params.augment, (params.clip.size, params.clip.size)
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(augment.crop_min, 1)),
                v2.RandomHorizontalFlip(augment.flip),
                v2.ColorJitter(augment.jitter, augment.jitter, augment.jitter),
                v2.RandomGrayscale(augment.grayscale),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([MEAN] * 3, [STD] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, video: int) -> tuple[Tensor, Tensor]:
        clip, n_frames = self.params.clip, int(self.videos.table.frames.iloc[video])
        rng = np.random.default_rng(int(torch.randint(2**31, ())))  # torch seeds each worker differently
        first, gap_F = draw_positions(n_frames, clip_span(clip), self.params.forecast, rng)
        return self._view(video, first), self._view(video, first + clip_span(clip) + int(gap_F[0]))

    def _view(self, video: int, start: int) -> Tensor:
        """One augmented clip that starts at frame `start`, [C, T, H, W]."""
        clip = self.params.clip
        frames = torch.from_numpy(self.videos.read(video, start + clip_offsets(clip))).permute(0, 3, 1, 2)
        x_TCHW: Tensor = self.transform(frames)
        return (x_TCHW.diff(dim=0) if clip.input == "residual" else x_TCHW).transpose(0, 1)


def contiguous_encoder(params: Params) -> nn.Module:
    """MoFore's encoder, randomly initialised, in the default memory format."""
    return build_encoder(params.encoder.name, params.seed).to(memory_format=torch.contiguous_format)


class MoCo(nn.Module):
    """MoCo v2 (Chen et al., "Improved Baselines with Momentum Contrastive Learning", 2020)."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.encoder = contiguous_encoder(params)
        dim: int = self.encoder.dim  # type: ignore[assignment]
        self.online = nn.Sequential(self.encoder, MoCoProjectionHead(dim, 512, 128))
        self.ema = copy.deepcopy(self.online)
        deactivate_requires_grad(self.ema)
        self.criterion = NTXentLoss(memory_bank_size=(4096, 128))

    def forward(self, query_BCTHW: Tensor, key_BCTHW: Tensor) -> Tensor:
        query_BP, key_BP = self.online(query_BCTHW), self.ema(key_BCTHW).detach()
        loss: Tensor = self.criterion(query_BP, key_BP)
        return loss


class BYOL(nn.Module):
    """BYOL (Grill et al., "Bootstrap Your Own Latent", 2020)."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.encoder = contiguous_encoder(params)
        dim: int = self.encoder.dim  # type: ignore[assignment]
        self.online = nn.Sequential(self.encoder, BYOLProjectionHead(dim, 1024, 256))
        self.prediction = BYOLPredictionHead(256, 1024, 256)
        self.ema = copy.deepcopy(self.online)
        deactivate_requires_grad(self.ema)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> Tensor:
        p0_BP, z0_BP = self.prediction(self.online(first_BCTHW)), self.ema(first_BCTHW).detach()
        p1_BP, z1_BP = self.prediction(self.online(second_BCTHW)), self.ema(second_BCTHW).detach()
        loss: Tensor = 0.5 * (self.criterion(p0_BP, z1_BP) + self.criterion(p1_BP, z0_BP))
        return loss


def train(model: MoCo | BYOL, videos: FrameStore, params: Params, workers: int, epochs: int) -> Iterator[None]:
    """Train for `epochs`; each item is one step."""
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        TwoClips(videos, params), params.pretrain.batch_size, shuffle=True, drop_last=True, num_workers=workers
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    for epoch in range(epochs):
        momentum = cosine_schedule(epoch, epochs, 0.996, 1)
        for first_BCTHW, second_BCTHW in loader:
            update_momentum(model.online, model.ema, m=momentum)
            loss = model(first_BCTHW, second_BCTHW)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield


RIVALS: dict[str, Callable[[Params], MoCo | BYOL]] = {"moco": MoCo, "byol": BYOL}
