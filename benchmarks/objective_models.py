"""MoFore and its rivals behind one step, for `objectives.py`: what each learns by, and the settings it may be tuned to.

All share the engine: pairs of clips, augmentation, precision, memory format, AdamW, learning rate with linear warmup
and cosine to 0, momentum with cosine to 1, and, but for VideoMAE, the encoder. Losses and heads are lightly's. MoFore
is the step and the params.yaml of this project; it alone knows the videos' groups, if `contrast.mask_groups` says so.

    simclr      Chen et al., 2020; both clips of a pair against all other clips of the batch
    simclr_one  the same, but only the first clips teach the encoder, as MoFore's contexts do: to tell what that costs
    moco        He et al., 2020, with the head of v2 (Chen et al., 2020); a queue of keys made by a momentum encoder
    byol        Grill et al., 2020; each clip predicts the momentum encoder's view of the other, no negatives
    videomae    Tong et al., 2022; transformers' implementation, small: pixels of hidden tubes from the visible tenth
    supervised  the ceiling: cross-entropy of the labels, on both clips of a pair

Shapes: B pairs, N clips, C channels, T frames, H = W side of a clip, D feature and P projection dimensions, L classes,
S places (patches of a frame), K tokens (places at each of T / 2 times).
"""

import copy
from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead, MoCoProjectionHead, SimCLRProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Tensor, nn

from mofore.clips.augment import input_channels, to_input
from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.method.encoders import build_encoder
from mofore.runtime.device import autocast
from mofore.runtime.distributed import SINGLE
from mofore.training.optim import adamw
from mofore.training.pretrain import set_schedule
from mofore.training.step import make_train_state, train_step

Settings = dict[str, Any]  # by key of params.yaml

LR, TEMPERATURE, START, PLAIN = "pretrain.lr", "contrast.temperature", "momentum.start", "augment.clean_target_prob"
RECOMMENDED: dict[str, Settings] = {  # where params.yaml is not what the authors of a method recommend
    "mofore": {},
    "simclr": {PLAIN: 0.0},  # all of these augment both clips
    "simclr_one": {PLAIN: 0.0},
    "moco": {PLAIN: 0.0, TEMPERATURE: 0.2},  # of v2
    "byol": {PLAIN: 0.0},
    "videomae": {PLAIN: 0.0, "augment.jitter": 0.0, "augment.grayscale": 0.0},  # crops and flips alone
    "supervised": {PLAIN: 0.0},
}
CANDIDATES: dict[str, list[Settings]] = {  # as many for each: two learning rates, two values of what matters most
    "mofore": [{LR: lr, TEMPERATURE: t} for t in (0.1, 0.2) for lr in (1e-3, 3e-3)],
    "simclr": [{LR: lr, TEMPERATURE: t} for t in (0.1, 0.5) for lr in (1e-3, 3e-3)],  # the paper's, lightly's
    "simclr_one": [{LR: lr, TEMPERATURE: t} for t in (0.1, 0.5) for lr in (1e-3, 3e-3)],
    "moco": [{LR: lr, START: m} for m in (0.99, 0.9) for lr in (1e-3, 3e-3)],  # 0.999 is for long runs
    "byol": [{LR: lr, START: m} for m in (0.99, 0.9) for lr in (1e-3, 3e-3)],  # 0.996 is for long runs
    "videomae": [{LR: lr, "clip.input": i} for i in ("rgb", "residual") for lr in (1e-3, 3e-3)],
    "supervised": [{LR: lr, "pretrain.weight_decay": w} for w in (0.05, 0.5) for lr in (1e-3, 3e-3)],
}

HIDDEN, PROJECTION = 512, 128  # of heads, as MoFore's
BYOL_HIDDEN, BYOL_PROJECTION = 1024, 256  # the paper has 4096, for an encoder ten times as wide, and 256
QUEUE = 1024  # MoCo's keys; the paper's 65,536 are a twentieth of its images, but all of many a folder's videos
KEY_PARTS = 2  # in which keys are normalised apart, after a shuffle: what processors of their own do in the paper
PATCH, TUBELET = 8, 2  # pixels and frames of VideoMAE's tokens; the paper's 16 pixels are for clips of 224
HIDDEN_SHARE = 0.9  # of VideoMAE's places


class Trainer(Protocol):
    """What trains an encoder, step by step."""

    @property
    def encoder(self) -> nn.Module:
        """[N, C, T, H, W] to [N, D]."""
        ...

    def step(self, batch: Sample, share: float) -> None:
        """One step, which ends when `share` of the training is done, 0 to 1."""
        ...


