"""data/frames + data/model -> data/embeddings: embed every video with the trained encoder and with a fresh one."""

import mofore.waiting  # noqa: F401 # first, before anything that loads torch

# isort: split
from pathlib import Path

import numpy as np
import pandas as pd

from mofore.config import load_params
from mofore.device import keep_freed_memory, pick_device
from mofore.embed import leave_out_shorter_than_a_clip, write_embeddings
from mofore.encoder import build_encoder, load_encoder
from mofore.errors import run_stage
from mofore.features import FloatArray, UniformClips, embed_clips
from mofore.files import write_csv
from mofore.packed import PackedVideos
from mofore.processes import joined, launch
from mofore.report import counted, some_names


def main() -> None:
    params = load_params()
    launch(params.runtime.launcher)
    with joined() as processes:
        trained, name, clip = load_encoder(Path("data/model"))
        videos = PackedVideos(Path("data/frames"))
        left_out = leave_out_shorter_than_a_clip(videos, clip)

        device = pick_device(params.runtime, processes)
        keep_freed_memory()
        encoders = {"mofore": trained, "random_init": build_encoder(name, params.seed)}
        encoders = {name: encoder.to(device).eval() for name, encoder in encoders.items()}
        clips = UniformClips(videos, clip, params.embed.clips)
        features = embed_clips(encoders, clips, params.runtime, device, processes)
        if processes.first:
            write(features, clips, videos, left_out)


def write(features: dict[str, FloatArray], clips: UniformClips, videos: PackedVideos, left_out: pd.DataFrame) -> None:
    folder = Path("data/embeddings")
    folder.mkdir(parents=True, exist_ok=True)
    starts_VK = np.stack([clips.starts(video) for video in range(len(videos))])
    for encoder, features_VKD in features.items():
        write_embeddings(folder, encoder, videos, starts_VK, features_VKD)
    write_csv(folder / "left_out.csv", left_out)
    print(f"embed: {len(videos)} videos x {clips.clips} clips, {len(features)} encoders")
    if len(left_out):
        print(f"embed: left out {counted(len(left_out), 'video')} too short: {some_names(list(left_out.video))}")


if __name__ == "__main__":
    run_stage(main)
