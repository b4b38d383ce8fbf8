"""The networks of Momentum-Guided Semantic Forecasting.

    context -> online encoder -> projector -> predictor(gap) -> forecast    (plus the projection, if `residual`)
    future  -> EMA encoder    -> EMA projector               -> target (no gradient)

Shapes: B contexts, F futures of each, N = B F forecasts, C channels, T frames, H = W side of a clip, D feature
dimensions, P projection dimensions, G gap features. In GapEmbedding, F counts frequencies.
"""

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mofore.config import Forecast
from mofore.method.encoders import Encoder, TwoStream

GAP_FEATURES = 32
LONGEST_GAP = 4096  # video frames; longer gaps get an embedding too, but can be similar to those of shorter gaps


class GapEmbedding(nn.Module):
    """Sinusoidal embedding of log(1 + gap), [N] -> [N, G]. It is finer for short gaps than for long gaps."""

    frequencies_F: Tensor

    def __init__(self) -> None:
        super().__init__()
        half = GAP_FEATURES // 2
        octaves = torch.linspace(0, math.log(16), half)
        self.register_buffer("frequencies_F", torch.exp(octaves) * math.pi / math.log(1 + LONGEST_GAP))

    def forward(self, gap_N: Tensor) -> Tensor:
        angle_NF = torch.log1p(gap_N.float())[:, None] * self.frequencies_F
        return torch.cat([angle_NF.sin(), angle_NF.cos()], dim=1)


def mlp(d_in: int, d_hidden: int, d_out: int, batch_norm: bool = True) -> nn.Sequential:
    """Linear-BN-ReLU-Linear, the projector and predictor of BYOL (Grill et al., 2020, section 3.3).

    Without `batch_norm` Linear-ReLU-Linear, the predictor of the MoFore paper.
    """
    return nn.Sequential(
        nn.Linear(d_in, d_hidden, bias=not batch_norm),
        nn.BatchNorm1d(d_hidden) if batch_norm else nn.Identity(),
        nn.ReLU(inplace=True),
        nn.Linear(d_hidden, d_out),
    )


class PerStream(nn.ModuleList):
    """Networks side by side, each on the features of its stream: [N, D] -> [N, P], both divided evenly among them."""

    def forward(self, x_ND: Tensor) -> Tensor:
        parts = x_ND.chunk(len(self), dim=1)
        return torch.cat([network(part) for network, part in zip(self, parts, strict=True)], dim=1)


class Embedded(NamedTuple):
    """Outputs of the networks for a batch, not normalised. Targets have no gradient.

    The rows are those of one process or, after gathering, those of all processes.
    """

    forecast_NP: Tensor
    features_BD: Tensor  # of the contexts, by the online encoder
    projection_BP: Tensor  # of these features, by the projector
    target_NP: Tensor
    reversed_NP: Tensor | None  # targets of the time-reversed futures, if computed


