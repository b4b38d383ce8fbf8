"""The methods that `objectives.py` compares, behind one interface, with the settings among which each is tuned.

All methods share clip pairs, augmentation, precision, memory format, AdamW, the schedule of the learning rate (linear
warm-up, then cosine to 0) and the schedule of the EMA momentum (cosine to 1). All but VideoMAE share the encoder and
its start. With two streams, each stream of a rival has its own networks and loss, as MoFore's streams have.
Losses and heads of the rivals are lightly's. MoFore is the training step of this project with params.yaml. It alone
uses the groups of the videos, if `contrast.mask_groups` is set.

    simclr      Chen et al., 2020: each clip of a pair against all other clips of the batch
    simclr_one  SimCLR with gradient from the first clips only, as MoFore has from contexts only; shows what that costs
    moco        He et al., 2020, with the head of v2 (Chen et al., 2020): a queue of keys from an EMA encoder
    byol        Grill et al., 2020: predicts the EMA encoder's embedding of the other clip; no negatives
    videomae    Tong et al., 2022, a small model of transformers: reconstructs masked tubes from a tenth of the patches
    supervised  cross-entropy of the labels on both clips of a pair: the ceiling

Shapes: B pairs, N clips, C channels, T frames, H = W side of a clip, D feature and P projection dimensions, L classes,
S places (patches of a frame), K tokens (places at each of T / 2 times).
"""

import copy
from collections.abc import Callable
from dataclasses import replace
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
from mofore.method.encoders import Encoder, TwoStream, build_encoder
from mofore.method.shipped import STREAM_OF, shipped_encoder
from mofore.runtime.device import autocast
from mofore.runtime.distributed import SINGLE
from mofore.training.optim import adamw
from mofore.training.pretrain import set_schedule
from mofore.training.step import make_train_state, train_step

Settings = dict[str, Any]  # flat keys of params.yaml and their values

LR, TEMPERATURE = "pretrain.lr", "contrast.temperature"
MOMENTUM, CLEAN_TARGET = "momentum.start", "augment.clean_target_prob"
RECOMMENDED: dict[str, Settings] = {  # differences from params.yaml that a method's authors recommend
    "mofore": {},
    "simclr": {CLEAN_TARGET: 0.0},  # all of these augment both clips
    "simclr_one": {CLEAN_TARGET: 0.0},
    "moco": {CLEAN_TARGET: 0.0, TEMPERATURE: 0.2},  # of MoCo v2
    "byol": {CLEAN_TARGET: 0.0},
    "videomae": {CLEAN_TARGET: 0.0, "augment.jitter": 0.0, "augment.grayscale": 0.0},  # crops and flips only
    "supervised": {CLEAN_TARGET: 0.0},
}
CANDIDATES: dict[str, list[Settings]] = {  # four for each: two learning rates, two values of another important setting
    "mofore": [{LR: lr, TEMPERATURE: t} for t in (0.1, 0.2) for lr in (1e-3, 3e-3)],
    "simclr": [{LR: lr, TEMPERATURE: t} for t in (0.1, 0.5) for lr in (1e-3, 3e-3)],  # of the paper, of lightly
    "simclr_one": [{LR: lr, TEMPERATURE: t} for t in (0.1, 0.5) for lr in (1e-3, 3e-3)],
    "moco": [{LR: lr, MOMENTUM: m} for m in (0.99, 0.9) for lr in (1e-3, 3e-3)],  # 0.999 is for long runs
    "byol": [{LR: lr, MOMENTUM: m} for m in (0.99, 0.9) for lr in (1e-3, 3e-3)],  # 0.996 is for long runs
    "videomae": [{LR: lr, "augment.crop_min": area} for area in (0.4, 0.8) for lr in (1e-3, 3e-3)],
    "supervised": [{LR: lr, "pretrain.weight_decay": w} for w in (0.05, 0.5) for lr in (1e-3, 3e-3)],
}

