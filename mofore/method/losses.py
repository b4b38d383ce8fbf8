"""The losses of pretraining. All are computed in float32, also if the networks ran in bf16.

`objective` (objective.py) computes their weighted sum. VICReg or SIGReg can replace the contrastive loss: they prevent
collapse without negatives, by regularising the projections of a batch.

Shapes: N forecasts (or anchors) of the batch, B contexts of it, M candidates (the N targets of the batch first, then
those of the memory bank), L logits per anchor (M, or M + 1 with time-reversed negatives), D feature dimensions, P
projection dimensions, S random directions, K points at which characteristic functions are compared.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 256  # random directions of SIGReg, drawn anew at each step
POINTS, FARTHEST = 17, 3.0  # SIGReg compares characteristic functions at 17 points in 0..3, as in LeJEPA's examples


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
    """Cosine similarity of each anchor to all candidates, divided by the temperature: [N, L].

    Anchor n is forecast n or the projection of its context. Candidate n is its positive. Other candidates of the same
    group (same video, scene, actor or source) are not negatives: their logits are -inf.

    Args:
        anchor_NP: not normalised.
        candidate_MP: not normalised; the first N are the targets of the anchors, row by row.
        group_M: group indices of the candidates.
        temperature: above 0.
        reversed_NP: targets of the time-reversed futures, one more negative for each anchor; or None.
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
    """InfoNCE (van den Oord et al., 2018): mean cross-entropy, where class n is right for anchor n. At least 0."""
    own_N = torch.arange(len(logits_NL), device=logits_NL.device)
    return F.cross_entropy(logits_NL, own_N)


def contrastive_accuracy(logits_NL: Tensor) -> Tensor:
    """Share of anchors whose positive has the largest logit, 0 to 1."""
    own_N = torch.arange(len(logits_NL), device=logits_NL.device)
    return (logits_NL.argmax(dim=1) == own_N).float().mean()


def decorrelation_loss(features_BD: Tensor) -> Tensor:
    """Sum of squared correlations of a feature with all other features over the batch, mean over features. At least 0.

    Redundant features dominate cosine similarity; decorrelation equalises their weight. This is the covariance term of
    VICReg (Bardes et al., 2022) on standardised features, as in Barlow Twins (Zbontar et al., 2021), but applied to the
    encoder's features and not to the projections.

    Independent features give about D / B in a batch of B contexts, not 0.
    """
    centred_BD = features_BD.float() - features_BD.float().mean(dim=0)
    unit_BD = F.normalize(centred_BD, dim=0)
    correlation_DD = unit_BD.T @ unit_BD
    return (correlation_DD.square().sum() - correlation_DD.diagonal().square().sum()) / len(correlation_DD)


def vicreg_loss(projection_BP: Tensor) -> Tensor:
    """Variance and covariance terms of VICReg (Bardes et al., 2022), weighted 25 to 1. At least 0.

    They penalise a standard deviation over the batch below 1 in a dimension, and covariance between dimensions.
    """
    centred_BP = projection_BP.float() - projection_BP.float().mean(dim=0)
    deviation_P = (centred_BP.square().sum(dim=0) / (len(centred_BP) - 1) + 1e-4).sqrt()
    covariance_PP = centred_BP.T @ centred_BP / (len(centred_BP) - 1)
    off_diagonal = covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()
    return F.relu(1 - deviation_P).mean() + off_diagonal / covariance_PP.shape[0] / 25


def sigreg_loss(projection_BP: Tensor) -> Tensor:
    """Sketched isotropic Gaussian regularisation of LeJEPA (Balestriero and LeCun, 2025). At least 0.

    It penalises projections whose distribution along random directions is not standard normal. The loss is the mean
    over directions of the statistic of Epps and Pulley (1983): B times the integral of the squared distance between the
    empirical characteristic function and that of the normal distribution, weighted by the latter. Normally distributed
    samples give about 1.
    """
    z_BP = projection_BP.float()
    # Drawn on the CPU, whose generator has the same state on all ranks, also after a resume. Pinned, so no GPU waits.
    direction_PS = torch.randn(z_BP.shape[1], DIRECTIONS, pin_memory=z_BP.is_cuda).to(z_BP.device, non_blocking=True)
    direction_PS = F.normalize(direction_PS, dim=0)
    point_K = torch.linspace(0, FARTHEST, POINTS, device=z_BP.device)
    normal_K = torch.exp(-point_K.square() / 2)
    angle_BSK = (z_BP @ direction_PS)[:, :, None] * point_K
    real_SK, imaginary_SK = angle_BSK.cos().mean(dim=0), angle_BSK.sin().mean(dim=0)
    distance_SK = (real_SK - normal_K).square() + imaginary_SK.square()
    statistic_S = 2 * torch.trapezoid(distance_SK * normal_K, point_K, dim=1) * len(z_BP)
    return statistic_S.mean()