class MoFore(nn.Module):
    """Online encoder, projector and predictor, and the EMA copies of encoder and projector.

    An encoder with two streams has a projector and a predictor for each of them. So the streams are trained side by
    side, each by its own forecasts. D and P count the features and projections of both, one stream after the other.

    Attributes:
        keep: which encoder is the result of training, "online" or "ema"; or "averaged", which is made from the online
            encoder (see `method.shipped.averaged_with_shipped`).
        streams: number of streams.
        projection_dim: P.
    """

    def __init__(self, encoder: Encoder | TwoStream, forecast: Forecast, keep: str = "online") -> None:
        """Add projector, predictor and EMA networks to an encoder.

        Args:
            encoder: maps [B, C, T, H, W] to [B, D]; its attribute `dim` is D.
            forecast: sizes of projector and predictor, and the gap that the predictor gets (see `predict`). With
                `projection_dim` 0 there is no projector, and P = D.
            keep: "online", "ema" or "averaged".
        """
        super().__init__()
        self.keep, self.gap_conditioning, self.residual = keep, forecast.gap_conditioning, forecast.residual
        self.streams = encoder.n_streams
        dim = encoder.dim // self.streams
        p_dim, hidden, batch_norm = forecast.projection_dim or dim, forecast.hidden_dim, forecast.batch_norm
        self.projection_dim = p_dim * self.streams
        self.gap = None if forecast.gap_conditioning == "none" else GapEmbedding()
        g_dim = GAP_FEATURES if self.gap else 0
        projectors = PerStream(mlp(dim, hidden, p_dim, batch_norm) for _ in range(self.streams))
        self.online = nn.Sequential(encoder, projectors if forecast.projection_dim else nn.Identity())
        self.predictor = PerStream(mlp(p_dim + g_dim, hidden, p_dim, batch_norm) for _ in range(self.streams))
        self.ema = copy.deepcopy(self.online).requires_grad_(False)

    @property
    def encoder(self) -> Encoder | TwoStream:
        """The encoder that is the result of training: the EMA encoder, if `keep` says so, or else the online one."""
        kept = self.ema[0] if self.keep == "ema" else self.online[0]
        assert isinstance(kept, Encoder | TwoStream)
        return kept

    def input_of(self, whole: str) -> str:
        """Kind of input of this model, if that of the whole encoder is `whole`: of two streams, motion may be alone."""
        return "residual" if whole == "two_stream" and self.streams == 1 else whole

    def forward(
        self, context_BCTHW: Tensor, gap_BF: Tensor, future_NCTHW: Tensor, reversed_NCTHW: Tensor | None
    ) -> Embedded:
        """Compute all outputs that a training step needs.

        One call does it all, because DistributedDataParallel and torch.compile wrap `forward`.

        Args:
            context_BCTHW: context clips.
            gap_BF: gap from each context to each of its futures, in video frames.
            future_NCTHW: future clips; those of one context are consecutive.
            reversed_NCTHW: the future clips, time-reversed; or None.
        """
        encoder, projector = self.online
        features_BD: Tensor = encoder(context_BCTHW)
        projection_BP: Tensor = projector(features_BD)
        forecast_NP = self.predict(projection_BP, gap_BF)
        target_NP = self.target(future_NCTHW)
        reversed_NP = None if reversed_NCTHW is None else self.target(reversed_NCTHW)
        return Embedded(forecast_NP, features_BD, projection_BP, target_NP, reversed_NP)

    def predict(self, projection_BP: Tensor, gap_BF: Tensor) -> Tensor:
        """Forecast the targets of F futures per context: [N, P], not normalised.

        With gap conditioning "none" the predictor does not get the gap, as in the paper. With "shuffled", a control,
        each context gets the gaps of another context of the batch, in training mode only.

        Args:
            projection_BP: projections of the contexts.
            gap_BF: gap from each context to each of its futures, in video frames.
        """
        projection_NP = projection_BP.repeat_interleave(gap_BF.shape[1], dim=0)
        if self.gap is None:
            return self._forecast(projection_NP, projection_NP)
        if self.gap_conditioning == "shuffled" and self.training:
            gap_BF = gap_BF.roll(1, dims=0)
        gap_NG = self.gap(gap_BF.flatten()).to(projection_NP.dtype)
        with_gap = [part for one in projection_NP.chunk(self.streams, dim=1) for part in (one, gap_NG)]
        return self._forecast(projection_NP, torch.cat(with_gap, dim=1))

    def _forecast(self, projection_NP: Tensor, predictor_input: Tensor) -> Tensor:
        """The predictor forecasts the target or, with `forecast.residual`, how it differs from the projection."""
        forecast_NP: Tensor = self.predictor(predictor_input)
        return projection_NP + forecast_NP if self.residual else forecast_NP

    @torch.no_grad()
    def target(self, future_NCTHW: Tensor) -> Tensor:
        """Targets of future clips, from the EMA networks: [N, P], not normalised, without gradient.

        In training mode, the batch normalisation of the EMA networks uses the statistics of the future clips, as in
        BYOL and MoCo. The EMA networks have their own running statistics.
        """
        target_NP: Tensor = self.ema(future_NCTHW)
        return target_NP

    @torch.no_grad()
    def update_ema(self, momentum: float) -> None:
        """EMA weights <- momentum * EMA weights + (1 - momentum) * online weights."""
        ema: list[Tensor] = list(self.ema.parameters())
        online: list[Tensor] = list(self.online.parameters())
        torch._foreach_lerp_(ema, online, 1 - momentum)
