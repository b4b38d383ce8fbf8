"""The training objective: a weighted sum of three losses.

    loss = w_f L_forecast + w_c L_contrast + w_d L_decorrelation

    L_forecast       mean over forecasts n of  |f_n - t_n|^2
    L_contrast       mean over forecasts n of  -log( exp(a_n . t_n / tau) / sum_m exp(a_n . t_m / tau) )
    L_decorrelation  mean over features i of   sum over j != i of corr(h_i, h_j)^2

f_n and t_n are forecast and target n, scaled to length 1. The anchor a_n is the projection of the context of n, scaled
to length 1, or with `contrast.anchor` forecast f_n. tau is the temperature. h_i is feature i of the contexts over the
batch. The candidates m are target n itself (the positive), the targets of videos of other groups, from this batch and
from the memory bank, and the target of the time-reversed future n.

With `forecast.loss` squared_error, L_forecast is the mean squared error of f_n and t_n as they are, as in the MoFore
paper. With `contrast.loss` vicreg or sigreg, that regulariser of the contexts' projections replaces L_contrast.

Shapes: N forecasts (or anchors) of the whole batch, B contexts, F = N / B futures of each, M candidates, L logits per
anchor, D feature dimensions, P projection dimensions.
"""

import torch
from torch import Tensor

from mofore.config import Params
from mofore.method.losses import (
    contrastive_accuracy,
    contrastive_logits,
    contrastive_loss,
    decorrelation_loss,
    forecasting_loss,
    sigreg_loss,
    squared_error,
    vicreg_loss,
)
from mofore.method.memory_bank import MemoryBank
from mofore.method.model import Embedded


def objective(
    embedded: Embedded, group_N: Tensor, memory_bank: MemoryBank, params: Params, streams: int = 1
) -> dict[str, Tensor]:
    """Compute the weighted sum, its three terms, and the contrastive accuracy: means over the streams of the encoder.

    Args:
        embedded: outputs of the networks for the whole batch of all processes.
        group_N: group index of each forecast's video.
        memory_bank: targets of earlier batches; not changed.
        params: weights, temperature and type of the losses.
        streams: of the encoder; each has its losses, of its own features, forecasts and targets.

    Returns:
        loss; forecast_loss, contrast_loss and decorrelation_loss, at least 0, the first at most 4 where it is the
        cosine loss; contrastive_accuracy, 0 to 1, without gradient.
    """
    candidate_MP, group_M = memory_bank.candidates(embedded.target_NP, group_N)
    if not params.contrast.mask_groups:  # only futures of one context form a group; all other targets are negatives
        futures = len(group_N) // len(embedded.features_BD)
        group_M = torch.arange(len(group_M), device=group_M.device) // futures
    parts = zip(*((None,) * streams if x is None else x.chunk(streams, dim=1) for x in embedded), strict=True)
    candidates = candidate_MP.chunk(streams, dim=1)
    losses = [
        stream_objective(Embedded._make(part), candidate_MP, group_M, params)
        for part, candidate_MP in zip(parts, candidates, strict=True)
    ]
    return {name: torch.stack([loss[name] for loss in losses]).mean() for name in losses[0]}


def stream_objective(embedded: Embedded, candidate_MP: Tensor, group_M: Tensor, params: Params) -> dict[str, Tensor]:
    """The objective of one stream. Candidates of the same group are no negatives of each other."""
    forecast_NP, features_BD, projection_BP, target_NP, reversed_NP = embedded
    futures = len(forecast_NP) // len(features_BD)
    anchor_NP = forecast_NP if params.contrast.anchor == "forecast" else projection_BP.repeat_interleave(futures, dim=0)

    forecast = (forecasting_loss if params.forecast.loss == "cosine" else squared_error)(forecast_NP, target_NP)
    logits_NL = contrastive_logits(anchor_NP, candidate_MP, group_M, params.contrast.temperature, reversed_NP)
    match params.contrast.loss:
        case "vicreg":
            contrast = vicreg_loss(projection_BP)
        case "sigreg":
            contrast = sigreg_loss(projection_BP)
        case _:
            contrast = contrastive_loss(logits_NL)
    decorrelation = decorrelation_loss(features_BD)
    loss = (
        params.forecast.weight * forecast
        + params.contrast.weight * contrast
        + params.decorrelation.weight * decorrelation
    )
    return {
        "loss": loss,
        "forecast_loss": forecast,
        "contrast_loss": contrast,
        "decorrelation_loss": decorrelation,
        "contrastive_accuracy": contrastive_accuracy(logits_NL),
    }
