"""Momentum-Guided Semantic Forecasting: the training loop.

Shapes: B batch, T frames, H = W side of a clip, C channels, P projection dimensions, N embeddings of an epoch.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from mofore.augment import play_backwards, to_input
from mofore.clips import clip_span
from mofore.config import Params
from mofore.cores import worker_count
from mofore.device import autocast, pick_device
from mofore.encoder import build_encoder
from mofore.errors import UserError
from mofore.health import alignment, effective_rank, spread, uniformity
from mofore.losses import contrastive_loss, decorrelating_loss, forecasting_loss
from mofore.model import MoFore
from mofore.packed import PackedVideos
from mofore.pairs import Epochs, Pair, Pairs, pair_loader, to_device
from mofore.progress import progress
from mofore.schedule import cosine, learning_rate

HEALTH_SAMPLES = 1024  # embeddings of an epoch that the health measures look at: exact enough, and cheap


@dataclass
class Step:
    """What one training step leaves behind for the log; all tensors are detached."""

    loss: Tensor
    forecast_loss: Tensor
    contrast_loss: Tensor
    decorrelation_loss: Tensor
    picked: Tensor  # share of forecasts that picked their own future
    forecast_BP: Tensor
    target_BP: Tensor


def train_step(model: MoFore, optimizer: Optimizer, batch: Pair, params: Params, momentum: float) -> Step:
    """One step: forecast the future's embedding from the context, compare, learn, let the EMA encoder follow."""
    context_BCTHW = to_input(batch.context_THWC, params.clip.input, batch.context_colour_34)
    future_BCTHW = to_input(batch.future_THWC, params.clip.input, batch.future_colour_34)

    with autocast(params.runtime, context_BCTHW.device):
        forecast_BP, features_BD = model.forecast(context_BCTHW, batch.gap)
        target_BP = model.target(future_BCTHW)
        reversed_BP = (
            model.target(play_backwards(future_BCTHW, params.clip.input)) if params.contrast.reversed else None
        )

    forecast_loss = forecasting_loss(forecast_BP, target_BP)
    contrast_loss, picked = contrastive_loss(
        forecast_BP, target_BP, batch.group, params.contrast.temperature, reversed_BP
    )
    decorrelation_loss = decorrelating_loss(features_BD)
    loss = (
        params.forecast.weight * forecast_loss
        + params.contrast.weight * contrast_loss
        + params.decorrelation.weight * decorrelation_loss
    )

    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    model.update_ema(momentum)
    return Step(
        loss.detach(),
        forecast_loss.detach(),
        contrast_loss.detach(),
        decorrelation_loss.detach(),
        picked,
        forecast_BP.detach(),
        target_BP,
    )


@dataclass
class Pretrained:
    """What a run gives: the model, one log row an epoch, and how fast it was."""

    model: MoFore
    log: pd.DataFrame
    seconds: float
    clips_per_second: float
    data_wait: float  # share of the time spent waiting for data, 0 to 1


@dataclass
class Epoch:
    """Gathers the steps of one epoch into a row of the log."""

    steps: list[Step] = field(default_factory=list)
    gaps: list[Tensor] = field(default_factory=list)

    def row(self, epoch: int, lr: float, momentum: float) -> dict[str, float]:
        last = max(1, HEALTH_SAMPLES // len(self.gaps[0]))
        forecast_NP = torch.cat([s.forecast_BP for s in self.steps[-last:]]).float()
        target_NP = torch.cat([s.target_BP for s in self.steps[-last:]]).float()
        return {
            "epoch": epoch,
            "loss": _mean([s.loss for s in self.steps]),
            "forecast_loss": _mean([s.forecast_loss for s in self.steps]),
            "contrast_loss": _mean([s.contrast_loss for s in self.steps]),
            "decorrelation_loss": _mean([s.decorrelation_loss for s in self.steps]),
            "picked": _mean([s.picked for s in self.steps]),
            "effective_rank": effective_rank(target_NP),
            "spread": spread(target_NP),
            "alignment": alignment(forecast_NP, target_NP),
            "uniformity": uniformity(target_NP),
            "gap": _mean([g.float().mean() for g in self.gaps]),
            "lr": lr,
            "momentum": momentum,
        }


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack(values).mean())


def pretrain(params: Params, videos: PackedVideos) -> Pretrained:
    """Train on the videos given (labels are not looked at).

    Args:
        videos: training videos, each long enough for two clips and the smallest gap (see `leave_out_short`).

    Raises:
        UserError: fewer videos than one batch, or the loss is no longer finite.
    """
    p = params.pretrain
    if len(videos) < p.batch_size:
        raise UserError(
            f"params.yaml: pretrain.batch_size is {p.batch_size}, but only {len(videos)} training videos are usable: "
            f"lower it to at most {len(videos)} or add videos"
        )
    device = pick_device(params.runtime)
    torch.manual_seed(params.seed)
    encoder = build_encoder(params.encoder.name, params.seed)
    model = MoFore(encoder, params.forecast.projection, params.forecast.hidden).to(device).train()
    optimizer = adamw(model, p.lr, p.weight_decay)

    batches = Epochs(len(videos), p.batch_size, p.epochs, params.seed)
    pairs = Pairs(videos, params.clip, params.forecast, params.augment, params.seed)
    loader = pair_loader(pairs, batches, worker_count(params.runtime.workers), pin=device.type == "cuda")

    rows, epoch, waiting = [], Epoch(), Stopwatch()
    began = time.perf_counter()
    bar = progress(waiting.over(iter(loader)), len(batches), "pretrain", "step")
    for step, host_batch in enumerate(bar, start=1):
        share = step / len(batches)
        lr = learning_rate(p.lr, p.warmup, share)
        momentum = cosine(params.momentum.start, params.momentum.end, share)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = to_device(host_batch, device)
        epoch.steps.append(train_step(model, optimizer, batch, params, momentum))
        epoch.gaps.append(batch.gap)
        if step % batches.steps_per_epoch == 0:
            rows.append(epoch.row(step // batches.steps_per_epoch, lr, momentum))
            epoch = Epoch()
            bar.set_postfix({key: f"{rows[-1][key]:.2f}" for key in ("loss", "effective_rank", "spread")})
            if not math.isfinite(rows[-1]["loss"]):
                raise UserError(f"pretrain: the loss is {rows[-1]['loss']} in epoch {len(rows)}: lower pretrain.lr")
    seconds = time.perf_counter() - began
    clips = 2 * p.batch_size * len(batches)
    return Pretrained(model, pd.DataFrame(rows), seconds, clips / seconds, waiting.seconds / seconds)


def adamw(model: MoFore, lr: float, weight_decay: float) -> AdamW:
    """AdamW that decays matrices and kernels, but neither biases nor normalisation scales."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, fused=True)


class Stopwatch:
    """Measures how long an iterator makes its consumer wait."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def over(self, items: Iterator[Pair]) -> Iterator[Pair]:
        while True:
            asked = time.perf_counter()
            item = next(items, None)
            self.seconds += time.perf_counter() - asked
            if item is None:
                return
            yield item


def leave_out_short(videos: PackedVideos, params: Params) -> pd.DataFrame:
    """Leave out videos too short for a context, the smallest gap and a future.

    Returns:
        The videos left out, with columns video, frames, reason.

    Raises:
        UserError: no video is long enough.
    """
    clip, gap_min = params.clip, params.forecast.gap_min
    return videos.leave_out_shorter(
        2 * clip_span(clip) + gap_min,
        "two clips and the smallest gap",
        f"clip.frames {clip.frames} x clip.stride {clip.stride} and forecast.gap_min {gap_min}",
    )
