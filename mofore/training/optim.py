"""The optimiser, and the schedules of learning rate and EMA momentum."""

import math

from torch import nn
from torch.optim import AdamW


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


def learning_rate(peak: float, warmup: float, progress: float) -> float:
    """Linear warmup and cosine decay (SGDR, Loshchilov and Hutter, 2017).

    Args:
        peak: highest learning rate.
        warmup: share of the run, 0 to 1, in which the rate rises from 0 to `peak`; afterwards it falls to 0.
        progress: share of the run that is done, 0 to 1.
    """
    if progress < warmup:
        return peak * progress / warmup
    return cosine(peak, 0.0, (progress - warmup) / max(1 - warmup, 1e-9))
