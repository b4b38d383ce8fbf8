"""data/frames + data/model -> data/embeddings: embed every video with the trained encoder and with a fresh one."""

from pathlib import Path

import numpy as np

from mofore.config import load_params
from mofore.embed import UniformClips, embed_clips, leave_out_shorter_than_a_clip, write_embeddings
from mofore.encoder import build_encoder, load_encoder
from mofore.errors import run_stage
from mofore.files import write_csv
from mofore.packed import PackedVideos
from mofore.report import counted, some_names


def main() -> None:
    params = load_params()
    trained, name, clip = load_encoder(Path("data/model"))
    encoders = {"mofore": trained, "random_init": build_encoder(name, params.seed)}
    videos = PackedVideos(Path("data/frames"))
    left_out = leave_out_shorter_than_a_clip(videos, clip)

    features = embed_clips(encoders, videos, clip, params.embed.clips, params.runtime)

    folder = Path("data/embeddings")
    folder.mkdir(parents=True, exist_ok=True)
    clips = UniformClips(videos, clip, params.embed.clips)
    starts_VK = np.stack([clips.starts(video) for video in range(len(videos))])
    for encoder, features_VKD in features.items():
        write_embeddings(folder, encoder, videos, starts_VK, features_VKD)
    write_csv(folder / "left_out.csv", left_out)
    print(f"embed: {len(videos)} videos x {params.embed.clips} clips, {len(encoders)} encoders")
    if len(left_out):
        print(f"embed: left out {counted(len(left_out), 'video')} too short: {some_names(list(left_out.video))}")


if __name__ == "__main__":
    run_stage(main)
