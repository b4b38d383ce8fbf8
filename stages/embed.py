"""data/frames + data/model -> data/embeddings: embed every video with the trained encoder and its controls.

The controls are an encoder with random weights, and the trained encoder on shuffled and on still frames.

Shapes: V videos, E dimensions of an embedding.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
from dataclasses import replace
from pathlib import Path

from mofore.config import load_params
from mofore.embedding.feature_files import feature_folders
from mofore.embedding.inference import UniformClips, embed_clips_to_files, embed_videos_to_files
from mofore.embedding.store import EMBEDDINGS
from mofore.embedding.streams import choose_streams, write_choice
from mofore.embedding.views import (
    VIEWS,
    forecast_encoders,
    leave_out_shorter_than_a_clip,
    representations,
    target_videos,
    write_clips,
    write_representations,
)
from mofore.errors import run_stage
from mofore.frames.store import FrameStore
from mofore.method.encoders import load_encoder
from mofore.method.saved_model import load_forecaster
from mofore.runtime.device import keep_freed_memory, pick_device
from mofore.runtime.distributed import init_distributed, launch
from mofore.utils.files import write_csv
from mofore.utils.text import counted, some_names


def main() -> None:
    params = load_params()
    launch(params.runtime.launcher)
    with init_distributed() as processes:
        device = pick_device(params.runtime, processes)
        keep_freed_memory()
        model = load_forecaster(Path("data/model"))[0].to(device)
        encoder = load_encoder(Path("data/model"))[0].to(device).eval()
        videos = FrameStore(Path("data/frames"))
        left_out = leave_out_shorter_than_a_clip(videos, params.clip)

        samples = UniformClips(videos, params.clip, params.embed.clips)
        encoders = representations(encoder, videos, params, device)
        subset = videos.select(target_videos(videos.table.split, params.seed))  # for the stage `forecast`
        clip = replace(params.clip, input=model.input_of(params.clip.input))
        subset_samples = UniformClips(subset, clip, params.embed.clips)

        with feature_folders(EMBEDDINGS, processes, 2) as (for_videos, for_clips):
            how = params.runtime, device, processes
            grid, seed = params.embed.grid, params.seed
            features = embed_videos_to_files(encoders, samples, grid, *how, VIEWS, seed, for_videos)
            inputs = embed_clips_to_files(forecast_encoders(model), subset_samples, *how, for_clips)
            if not processes.is_main:
                return
            for stale in ("streams.json", "shipped.parquet"):  # of an earlier run without DVC, which removes outputs
                (EMBEDDINGS / stale).unlink(missing_ok=True)
            choice = None
            if encoder.n_streams > 1:
                means = (block.mean_VE for block in features["mofore"])
                choice = choose_streams(means, videos.table.group, videos.table.split, seed)
                write_choice(EMBEDDINGS, choice)
            write_representations(samples, videos.table, features, params.embed, choice)
            for name, blocks in inputs.items():
                write_clips(name, subset_samples, subset.table, blocks)
            write_csv(EMBEDDINGS / "left_out.csv", left_out)

    print(
        f"embed: {counted(len(videos), 'video')} x {counted(samples.clips, 'clip')}, {len(features)} representations; "
        f"targets of {counted(len(subset), 'video')}" + (f"; {choice}" if choice else "")
    )
    if len(left_out):
        names = some_names(list(left_out.video))
        print(f"embed: left out {counted(len(left_out), 'video')}, too short for a clip: {names}")


if __name__ == "__main__":
    run_stage(main)
