"""The three losses. All are computed in float32 whatever the networks ran in.

Shapes: B forecasts of the batch, D feature dimensions, P projection dimensions, M candidates (the batch's futures
first, then others), N candidates of a forecast (those, and its own future backwards).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def forecasting_loss(forecast_BP: Tensor, target_BP: Tensor) -> Tensor:
    """Squared distance of the unit vectors, mean over the batch: 0 (same direction) to 4 (opposite).

    2 - 2 cos(forecast, target), as in BYOL (Grill et al., 2020).

    >>> x = torch.tensor([[3.0, 4.0]])
    >>> forecasting_loss(x, 2 * x).item()
    0.0
    """
    cosine_B = F.cosine_similarity(forecast_BP.float(), target_BP.float(), dim=1)
    return (2 - 2 * cosine_B).mean()


def contrastive_loss(
    forecast_BP: Tensor, candidate_MP: Tensor, group_M: Tensor, temperature: float, reversed_BP: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """InfoNCE: each forecast must pick its own future among the candidates.

    Other futures of the same group (same video, scene, actor or source) are no negatives: they are left out.
    InfoNCE is of van den Oord et al., 2018.

    Args:
        forecast_BP: forecasts, not normalised.
        candidate_MP: not normalised; the first B are the true futures, row by row.
        group_M: whole numbers; equal ones are of one group.
        temperature: divides the cosine similarities.
        reversed_BP: each own future played backwards, one more negative a row; or none.

    Returns:
        The loss (at least 0), and the share of forecasts that picked their own future (0 to 1).
    """
    unit_BP = F.normalize(forecast_BP.float(), dim=1)
    logits_BN = unit_BP @ F.normalize(candidate_MP.float(), dim=1).T / temperature
    own_B = torch.arange(len(forecast_BP), device=group_M.device)
    same_group_BM = group_M[own_B, None] == group_M[None, :]
    same_group_BM[own_B, own_B] = False
    logits_BN = logits_BN.masked_fill(same_group_BM, float("-inf"))
    if reversed_BP is not None:
        backwards_B = (unit_BP * F.normalize(reversed_BP.float(), dim=1)).sum(dim=1) / temperature
        logits_BN = torch.cat([logits_BN, backwards_B[:, None]], dim=1)
    picked = (logits_BN.argmax(dim=1) == own_B).float().mean()
    return F.cross_entropy(logits_BN, own_B), picked


def decorrelating_loss(features_BD: Tensor) -> Tensor:
    """Squared correlation of each feature with all others over the batch, summed; mean over features. At least 0.

    Nearest neighbours see features by their share of the variance: one that few others repeat counts for little.
    Decorrelated, all count alike. The covariance term of VICReg (Bardes et al., 2022) on standardised features, as in
    Barlow Twins (Zbontar et al., 2021), here on the encoder's features instead of the projector's.

    A batch of B gives independent features about D / B, not 0.
    """
    centred_BD = features_BD.float() - features_BD.float().mean(dim=0)
    unit_BD = F.normalize(centred_BD, dim=0)
    correlation_DD = unit_BD.T @ unit_BD
    return (correlation_DD.square().sum() - correlation_DD.diagonal().square().sum()) / len(correlation_DD)
