"""The networks of Momentum-Guided Semantic Forecasting.

    context -> online encoder -> projector -> predictor(gap) -> forecast
    future  -> EMA encoder    -> EMA projector               -> target (no gradient)

Shapes: B contexts, F futures of each, N = B F forecasts, T frames, H = W side of a clip, C channels, D feature
dimensions, P projection dimensions, G gap features.
"""

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

GAP_FEATURES = 32
LONGEST_GAP = 4096  # video frames; longer gaps still get an embedding, only less distinct


class GapEmbedding(nn.Module):
    """Sinusoids of log(1 + gap): [B] -> [B, G]. Near gaps are told apart finely, far ones coarsely."""

    frequencies_F: Tensor

    def __init__(self) -> None:
        super().__init__()
        half = GAP_FEATURES // 2
        octaves = torch.linspace(0, math.log(16), half)
        self.register_buffer("frequencies_F", torch.exp(octaves) * math.pi / math.log(1 + LONGEST_GAP))

    def forward(self, gap_B: Tensor) -> Tensor:
        angle_BF = torch.log1p(gap_B.float())[:, None] * self.frequencies_F
        return torch.cat([angle_BF.sin(), angle_BF.cos()], dim=1)


def mlp(d_in: int, d_hidden: int, d_out: int) -> nn.Sequential:
    """Two layers; a third costs the predictor 2 points (BYOL, and rho-BYOL on video)."""
    return nn.Sequential(
        nn.Linear(d_in, d_hidden, bias=False),
        nn.BatchNorm1d(d_hidden),
        nn.ReLU(inplace=True),
        nn.Linear(d_hidden, d_out),
    )


class Embedded(NamedTuple):
    """What the networks make of a batch; nothing is normalised, and targets are without gradient."""

    forecast_NP: Tensor
    features_BD: Tensor  # of the context, by the online encoder
    projection_BP: Tensor  # of these
    target_NP: Tensor
    reversed_NP: Tensor | None  # targets of the futures played backwards


class MoFore(nn.Module):
    """Online encoder, projector and gap-conditioned predictor, and the EMA twins of the first two."""

    def __init__(self, encoder: nn.Module, projection: int, hidden: int, told: str = "gap") -> None:
        """`told`: see `forecast.told` in params.yaml; a predictor told nothing is told so for good."""
        super().__init__()
        self.told = told
        dim: int = encoder.dim  # type: ignore[assignment]
        self.online = nn.Sequential(encoder, mlp(dim, hidden, projection))
        self.gap = GapEmbedding()
        self.predictor = mlp(projection + GAP_FEATURES, hidden, projection)
        self.ema = copy.deepcopy(self.online).requires_grad_(False)

    @property
    def encoder(self) -> nn.Module:
        return self.online[0]

    def forward(
        self, context_BCTHW: Tensor, gap_BF: Tensor, future_NCTHW: Tensor, backwards_NCTHW: Tensor | None
    ) -> Embedded:
        """All that a training step asks of the networks, in one call, so that they can be replicated or compiled.

        The N futures stand context by context.
        """
        encoder, projector = self.online
        features_BD: Tensor = encoder(context_BCTHW)
        projection_BP: Tensor = projector(features_BD)
        told_BF = gap_BF.roll(1, dims=0) if self.told == "wrong" else gap_BF
        forecast_NP = self.predict(projection_BP.repeat_interleave(gap_BF.shape[1], dim=0), told_BF.flatten())
        target_NP = self.target(future_NCTHW)
        reversed_NP = None if backwards_NCTHW is None else self.target(backwards_NCTHW)
        return Embedded(forecast_NP, features_BD, projection_BP, target_NP, reversed_NP)

    def predict(self, z_BP: Tensor, gap_B: Tensor) -> Tensor:
        """The forecast [B, P], not normalised, from the context's projection, told the gap in video frames."""
        if self.told == "nothing":
            gap_B = torch.zeros_like(gap_B)
        forecast_BP: Tensor = self.predictor(torch.cat([z_BP, self.gap(gap_B).to(z_BP.dtype)], dim=1))
        return forecast_BP

    @torch.no_grad()
    def target(self, future_NCTHW: Tensor) -> Tensor:
        """Embedding that the EMA encoder gives to the future clips, [N, P], not normalised, without gradient.

        The EMA twin normalises with its own batch's statistics, as in BYOL and MoCo; its buffers follow by themselves.
        """
        target_NP: Tensor = self.ema(future_NCTHW)
        return target_NP

    @torch.no_grad()
    def update_ema(self, momentum: float) -> None:
        """EMA weights <- momentum * EMA weights + (1 - momentum) * online weights."""
        ema: list[Tensor] = list(self.ema.parameters())
        online: list[Tensor] = list(self.online.parameters())
        torch._foreach_lerp_(ema, online, 1 - momentum)