HIDDEN, PROJECTION = 512, 128  # widths of the heads, as in MoFore
BYOL_HIDDEN, BYOL_PROJECTION = 1024, 256  # the paper: 4096, for an encoder ten times as wide, and 256
QUEUE = 1024  # keys of MoCo. The paper has 65,536, a twentieth of its images; many folders have fewer videos than that
KEY_PARTS = 2  # groups of shuffled keys with separate batch statistics, instead of the GPUs of the paper
PATCH, TUBELET = 8, 2  # pixels and frames of VideoMAE's tokens. The paper has patches of 16 pixels in clips of 224
MASK_RATIO = 0.9  # of VideoMAE's places


class Trainer(Protocol):
    """Trains an encoder, one step at a time."""

    @property
    def encoder(self) -> Encoder | TwoStream:
        """The network that is trained: clips [N, C, T, H, W] to features [N, D]."""
        ...

    def step(self, batch: Sample, share: float) -> None:
        """Train on one batch. `share` is the fraction of the training that is done after this step, 0 to 1."""
        ...


class MoForeTrainer:
    """Trains MoFore with the training step of this project."""

    def __init__(self, params: Params, device: torch.device) -> None:
        self.params, self.state = params, make_train_state(params, device, SINGLE)

    @property
    def encoder(self) -> Encoder | TwoStream:
        return self.state.model.encoder

    def step(self, batch: Sample, share: float) -> None:
        _, momentum = set_schedule(self.state.optimizer, self.params, share)
        train_step(self.state, batch, self.params, momentum)


