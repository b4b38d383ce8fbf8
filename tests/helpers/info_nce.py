"""InfoNCE in one call, for tests."""

from typing import Any

from torch import Tensor

from mofore.method.losses import contrastive_accuracy, contrastive_logits, contrastive_loss


def info_nce(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Return loss and accuracy. The arguments are those of `contrastive_logits`."""
    logits_NL = contrastive_logits(*args, **kwargs)
    return contrastive_loss(logits_NL), contrastive_accuracy(logits_NL)
