"""The pretraining loop."""

import math
from contextlib import closing
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch.optim import AdamW

from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.loader import Samples, load_batches, loader_worker_count
from mofore.clips.sampling import clip_span
from mofore.clips.transfer import to_device
from mofore.config import MIN_BATCH, Params, Pretrain
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from mofore.method.model import MoFore
from mofore.runtime.device import keep_freed_memory, pick_device
from mofore.runtime.distributed import SINGLE, Processes
from mofore.runtime.signals import StopSignals
from mofore.training.checkpoint import Checkpoint
from mofore.training.monitor import Monitor
from mofore.training.online_knn import OnlineKnn
from mofore.training.optim import cosine, learning_rate
from mofore.training.state import TrainingRun, clips_per_step
from mofore.training.step import train_step
from mofore.utils.progress import progress, tell
from mofore.utils.text import counted

HEALTH_EVERY_STEPS = 50  # steps between two updates of the collapse diagnostics in the progress line


@dataclass
class Pretrained:
    """The result of a run: the model, a log with one row per epoch, and the speed."""

    model: MoFore
    log: pd.DataFrame
    seconds: float  # of the whole run, including its parts before a resume
    clips_per_second: float
    data_wait: float  # share of the time spent waiting for batches, 0 to 1


def pretrain(
    params: Params, videos: FrameStore, processes: Processes = SINGLE, checkpoint: Checkpoint | None = None
) -> Pretrained:
    """Pretrain on videos. Labels are used for the kNN score in the log only.

    With `pretrain.streams` "motion", the result is the motion stream alone (see `method.shipped.whole_encoder`).

    Args:
        params: all parameters.
        videos: training videos, each long enough for two clips and the smallest gap (see `leave_out_short`).
        processes: the data-parallel processes.
        checkpoint: the run resumes from it and saves to it; without one nothing is saved.

    Raises:
        UserError: there are fewer videos than a batch, the batch size is no multiple of the number of processes, the
            device is not available, or loss or weights are not finite.
        StoppedError: the run was stopped by a signal; it has been saved if possible.
    """
    params = trained_part(params)
    p, runtime = params.pretrain, params.runtime
    _check_batch(len(videos), p.batch_size, processes)
    device = pick_device(runtime, processes)
    # On a CPU, each video is always decoded by the same worker. On other devices any worker may decode any video, so
    # that each would cache all videos: no cache there.
    cache_bytes = runtime.cache * 1e9 if device.type == "cpu" else 0
    loaders = max(1, loader_worker_count(runtime.workers)) * processes.local_count
    samples = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed, cache_bytes / loaders)
    epochs = epochs_of(p, len(videos))
    batches = EpochSampler(len(videos), p.batch_size, epochs, params.seed, processes=processes)
    knn = OnlineKnn(videos, params) if p.knn_every and processes.is_main else None
    return train(params, samples, batches, device, knn, processes, checkpoint)