class Objective(nn.Module):
    """A rival: its networks and its loss. `forward` takes the first and the second clips of the pairs."""

    encoder: Encoder
    betas = (0.9, 0.999)  # for AdamW

    def loss(self, outputs: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        """The loss [] of the outputs of `forward`. Only supervised training uses the labels."""
        raise NotImplementedError

    def update_ema(self, momentum: float) -> None:
        """Update the EMA encoder, in methods that have one."""


class RivalTrainer:
    """Trains a rival with MoFore's optimizer, schedules, augmentation and precision."""

    def __init__(self, objective: Objective, params: Params, device: torch.device) -> None:
        self.objective, self.params, self.device = objective.to(device).train(), params, device
        self.optimizer = adamw(self.objective, params.pretrain.lr, params.pretrain.weight_decay)
        for group in self.optimizer.param_groups:
            group["betas"] = objective.betas

    @property
    def encoder(self) -> Encoder:
        return self.objective.encoder

    def step(self, batch: Sample, share: float) -> None:
        self.step_on(*to_inputs(batch, self.params.clip.input), batch.group, share)

    def step_on(self, first_BCTHW: Tensor, second_BCTHW: Tensor, label_B: Tensor, share: float) -> None:
        """As `step`, on network input: the first and the second clips of the pairs."""
        _, momentum = set_schedule(self.optimizer, self.params, share)
        loss = self.loss(first_BCTHW, second_BCTHW, label_B)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.objective.update_ema(momentum)

    def loss(self, first_BCTHW: Tensor, second_BCTHW: Tensor, label_B: Tensor) -> Tensor:
        """The loss [] of one batch, in float32; the networks run in the precision that `runtime` sets."""
        with autocast(self.params.runtime, self.device):
            outputs = self.objective(first_BCTHW, second_BCTHW)
        return self.objective.loss(tuple(x.float() for x in outputs), label_B)


def to_inputs(batch: Sample, kind: str) -> tuple[Tensor, Tensor]:
    """Network input of the first and the second clips of the pairs, [B, C, T, H, W] each."""
    first_BCTHW = to_input(batch.context_THWC, kind, batch.context_colour_34)
    return first_BCTHW, to_input(batch.future_FTHWC[:, 0], kind, batch.future_colour_F34[:, 0])


class StreamTrainers:
    """A rival with two streams: a trainer for each; both get the same clips."""

    def __init__(self, motion: RivalTrainer, appearance: RivalTrainer) -> None:
        self.trainers = (motion, appearance)
        self.encoder = TwoStream(*(trainer.encoder for trainer in self.trainers))

    def step(self, batch: Sample, share: float) -> None:
        first_BCTHW, second_BCTHW = to_inputs(batch, "two_stream")
        parts = zip(first_BCTHW.chunk(2, dim=1), second_BCTHW.chunk(2, dim=1), strict=True)
        for trainer, (first, second) in zip(self.trainers, parts, strict=True):
            trainer.step_on(first, second, batch.group, share)


class SimCLR(Objective):
    """Contrast of each clip with all other clips of the batch."""

    def __init__(self, params: Params, classes: int) -> None:
        super().__init__()
        self.encoder, dim = first_encoder(params)
        self.head = SimCLRProjectionHead(dim, HIDDEN, PROJECTION)
        self.criterion = NTXentLoss(params.contrast.temperature)

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        z_NP: Tensor = self.head(self.encoder(torch.cat([first_BCTHW, second_BCTHW])))
        return z_NP.chunk(2)

    def loss(self, outputs: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        loss: Tensor = self.criterion(*outputs)
        return loss


class OneSidedSimCLR(SimCLR):
    """SimCLR without gradient from the second clips. The encoder still sees all clips as one batch."""

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        first_BP, second_BP = super().forward(first_BCTHW, second_BCTHW)
        return first_BP, second_BP.detach()


class MomentumObjective(Objective):
    """A rival with an EMA copy of its encoder and head, which gets no gradient."""

    def __init__(self, params: Params, make_head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.encoder, dim = first_encoder(params)
        self.online = nn.Sequential(self.encoder, make_head(dim))
        self.ema = copy.deepcopy(self.online)
        deactivate_requires_grad(self.ema)

    def update_ema(self, momentum: float) -> None:
        update_momentum(self.online, self.ema, m=momentum)


class MoCo(MomentumObjective):
    """MoCo v2.

    The EMA encoder takes the keys shuffled and in parts, so that batch statistics do not reveal which key belongs to
    which query ("shuffling BN" in the paper).
    """

    def __init__(self, params: Params, classes: int) -> None:
        super().__init__(params, lambda dim: MoCoProjectionHead(dim, HIDDEN, PROJECTION))
        self.criterion = NTXentLoss(params.contrast.temperature, memory_bank_size=(QUEUE, PROJECTION))

    def forward(self, query_BCTHW: Tensor, key_BCTHW: Tensor) -> tuple[Tensor, ...]:
        order_B = torch.randperm(len(key_BCTHW), device=key_BCTHW.device)
        with torch.no_grad():
            parts = [self.ema(part) for part in key_BCTHW[order_B].chunk(KEY_PARTS)]
        return self.online(query_BCTHW), torch.cat(parts)[order_B.argsort()]

    def loss(self, outputs: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        loss: Tensor = self.criterion(*outputs)
        return loss


class BYOL(MomentumObjective):
    """Prediction of the EMA projection of the other clip of the pair, in both directions."""

    def __init__(self, params: Params, classes: int) -> None:
        super().__init__(params, lambda dim: BYOLProjectionHead(dim, BYOL_HIDDEN, BYOL_PROJECTION))
        self.predictor = BYOLPredictionHead(BYOL_PROJECTION, BYOL_HIDDEN, BYOL_PROJECTION)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        clips = (first_BCTHW, second_BCTHW)
        with torch.no_grad():
            targets = [self.ema(clip_BCTHW) for clip_BCTHW in clips]
        return *(self.predictor(self.online(clip_BCTHW)) for clip_BCTHW in clips), *targets

    def loss(self, outputs: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        predicted_first_BP, predicted_second_BP, first_BP, second_BP = outputs
        loss: Tensor = self.criterion(predicted_first_BP, second_BP) + self.criterion(predicted_second_BP, first_BP)
        return loss / 2


class Supervised(Objective):
    """Cross-entropy of the labels, on both clips of each pair."""

    def __init__(self, params: Params, classes: int) -> None:
        super().__init__()
        self.encoder, dim = first_encoder(params)
        self.head = nn.Linear(dim, classes)

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        return (self.head(self.encoder(torch.cat([first_BCTHW, second_BCTHW]))),)

    def loss(self, outputs: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        return F.cross_entropy(outputs[0], label_B.repeat(2))


class TokenMap(nn.Module):
    """VideoMAE's encoder on unmasked clips: [N, C, T, H, W] -> its tokens, by time and place [N, D, T', H', W']."""

    def __init__(self, model: nn.Module, times: int, side: int) -> None:
        super().__init__()
        self.model, self.shape = model, (times, side, side)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        tokens_NKD: Tensor = self.model(x_NCTHW.transpose(1, 2)).last_hidden_state
        return tokens_NKD.transpose(1, 2).unflatten(2, self.shape)


class VideoMAE(Objective):
    """Reconstruction of the pixels of masked tubes: the same places are masked at all times of a clip."""

    betas = (0.9, 0.95)  # of the paper

    def __init__(self, params: Params, classes: int) -> None:
        from transformers import VideoMAEConfig, VideoMAEForPreTraining  # slow to import; only this method needs it

        super().__init__()
        config = VideoMAEConfig(
            image_size=params.clip.size,
            num_frames=params.clip.frames,
            num_channels=input_channels(params.clip.input),
            patch_size=PATCH,
            tubelet_size=TUBELET,
            hidden_size=192,  # half as wide as ViT-S, and half as deep; D of the small encoder
            num_hidden_layers=6,
            num_attention_heads=3,
            intermediate_size=768,
            decoder_hidden_size=96,  # half as wide as the encoder, as in the paper
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=3,
            decoder_intermediate_size=384,
            norm_pix_loss=True,
            attn_implementation="eager",  # a fifth faster than fused attention, in bf16 on a CPU
            use_mean_pooling=False,  # makes transformers add the last LayerNorm of the encoder, as in the paper
        )
        self.model = VideoMAEForPreTraining(config)
        side, self.times = params.clip.size // PATCH, params.clip.frames // TUBELET
        self.encoder = Encoder(TokenMap(self.model.videomae, self.times, side), config.hidden_size)
        self.places = side**2
        self.visible = max(1, round((1 - MASK_RATIO) * self.places))

    def forward(self, first_BCTHW: Tensor, second_BCTHW: Tensor) -> tuple[Tensor, ...]:
        x_NTCHW = torch.cat([first_BCTHW, second_BCTHW]).transpose(1, 2).contiguous()
        rank_NS = torch.rand(len(x_NTCHW), self.places, device=x_NTCHW.device).argsort(dim=1).argsort(dim=1)
        hidden_NK = (rank_NS >= self.visible).repeat(1, self.times)  # tubes: the same places at all times
        return (self.model(x_NTCHW, bool_masked_pos=hidden_NK).loss,)

    def loss(self, outputs: tuple[Tensor, ...], label_B: Tensor) -> Tensor:
        return outputs[0]


RIVALS: dict[str, Callable[[Params, int], Objective]] = {
    "simclr": SimCLR,
    "simclr_one": OneSidedSimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "videomae": VideoMAE,
    "supervised": Supervised,
}
METHODS = ("mofore", *RIVALS)
WITHOUT_SHIPPED = ("videomae",)  # methods whose network is another than the shipped one
COMPARED = ("simclr", "moco", "byol", "videomae", "supervised")  # default of --methods


def first_encoder(params: Params) -> tuple[Encoder, int]:
    """The encoder that all methods but VideoMAE train, with its first weights, and its feature dimension D."""
    shipped = params.encoder.start == "shipped"
    kind = params.clip.input
    encoder = shipped_encoder(kind) if shipped else build_encoder(params.encoder.name, params.seed, kind)
    assert isinstance(encoder, Encoder)
    return encoder, encoder.dim


def make_trainer(method: str, params: Params, classes: int, device: torch.device) -> Trainer:
    """A method before its first step; `params.seed` decides its random weights."""
    if method == "mofore":
        return MoForeTrainer(params, device)
    if params.clip.input == "two_stream":
        motion, appearance = (_rival(method, params, kind, classes, device) for kind in STREAM_OF)
        return StreamTrainers(motion, appearance)
    return _rival(method, params, params.clip.input, classes, device)


def _rival(method: str, params: Params, kind: str, classes: int, device: torch.device) -> RivalTrainer:
    """A rival for one kind of input."""
    params = replace(params, clip=replace(params.clip, input=kind))
    torch.manual_seed(params.seed)
    return RivalTrainer(RIVALS[method](params, classes), params, device)


def apply_settings(params: Params, method: str, settings: Settings) -> None:
    """Change `params` in place: to RECOMMENDED, then to `settings`. Rivals use two clips of each video."""
    if method != "mofore":
        params.forecast.futures = 1
    for key, value in (RECOMMENDED[method] | settings).items():
        section, name = key.split(".")
        setattr(getattr(params, section), name, value)
