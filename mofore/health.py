"""Is the embedding space alive? Measures to watch from the first step on.

Shapes: N embeddings, P dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def effective_rank(z_NP: Tensor) -> float:
    """How many directions the embeddings really use: 1 (collapsed) to min(N, P).

    Exponential of the entropy of the normalised singular values: RankMe (Garrido et al., 2023).
    """
    singular = torch.linalg.svdvals(z_NP.float())
    share = singular / singular.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()))


def spread(z_NP: Tensor) -> float:
    """Mean standard deviation of the unit vectors' coordinates, times sqrt(P): 0 (collapsed) to about 1 (healthy)."""
    unit_NP = F.normalize(z_NP.float(), dim=1)
    return float(unit_NP.std(dim=0, unbiased=False).mean() * unit_NP.shape[1] ** 0.5)


def alignment(forecast_NP: Tensor, target_NP: Tensor) -> float:
    """Mean squared distance of forecast and future on the unit sphere, 0 to 4; lower is better.

    Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity", 2020.
    """
    difference_NP = F.normalize(forecast_NP.float(), dim=1) - F.normalize(target_NP.float(), dim=1)
    return float(difference_NP.square().sum(dim=1).mean())


def uniformity(z_NP: Tensor) -> float:
    """Log of the mean Gaussian potential of all pairs: 0 (collapsed) down to about -4 (spread over the sphere).

    Wang and Isola, 2020, with t = 2.
    """
    distance = torch.pdist(F.normalize(z_NP.float(), dim=1))
    return float(distance.square().mul(-2).exp().mean().log())
