"""The optimiser of all training here."""

from torch import nn
from torch.optim import AdamW


def adamw(model: nn.Module, lr: float, weight_decay: float) -> AdamW:
    """AdamW that decays matrices and kernels, but neither biases nor normalisation scales."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, fused=True)
