"""Momentum-Guided Semantic Forecasting: the training step.

Shapes: B clips of this process, N of the batch (all processes), T frames, H = W side, C channels, D feature and
P projection dimensions.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import AdamW

from mofore.augment import play_backwards, to_input
from mofore.config import Params
from mofore.device import autocast
from mofore.encoder import build_encoder
from mofore.losses import contrastive_loss, decorrelating_loss, forecasting_loss
from mofore.model import MoFore
from mofore.optimizer import adamw
from mofore.pairs import Pair
from mofore.processes import Processes
from mofore.training_log import Step


@dataclass
class Learner:
    """The networks, what trains them, and the processes that share the work.

    Attributes:
        model: the networks.
        networks: the same, as they are called: replicated over processes, compiled.
        optimizer: of the online encoder, projector and predictor.
        processes: each has a part of the batch.
    """

    model: MoFore
    networks: nn.Module
    optimizer: AdamW
    processes: Processes


def make_learner(params: Params, device: torch.device, processes: Processes) -> Learner:
    """Everything at its start, drawn from `seed`."""
    torch.manual_seed(params.seed)
    encoder = build_encoder(params.encoder.name, params.seed)
    model = MoFore(encoder, params.forecast.projection, params.forecast.hidden).to(device).train()
    networks = processes.replicate(model, device)
    if params.runtime.compile:
        networks = torch.compile(networks)  # type: ignore[assignment] # a module for a module
    return Learner(model, networks, adamw(model, params.pretrain.lr, params.pretrain.weight_decay), processes)


def train_step(learner: Learner, batch: Pair, params: Params, momentum: float) -> Step:
    """One step: forecast the future's embedding from the context, compare, learn, let the EMA encoder follow."""
    context_BCTHW = to_input(batch.context_THWC, params.clip.input, batch.context_colour_34)
    future_BCTHW = to_input(batch.future_THWC, params.clip.input, batch.future_colour_34)
    backwards_BCTHW = play_backwards(future_BCTHW, params.clip.input) if params.contrast.reversed else None

    with autocast(params.runtime, context_BCTHW.device):
        embedded = learner.networks(context_BCTHW, batch.gap, future_BCTHW, backwards_BCTHW)

    everyone = learner.processes
    forecast_NP, features_ND = everyone.gather(embedded.forecast_BP), everyone.gather(embedded.features_BD)
    target_NP, group_N = everyone.gather(embedded.target_BP), everyone.gather(batch.group)
    reversed_NP = None if embedded.reversed_BP is None else everyone.gather(embedded.reversed_BP)

    forecast_loss = forecasting_loss(forecast_NP, target_NP)
    contrast_loss, picked = contrastive_loss(forecast_NP, target_NP, group_N, params.contrast.temperature, reversed_NP)
    decorrelation_loss = decorrelating_loss(features_ND)
    loss = (
        params.forecast.weight * forecast_loss
        + params.contrast.weight * contrast_loss
        + params.decorrelation.weight * decorrelation_loss
    )

    learner.optimizer.zero_grad(set_to_none=True)
    (everyone.count * loss).backward()
    learner.optimizer.step()
    learner.model.update_ema(momentum)

    gap = everyone.gather(batch.gap).float().mean()
    scalars = torch.stack([loss, forecast_loss, contrast_loss, decorrelation_loss, picked, gap]).detach()
    return Step(scalars, forecast_NP.detach(), target_NP)
