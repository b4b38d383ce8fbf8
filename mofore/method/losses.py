"""The losses. All are computed in float32, whatever precision the networks ran in.

`objective` (objective.py) weighs and adds them. VICReg and SIGReg can replace the contrastive loss: they prevent
collapse without negatives, by regularising the projections of a batch.

Shapes: N forecasts of the batch, B contexts of it, M candidates (the N targets of the batch first, then those of the
memory bank), L logits of a forecast (M, and one more with time-reversed negatives), D feature dimensions, P projection
dimensions, S random directions, K points at which characteristic functions are compared.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 256  # of SIGReg, drawn anew at each step
POINTS, FARTHEST = 17, 3.0  # of the characteristic functions: from 0 to 3, the values of LeJEPA's examples


def forecasting_loss(forecast_NP: Tensor, target_NP: Tensor) -> Tensor:
    """Squared distance between unit vectors, mean over the batch: 0 (same direction) to 4 (opposite).

    2 - 2 cos(forecast, target), as in BYOL (Grill et al., 2020).

    >>> x = torch.tensor([[3.0, 4.0]])
    >>> forecasting_loss(x, 2 * x).item()
    0.0
    """
    cosine_N = F.cosine_similarity(forecast_NP.float(), target_NP.float(), dim=1)
    return (2 - 2 * cosine_N).mean()


def squared_error(forecast_NP: Tensor, target_NP: Tensor) -> Tensor:
    """Mean squared error over batch and dimensions, not normalised: the forecasting loss of the MoFore paper."""
    return F.mse_loss(forecast_NP.float(), target_NP.float())


def contrastive_logits(
    anchor_NP: Tensor, candidate_MP: Tensor, group_M: Tensor, temperature: float, reversed_NP: Tensor | None = None
) -> Tensor:
    """Cosine similarity of each anchor to each of its candidates, divided by the temperature: [N, L].

    Anchor n is forecast n, or the projection of its context. Candidate n is its own target. Other targets of the same
    group (same video, scene, actor or source) are no negatives: their logits are -inf.

    Args:
        anchor_NP: not normalised.
        candidate_MP: not normalised; the first N are the own targets, row by row.
        group_M: group numbers of the candidates.
        temperature: above 0.
        reversed_NP: each own target played backwards, one more negative for its anchor; or none.
    """
    unit_NP = F.normalize(anchor_NP.float(), dim=1)
    logits_NL = unit_NP @ F.normalize(candidate_MP.float(), dim=1).T / temperature
    own_N = torch.arange(len(anchor_NP), device=group_M.device)
    same_group_NM = group_M[own_N, None] == group_M[None, :]
    same_group_NM[own_N, own_N] = False
    logits_NL = logits_NL.masked_fill(same_group_NM, float("-inf"))
    if reversed_NP is not None:
        reversed_N = (unit_NP * F.normalize(reversed_NP.float(), dim=1)).sum(dim=1) / temperature
        logits_NL = torch.cat([logits_NL, reversed_N[:, None]], dim=1)
    return logits_NL


def contrastive_loss(logits_NL: Tensor) -> Tensor:
    """InfoNCE (van den Oord et al., 2018): cross-entropy of finding candidate n by forecast n. At least 0."""
    own_N = torch.arange(len(logits_NL), device=logits_NL.device)
    return F.cross_entropy(logits_NL, own_N)


def contrastive_accuracy(logits_NL: Tensor) -> Tensor:
    """Share of forecasts whose own target has the largest logit, 0 to 1."""
    own_N = torch.arange(len(logits_NL), device=logits_NL.device)
    return (logits_NL.argmax(dim=1) == own_N).float().mean()


def decorrelation_loss(features_BD: Tensor) -> Tensor:
    """Squared correlation of each feature with all others over the batch, summed; mean over features. At least 0.

    Redundant features dominate cosine similarity; decorrelation equalises their weight. The covariance term of VICReg
    (Bardes et al., 2022) on standardised features, as in Barlow Twins (Zbontar et al., 2021), but on the encoder's
    features and not on the projector's.

    Independent features give about D / B in a batch of B, not 0.
    """
    centred_BD = features_BD.float() - features_BD.float().mean(dim=0)
    unit_BD = F.normalize(centred_BD, dim=0)
    correlation_DD = unit_BD.T @ unit_BD
    return (correlation_DD.square().sum() - correlation_DD.diagonal().square().sum()) / len(correlation_DD)


def vicreg_loss(projection_BP: Tensor) -> Tensor:
    """Variance and covariance terms of VICReg (Bardes et al., 2022), weighted 25 to 1. At least 0.

    They ask for a standard deviation of at least 1 in each dimension over the batch, and for no covariance.
    """
    centred_BP = projection_BP.float() - projection_BP.float().mean(dim=0)
    deviation_P = (centred_BP.square().sum(dim=0) / (len(centred_BP) - 1) + 1e-4).sqrt()
    covariance_PP = centred_BP.T @ centred_BP / (len(centred_BP) - 1)
    apart = covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()
    return F.relu(1 - deviation_P).mean() + apart / covariance_PP.shape[0] / 25


def sigreg_loss(projection_BP: Tensor) -> Tensor:
    """Sketched isotropic Gaussian regularisation of LeJEPA (Balestriero and LeCun, 2025). At least 0.

    Projections shall follow a standard normal distribution along random directions. The loss is the mean over
    directions of the statistic of Epps and Pulley (1983): the squared distance of the two characteristic functions,
    weighted by that of the normal distribution and integrated, times B. About 1 for normally distributed samples.
    """
    z_BP = projection_BP.float()
    direction_PS = F.normalize(torch.randn(z_BP.shape[1], DIRECTIONS, device=z_BP.device), dim=0)
    point_K = torch.linspace(0, FARTHEST, POINTS, device=z_BP.device)
    normal_K = torch.exp(-point_K.square() / 2)
    angle_BSK = (z_BP @ direction_PS)[:, :, None] * point_K
    real_SK, imaginary_SK = angle_BSK.cos().mean(dim=0), angle_BSK.sin().mean(dim=0)
    distance_SK = (real_SK - normal_K).square() + imaginary_SK.square()
    statistic_S = 2 * torch.trapezoid(distance_SK * normal_K, point_K, dim=1) * len(z_BP)
    return statistic_S.mean()
