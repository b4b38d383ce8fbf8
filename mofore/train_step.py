"""Momentum-Guided Semantic Forecasting: the training step.

Shapes: B contexts of this process, F futures of each, K = B F forecasts; N forecasts of the batch (all processes), R
its contexts; M candidates; T frames, H = W side, C channels, D feature and P projection dimensions.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import AdamW

from mofore.augment import input_channels, play_backwards, to_input
from mofore.config import Params
from mofore.device import autocast
from mofore.encoder import build_encoder
from mofore.losses import contrastive_loss, decorrelating_loss, forecasting_loss
from mofore.model import MoFore
from mofore.optimizer import adamw
from mofore.pairs import Pair
from mofore.processes import Processes
from mofore.regularisers import sigreg_loss, vicreg_loss
from mofore.target_queue import TargetQueue
from mofore.training_log import Step

REGULARISERS = {"vicreg": vicreg_loss, "sigreg": sigreg_loss}


@dataclass
class Learner:
    """The networks, what trains them, and the processes that share the work.

    Attributes:
        model: the networks.
        networks: the same, as they are called: replicated over processes, compiled.
        optimizer: of the online encoder, projector and predictor.
        processes: each has a part of the batch.
        queue: targets of earlier batches.
    """

    model: MoFore
    networks: nn.Module
    optimizer: AdamW
    processes: Processes
    queue: TargetQueue


def make_learner(params: Params, device: torch.device, processes: Processes) -> Learner:
    """Everything at its start, drawn from `seed`."""
    torch.manual_seed(params.seed)
    forecast = params.forecast
    encoder = build_encoder(params.encoder.name, params.seed, input_channels(params.clip.input))
    model = MoFore(encoder, forecast.projection, forecast.hidden, forecast.told).to(device).train()
    networks = processes.replicate(model, device)
    if params.runtime.compile:
        networks = torch.compile(networks)  # type: ignore[assignment] # a module for a module
    optimizer = adamw(model, params.pretrain.lr, params.pretrain.weight_decay)
    queue = TargetQueue(params.contrast.queue, forecast.projection, device)
    return Learner(model, networks, optimizer, processes, queue)


def train_step(learner: Learner, batch: Pair, params: Params, momentum: float) -> Step:
    """One step: forecast the future's embedding from the context, compare, learn, let the EMA encoder follow."""
    context_BCTHW = to_input(batch.context_THWC, params.clip.input, batch.context_colour_34)
    future_KCTHW = to_input(batch.future_FTHWC.flatten(0, 1), params.clip.input, batch.future_colour_F34.flatten(0, 1))
    backwards_KCTHW = play_backwards(future_KCTHW, params.clip.input) if params.contrast.reversed else None

    with autocast(params.runtime, context_BCTHW.device):
        embedded = learner.networks(context_BCTHW, batch.gap_F, future_KCTHW, backwards_KCTHW)

    everyone, futures = learner.processes, batch.gap_F.shape[1]
    forecast_NP, target_NP = everyone.gather(embedded.forecast_NP), everyone.gather(embedded.target_NP)
    reversed_NP = None if embedded.reversed_NP is None else everyone.gather(embedded.reversed_NP)
    features_RD, projection_RP = everyone.gather(embedded.features_BD), everyone.gather(embedded.projection_BP)
    group_N = everyone.gather(batch.group).repeat_interleave(futures)
    candidate_MP, group_M = learner.queue.behind(target_NP, group_N)
    if not params.contrast.mask_groups:
        group_M = torch.arange(len(group_M), device=group_M.device) // futures  # each context by itself

    forecast_loss = forecasting_loss(forecast_NP, target_NP)
    contrast_loss, picked = contrastive_loss(
        forecast_NP, candidate_MP, group_M, params.contrast.temperature, reversed_NP
    )
    if params.contrast.loss != "infonce":
        contrast_loss = REGULARISERS[params.contrast.loss](projection_RP)
    decorrelation_loss = decorrelating_loss(features_RD)
    loss = (
        params.forecast.weight * forecast_loss
        + params.contrast.weight * contrast_loss
        + params.decorrelation.weight * decorrelation_loss
    )

    learner.optimizer.zero_grad(set_to_none=True)
    (everyone.count * loss).backward()
    learner.optimizer.step()
    learner.model.update_ema(momentum)
    learner.queue.add(target_NP, group_N)

    gap = everyone.gather(batch.gap_F).float().mean()
    scalars = torch.stack([loss, forecast_loss, contrast_loss, decorrelation_loss, picked, gap]).detach()
    return Step(scalars, forecast_NP.detach(), target_NP)
