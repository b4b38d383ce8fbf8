"""The optimiser, and the schedules of learning rate and EMA momentum."""

import math

from torch import nn
from torch.optim import AdamW

from mofore.config import Pretrain


def adamw(model: nn.Module, lr: float, weight_decay: float) -> AdamW:
    """AdamW with weight decay for matrices and convolution kernels, but not for biases and normalisation weights."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, fused=True)


def cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine period from `start` (at progress 0) to `end` (at progress 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def learning_rate(pretrain: Pretrain, progress: float) -> float:
    """Linear warmup, then cosine decay to 0 (SGDR, Loshchilov and Hutter, 2017) or a constant rate.

    Args:
        pretrain: `lr`, the highest rate; `warmup`, the share of the run in which the rate rises to it; `schedule`.
        progress: share of the run that is done, 0 to 1.
    """
    if progress < pretrain.warmup:
        return pretrain.lr * progress / pretrain.warmup
    if pretrain.schedule == "constant":
        return pretrain.lr
    return cosine(pretrain.lr, 0.0, (progress - pretrain.warmup) / max(1 - pretrain.warmup, 1e-9))