class OurLearner:
    """MoFore."""

    def __init__(self, params: Params, device: torch.device) -> None:
        self.params, self.learner = params, make_train_state(params, device, SINGLE)

    @property
    def encoder(self) -> nn.Module:
        return self.learner.model.encoder

    def step(self, batch: Sample, share: float) -> None:
        _, momentum = set_schedule(self.learner.optimizer, self.params, share)
        train_step(self.learner, batch, self.params, momentum)


class Objective(nn.Module):
    """A rival: its networks, and the loss of what they make of two clips a video."""

    encoder: nn.Module
    betas = (0.9, 0.999)  # of AdamW

    def loss(self, made: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        """The loss, of what `forward` has made of the pairs' first and second clips."""
        raise NotImplementedError

    def follow(self, momentum: float) -> None:
        """Let the momentum encoder follow, where there is one."""


class RivalLearner:
    """A rival on MoFore's engine."""

    def __init__(self, objective: Objective, params: Params, device: torch.device) -> None:
        self.objective, self.params, self.device = objective.to(device).train(), params, device
        self.optimizer = adamw(self.objective, params.pretrain.lr, params.pretrain.weight_decay)
        for group in self.optimizer.param_groups:
            group["betas"] = objective.betas

    @property
    def encoder(self) -> nn.Module:
        return self.objective.encoder

    def step(self, batch: Sample, share: float) -> None:
        _, momentum = set_schedule(self.optimizer, self.params, share)
        loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.objective.follow(momentum)

    def loss(self, batch: Sample) -> Tensor:
        """Of one batch; losses are computed in float32 whatever the networks ran in."""
        first_BCTHW = to_input(batch.context_THWC, self.params.clip.input, batch.context_colour_34)
        second_BCTHW = to_input(batch.future_FTHWC[:, 0], self.params.clip.input, batch.future_colour_F34[:, 0])
        with autocast(self.params.runtime, self.device):
            made = self.objective(first_BCTHW, second_BCTHW)
        return self.objective.loss(tuple(x.float() for x in made), batch.group)


class SimCLR(Objective):
    def __init__(self, params: Params, classes: int) -> None:
        super().__init__()
        self.encoder, dim = fresh_encoder(params)
        self.head = SimCLRProjectionHead(dim, HIDDEN, PROJECTION)
        self.criterion = NTXentLoss(params.contrast.temperature)

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        z_NP: Tensor = self.head(self.encoder(torch.cat([first_BCTHW, second_BCTHW])))
        return z_NP.chunk(2)

    def loss(self, made: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        loss: Tensor = self.criterion(*made)
        return loss


class OneSidedSimCLR(SimCLR):
    """SimCLR without gradient from the second clips; both still pass the encoder as one batch."""

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        first_BP, second_BP = super().forward(first_BCTHW, second_BCTHW)
        return first_BP, second_BP.detach()


class MomentumObjective(Objective):
    """A rival with a second encoder and head, which follow the first ones and have no gradients."""

    def __init__(self, params: Params, make_head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.encoder, dim = fresh_encoder(params)
        self.online = nn.Sequential(self.encoder, make_head(dim))
        self.ema = copy.deepcopy(self.online)
        deactivate_requires_grad(self.ema)

    def follow(self, momentum: float) -> None:
        update_momentum(self.online, self.ema, m=momentum)


class MoCo(MomentumObjective):
    """Keys pass the momentum encoder in parts of a random order, so that no batch's statistics tell query and key."""

    def __init__(self, params: Params, classes: int) -> None:
        super().__init__(params, lambda dim: MoCoProjectionHead(dim, HIDDEN, PROJECTION))
        self.criterion = NTXentLoss(params.contrast.temperature, memory_bank_size=(QUEUE, PROJECTION))

    def forward(self, query_BCTHW: Tensor, key_BCTHW: Tensor) -> tuple[Tensor, ...]:
        order_B = torch.randperm(len(key_BCTHW), device=key_BCTHW.device)
        with torch.no_grad():
            parts = [self.ema(part) for part in key_BCTHW[order_B].chunk(KEY_PARTS)]
        return self.online(query_BCTHW), torch.cat(parts)[order_B.argsort()]

    def loss(self, made: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        loss: Tensor = self.criterion(*made)
        return loss


class BYOL(MomentumObjective):
    def __init__(self, params: Params, classes: int) -> None:
        super().__init__(params, lambda dim: BYOLProjectionHead(dim, BYOL_HIDDEN, BYOL_PROJECTION))
        self.predictor = BYOLPredictionHead(BYOL_PROJECTION, BYOL_HIDDEN, BYOL_PROJECTION)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        clips = (first_BCTHW, second_BCTHW)
        with torch.no_grad():
            targets = [self.ema(clip_BCTHW) for clip_BCTHW in clips]
        return *(self.predictor(self.online(clip_BCTHW)) for clip_BCTHW in clips), *targets

    def loss(self, made: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        predicted_first_BP, predicted_second_BP, first_BP, second_BP = made
        loss: Tensor = self.criterion(predicted_first_BP, second_BP) + self.criterion(predicted_second_BP, first_BP)
        return loss / 2


class Supervised(Objective):
    def __init__(self, params: Params, classes: int) -> None:
        super().__init__()
        self.encoder, dim = fresh_encoder(params)
        self.head = nn.Linear(dim, classes)

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        return (self.head(self.encoder(torch.cat([first_BCTHW, second_BCTHW]))),)

    def loss(self, made: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        return F.cross_entropy(made[0], label_B.repeat(2))


class MeanToken(nn.Module):
    """VideoMAE's encoder on all tokens, their mean as features: [N, C, T, H, W] to [N, D]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        tokens_NKD: Tensor = self.model(x_NCTHW.transpose(1, 2)).last_hidden_state
        return tokens_NKD.mean(dim=1)


class VideoMAE(Objective):
    betas = (0.9, 0.95)  # of the paper

    def __init__(self, params: Params, classes: int) -> None:
        from transformers import VideoMAEConfig, VideoMAEForPreTraining  # slow, and the others do without

        super().__init__()
        config = VideoMAEConfig(
            image_size=params.clip.size,
            num_frames=params.clip.frames,
            num_channels=input_channels(params.clip.input),
            patch_size=PATCH,
            tubelet_size=TUBELET,
            hidden_size=192,  # a third of ViT-S, as wide as the features of the small encoder
            num_hidden_layers=6,
            num_attention_heads=3,
            intermediate_size=768,
            decoder_hidden_size=96,  # half as wide as the encoder, as in the paper
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=3,
            decoder_intermediate_size=384,
            norm_pix_loss=True,
            attn_implementation="eager",  # a fifth faster here than the fused one, in bf16 on a CPU
            use_mean_pooling=False,  # in transformers: a last normalisation in pretraining, as in the paper
        )
        self.model = VideoMAEForPreTraining(config)
        self.encoder = MeanToken(self.model.videomae)
        self.places, self.times = (params.clip.size // PATCH) ** 2, params.clip.frames // TUBELET
        self.visible = max(1, round((1 - HIDDEN_SHARE) * self.places))

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        x_NTCHW = torch.cat([first_BCTHW, second_BCTHW]).transpose(1, 2).contiguous()
        rank_NS = torch.rand(len(x_NTCHW), self.places, device=x_NTCHW.device).argsort(dim=1).argsort(dim=1)
        hidden_NK = (rank_NS >= self.visible).repeat(1, self.times)  # tubes: the same places at all times
        return (self.model(x_NTCHW, bool_masked_pos=hidden_NK).loss,)

    def loss(self, made: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        return made[0]


RIVALS: dict[str, Callable[[Params, int], Objective]] = {
    "simclr": SimCLR,
    "simclr_one": OneSidedSimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "videomae": VideoMAE,
    "supervised": Supervised,
}
METHODS = ("mofore", *RIVALS)
COMPARED = ("simclr", "moco", "byol", "videomae", "supervised")  # what stands beside MoFore if nothing is asked for


def fresh_encoder(params: Params) -> tuple[nn.Module, int]:
    """The encoder that all but VideoMAE train, and its D."""
    encoder = build_encoder(params.encoder.name, params.seed, input_channels(params.clip.input))
    dim: int = encoder.dim  # type: ignore[assignment]
    return encoder, dim


def make(method: str, params: Params, classes: int, device: torch.device) -> Trainer:
    """A method at its start, drawn from `seed`."""
    if method == "mofore":
        return OurLearner(params, device)
    torch.manual_seed(params.seed)
    return RivalLearner(RIVALS[method](params, classes), params, device)


def apply(params: Params, method: str, settings: Settings) -> None:
    """Change `params` to what a method recommends, then to `settings`. Rivals take two clips a video."""
    if method != "mofore":
        params.forecast.futures = 1
    for key, value in (RECOMMENDED[method] | settings).items():
        section, name = key.split(".")
        setattr(getattr(params, section), name, value)
