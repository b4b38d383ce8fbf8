"""What can keep the space from collapsing without negatives: an alternative to the contrastive loss.

Both look at the projections of a batch of contexts alone, and ask that they fill the space. All are computed in float32
whatever the networks ran in.

Shapes: B batch, P projection dimensions, S directions, K points at which characteristic functions are compared.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 256  # drawn anew at each step
POINTS, FARTHEST = 17, 3.0  # of the characteristic functions: from 0 to 3, the values of LeJEPA's examples


def vicreg_loss(projection_BP: Tensor) -> Tensor:
    """Variance and covariance terms of VICReg (Bardes et al., 2022), in its proportion of 25 to 1. At least 0.

    Each dimension shall have a standard deviation of at least 1 over the batch, and no two shall covary.
    """
    centred_BP = projection_BP.float() - projection_BP.float().mean(dim=0)
    deviation_P = (centred_BP.square().sum(dim=0) / (len(centred_BP) - 1) + 1e-4).sqrt()
    covariance_PP = centred_BP.T @ centred_BP / (len(centred_BP) - 1)
    apart = covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()
    return F.relu(1 - deviation_P).mean() + apart / covariance_PP.shape[0] / 25


def sigreg_loss(projection_BP: Tensor) -> Tensor:
    """Sketched isotropic Gaussian regularisation of LeJEPA (Balestriero and LeCun, 2025). At least 0.

    Along random directions the projections shall be distributed as a standard normal variable: mean over the directions
    of the statistic of Epps and Pulley (1983), the squared distance of the two characteristic functions, weighted by
    that of the normal distribution and integrated, times B. About 1 for samples that are so distributed.
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
