"""Embedding: videos a second of the stage's way against the forward pass alone, and against one video after another.

    dvc repro pretrain
    python benchmarks/embed.py [--frames data/frames] [--model data/model] [--turns 5]

mofore: frames read, decoded and cropped once, while all rows of the stage are embedded (the trained encoder, a fresh
one, and the trained one on shuffled frames and on stills). forward: the same passes on clips that lie ready in memory
as the encoders' input. simple: for each row, a video is read, then the encoder runs on its clips in float32. All take
turns of some videos in one run, so that other work on the machine hits all alike; the median of each is compared. Ends
with one line of JSON.
"""

import mofore.runtime.openmp  # noqa: F401 # first, before anything that loads torch

# isort: split
import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mofore.config import load_params
from mofore.embedding.inference import VIDEOS_PER_BATCH, UniformClips, View, embed_clips, view_to_input
from mofore.embedding.views import VIEWS, leave_out_shorter_than_a_clip
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder, load_encoder
from mofore.runtime.device import autocast, keep_freed_memory, pick_device

Embed = Callable[[], object]
TURN = 56 * VIDEOS_PER_BATCH  # videos


def ways(frames: Path, model: Path) -> tuple[dict[str, Embed], int]:
    """Each way, to embed the same videos; and how many they are."""
    params = load_params()
    trained, name, clip = load_encoder(model)
    videos = FrameStore(frames)
    leave_out_shorter_than_a_clip(videos, clip)
    videos.keep(np.arange(len(videos)) < TURN)
    samples = UniformClips(videos, clip, params.embed.clips)
    device = pick_device(params.runtime)
    fresh = build_encoder(name, params.seed)
    network = trained.to(device).eval()
    encoders: dict[str, nn.Module] = {"mofore": network, "random_init": fresh.to(device).eval()}
    encoders.update(dict.fromkeys(VIEWS, network))
    view_of: dict[str, View] = {row: VIEWS.get(row, "ordered") for row in encoders}
    at = range(0, len(videos), VIDEOS_PER_BATCH)
    stored = [np.concatenate([samples[v] for v in range(i, min(i + VIDEOS_PER_BATCH, len(videos)))]) for i in at]

    def seen(frames_BTHWC: Tensor, row: str) -> Tensor:
        return view_to_input(frames_BTHWC.to(device), view_of[row], clip.input, params.seed)

    inputs = [{view_of[row]: seen(torch.from_numpy(frames), row) for row in encoders} for frames in stored]

    def forward() -> None:
        with torch.inference_mode(), autocast(params.runtime, device):
            for x_BCTHW in inputs:
                for row, encoder in encoders.items():
                    encoder(x_BCTHW[view_of[row]]).float().cpu()

    @torch.inference_mode()
    def simple() -> None:
        for row, encoder in encoders.items():
            for video in range(len(videos)):
                encoder(seen(torch.from_numpy(samples[video]), row)).cpu()

    def mofore() -> None:
        embed_clips(encoders, samples, params.runtime, device, views=VIEWS, seed=params.seed)

    return {"mofore": mofore, "forward": forward, "simple": simple}, len(videos)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("data/frames"), help="what extract_frames has made")
    parser.add_argument("--model", type=Path, default=Path("data/model"), help="what pretrain has made")
    parser.add_argument("--turns", type=int, default=5, help="turns of each way")
    arguments = parser.parse_args()
    keep_freed_memory()
    by_name, n_videos = ways(arguments.frames, arguments.model)
    seconds: dict[str, list[float]] = {name: [] for name in by_name}
    for turn in range(arguments.turns + 1):
        for name in random.sample(list(by_name), len(by_name)):
            began = time.perf_counter()
            by_name[name]()
            if turn:  # the first is to warm up
                seconds[name].append(time.perf_counter() - began)
    rate = {name: n_videos / float(np.median(took)) for name, took in seconds.items()}
    for name, value in rate.items():
        print(f"{name:8}{value:8.1f} videos/s   mofore is {rate['mofore'] / value:5.2f} times that")
    result = {
        "videos_per_second": {name: round(value, 1) for name, value in rate.items()},
        "mofore_to": {name: round(rate["mofore"] / value, 3) for name, value in rate.items() if name != "mofore"},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
