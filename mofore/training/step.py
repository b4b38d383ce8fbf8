"""The training step of Momentum-Guided Semantic Forecasting.

    h = encoder(context)                            features
    f = predictor(projector(h), gap)                forecasts
    t = projector'(encoder'(future))                targets, by the EMA networks, without gradient
    loss = w_f L_forecast + w_c L_contrast + w_d L_decorrelation       (see `method.objective`)
    one step of AdamW on encoder, projector and predictor
    EMA weights <- m EMA weights + (1 - m) online weights; t goes into the memory bank

With several processes, each computes h, f and t of its own clips. These are then gathered, so that the loss is that of
the whole batch.

Shapes: B contexts, F futures of each, N = B F forecasts; after gathering, B and N count those of all processes.
C channels, T frames, H = W side of a clip, P projection dimensions.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import AdamW

from mofore.clips.augment import time_reverse, to_input
from mofore.clips.dataset import Sample
from mofore.config import Params
from mofore.method.initial_model import initial_model
from mofore.method.memory_bank import MemoryBank
from mofore.method.model import Embedded, MoFore
from mofore.method.objective import objective
from mofore.runtime.device import autocast
from mofore.runtime.distributed import Processes
from mofore.training.log import StepLog
from mofore.training.optim import adamw


@dataclass
class TrainState:
    """Networks, optimiser and memory bank of a run.

    Attributes:
        model: the networks.
        networks: the same networks, possibly wrapped in DistributedDataParallel and compiled, for the forward pass.
        optimizer: updates the online encoder, projector and predictor.
        processes: the data-parallel processes; each has its shard of the batch.
        memory_bank: targets of earlier batches.
    """

    model: MoFore
    networks: nn.Module
    optimizer: AdamW
    processes: Processes
    memory_bank: MemoryBank


def make_train_state(params: Params, device: torch.device, processes: Processes) -> TrainState:
    """The state before the first step. The initial weights follow from `params.seed`."""
    model = initial_model(params.encoder, params.clip.input, params.forecast, params.seed).to(device)
    model.train()
    networks = processes.replicate(model, device)
    if params.runtime.compile:
        networks = torch.compile(networks)  # type: ignore[assignment] # a module for a module
    optimizer = adamw(model, params.pretrain.lr, params.pretrain.weight_decay)
    memory_bank = MemoryBank(params.contrast.queue_size, model.projection_dim, device)
    return TrainState(model, networks, optimizer, processes, memory_bank)


def train_step(state: TrainState, batch: Sample, params: Params, momentum: float) -> StepLog:
    """One training step: forward, gather, objective, backward, optimiser step, EMA update, memory bank.

    Args:
        state: updated in place.
        batch: this process's shard of the batch, on the device of the networks.
        params: parameters of the run.
        momentum: of the EMA update, 0 to 1.

    Returns:
        Losses, contrastive accuracy and mean gap, and the embeddings of the whole batch.
    """
    processes = state.processes
    embedded = forward(state.networks, batch, params)

    embedded = Embedded._make(None if x is None else processes.gather(x) for x in embedded)
    gap_BF, group_B = processes.gather(batch.gap_F), processes.gather(batch.group)
    group_N = group_B.repeat_interleave(gap_BF.shape[1])

    losses = objective(embedded, group_N, state.memory_bank, params, state.model.streams)

    state.optimizer.zero_grad(set_to_none=True)
    # Each process has the loss of the whole batch, but gradients only for its own rows. They must be summed over
    # processes. DistributedDataParallel averages them, hence the factor.
    (processes.count * losses["loss"]).backward()
    state.optimizer.step()

    state.model.update_ema(momentum)
    state.memory_bank.enqueue(embedded.target_NP, group_N)

    scalars = {name: value.detach() for name, value in losses.items()} | {"gap": gap_BF.float().mean()}
    return StepLog(scalars, embedded.forecast_NP.detach(), embedded.target_NP)


def forward(networks: nn.Module, batch: Sample, params: Params) -> Embedded:
    """Convert frames to network input, in float32, and run the networks on it, in `runtime.precision`."""
    kind = params.clip.input
    context_BCTHW = to_input(batch.context_THWC, kind, batch.context_colour_34)
    future_NCTHW = to_input(batch.future_FTHWC.flatten(0, 1), kind, batch.future_colour_F34.flatten(0, 1))
    reversed_NCTHW = time_reverse(future_NCTHW, kind) if params.contrast.time_reversed_negatives else None
    with autocast(params.runtime, context_BCTHW.device):
        embedded: Embedded = networks(context_BCTHW, batch.gap_F, future_NCTHW, reversed_NCTHW)
    return embedded
