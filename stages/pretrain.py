"""data/frames -> data/model: train the encoder on the training split, without labels."""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
from pathlib import Path

import pandas as pd

from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.gap_histogram import gap_shares, sampled_gaps
from mofore.config import Params, load_params
from mofore.errors import run_stage
from mofore.frames.store import FrameStore
from mofore.method.encoders import save_encoder
from mofore.method.saved_model import save_forecaster
from mofore.method.shipped import averaged_with_shipped, whole_encoder
from mofore.runtime.distributed import init_distributed, launch
from mofore.training.checkpoint import checkpoint
from mofore.training.pretrain import Pretrained, epochs_of, leave_out_short, pretrain, trained_part
from mofore.utils.files import write_csv, write_json
from mofore.utils.text import counted, some_names


def main() -> None:
    params = load_params()
    launch(params.runtime.launcher)
    with init_distributed() as processes, checkpoint("pretrain", params, processes) as saved:
        videos = FrameStore(Path("data/frames"), split="train")
        left_out = leave_out_short(videos, params)
        run = pretrain(params, videos, processes, saved)
        if processes.is_main:
            write_results(params, run, videos, left_out)


def write_results(params: Params, run: Pretrained, videos: FrameStore, left_out: pd.DataFrame) -> None:
    """Write the model, the training log, the histogram of gaps and the summary; print the summary."""
    encoder = run.model.encoder.cpu()
    if params.encoder.keep == "averaged":
        encoder = averaged_with_shipped(encoder, trained_part(params).clip.input)
    encoder = whole_encoder(encoder, params.clip.input)
    save_encoder(Path("data/model"), encoder, params.encoder.name, params.clip)
    save_forecaster(Path("data/model"), run.model, params.forecast)
    write_csv(Path("data/model/left_out.csv"), left_out)
    write_csv(Path("results/pretrain.csv"), run.log, "%.6g")
    pairs = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed)
    epochs = epochs_of(params.pretrain, len(videos))
    batches = EpochSampler(len(videos), params.pretrain.batch_size, epochs, params.seed)
    write_csv(Path("results/gaps.csv"), gap_shares(sampled_gaps(pairs, batches)), "%.6g")
    final = run.log.iloc[-1].drop("epoch").to_dict()
    summary = final | {
        "videos": len(videos),
        "videos_too_short": len(left_out),
        "clips_per_second": round(run.clips_per_second, 1),
        "seconds": round(run.seconds, 1),
        "data_wait": round(run.data_wait, 4),
    }
    write_json(Path("results/pretrain.json"), summary)
    print(
        f"pretrain: {counted(len(videos), 'video')}, {counted(epochs, 'epoch')} in {run.seconds:.0f} s "
        f"({run.clips_per_second:.0f} clips/s, {run.data_wait:.1%} waiting for data); loss {final['loss']:.3f}, "
        f"effective rank {final['effective_rank']:.1f}"
    )
    if len(left_out):
        names = some_names(list(left_out.video))
        print(f"pretrain: left out {counted(len(left_out), 'video')}, too short for context and future: {names}")


if __name__ == "__main__":
    run_stage(main)