def train(
    params: Params,
    samples: Samples,
    batches: EpochSampler,
    device: torch.device,
    knn: OnlineKnn | None = None,
    processes: Processes = SINGLE,
    checkpoint: Checkpoint | None = None,
) -> Pretrained:
    """The loop, for any samples and batches of them; otherwise as `pretrain`."""
    p, runtime = params.pretrain, params.runtime
    keep_freed_memory()
    run = TrainingRun(params, device, processes)
    if checkpoint and (state := checkpoint.load(device)):
        run.restore(state)
        if processes.is_main:
            tell(f"pretrain: resumed from step {run.step}")
    if processes.any(run.step != processes.from_main(lambda: run.step)):
        raise UserError(
            "pretrain: the processes have different checkpoints: give all nodes the same folder .scratch, on a file "
            "system that they share, or delete .scratch/pretrain on all of them"
        )
    batches.first_step = run.step
    check_every = 1 if device.type == "cpu" else HEALTH_EVERY_STEPS  # to read the loss, a GPU must finish the step
    monitor = Monitor(run, batches.steps, checkpoint)

    with StopSignals() as signals, closing(load_batches(samples, batches, runtime.workers, device)) as loaded:
        bar = progress(run.timed(loaded), batches.steps, "pretrain", "step", run.step, hidden=not processes.is_main)
        for host_batch in monitor.until_stopped(bar, signals):
            lr, momentum = set_schedule(run.train_state.optimizer, params, (run.step + 1) / batches.steps)
            run.log.add(train_step(run.train_state, to_device(host_batch, device), params, momentum))
            run.step += 1

            if run.step % check_every == 0:
                monitor.check_loss()
            if run.step % HEALTH_EVERY_STEPS == 0 and processes.is_main:
                bar.set_postfix(monitor.progress_line())
            if run.step % batches.steps_per_epoch == 0:
                monitor.check_loss()
                epoch = run.step // batches.steps_per_epoch
                row = {"epoch": epoch} | run.log.end_epoch() | {"lr": lr, "momentum": momentum}
                if knn and knn.possible and (epoch % p.knn_every == 0 or epoch == batches.epochs):
                    row["knn"] = knn.score(run.train_state.model.encoder, device)
                run.rows.append(row)
            if run.step == batches.steps or (checkpoint and checkpoint.due()):
                monitor.save()
    monitor.check_weights()

    clips, seconds = clips_per_step(params) * batches.steps, max(run.seconds, 1e-9)
    return Pretrained(run.train_state.model, pd.DataFrame(run.rows), seconds, clips / seconds, run.waited / seconds)


def trained_part(params: Params) -> Params:
    """Parameters of the part of the encoder that is trained: of its motion stream, if `pretrain.streams` says so.

    Streams have nothing in common, so one that is not trained need not be computed either.
    """
    if params.clip.input == "two_stream" and params.pretrain.streams == "motion":
        return replace(params, clip=replace(params.clip, input="residual"))
    return params


def epochs_of(pretrain: Pretrain, videos: int) -> int:
    """Number of epochs of a run: `pretrain.epochs`, or more if `pretrain.min_steps` requires it."""
    return max(pretrain.epochs, math.ceil(pretrain.min_steps / (videos // pretrain.batch_size)))


def set_schedule(optimizer: AdamW, params: Params, share: float) -> tuple[float, float]:
    """Set the learning rate of the next step; returns the learning rate and the EMA momentum.

    `share`: the share of the run that will be done after this step, 0 to 1.
    """
    lr = learning_rate(params.pretrain, share)
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr, cosine(params.momentum.start, params.momentum.end, share)


def _check_batch(videos: int, batch_size: int, processes: Processes) -> None:
    usable = counted(videos, "training video is", "training videos are") + " usable"
    if videos < MIN_BATCH:
        raise UserError(
            f"data/frames/videos.csv: only {usable}, but training needs {MIN_BATCH}: add videos, of which a quarter is "
            "held out"
        )
    if videos < batch_size:
        raise UserError(
            f"params.yaml: pretrain.batch_size is {batch_size}, but only {usable}: lower it to at most {videos} or add "
            "videos"
        )
    if batch_size % processes.count:
        raise UserError(
            f"params.yaml: pretrain.batch_size is {batch_size}, but must be a multiple of the {processes.count} "
            "processes that share it"
        )


def leave_out_short(videos: FrameStore, params: Params) -> pd.DataFrame:
    """Remove from `videos` those that are too short for a context, the smallest gap and a future.

    Returns:
        The removed videos, with columns video, frames, reason.

    Raises:
        UserError: no video is long enough.
    """
    clip, gap_min = params.clip, params.forecast.gap_min
    return videos.leave_out_shorter(
        2 * clip_span(clip) + gap_min,
        "two clips and the smallest gap",
        f"clip.frames {clip.frames} x clip.stride {clip.stride} and forecast.gap_min {gap_min}",
    )
