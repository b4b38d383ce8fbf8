"""Measure how many videos per second stage `embed` embeds, against two other ways to do the same.

    dvc repro pretrain
    python benchmarks/embed.py [--frames data/frames] [--model data/model] [--turns 5]

All embed the rows of the stage: the trained encoder, a randomly initialised one, the shipped one, and the trained one
on shuffled frames and on still frames; each with its streams and the cells of the grid.

    mofore    the code of the stage: frames are read, decoded and cropped once for all rows
    forward   the forward passes alone, on inputs that are in memory already, each stream and view once: the upper bound
    simple    one row and one video at a time: read the video, then run the encoder on its clips in float32

The three take turns on the same videos in random order, so that other work on the machine slows all of them alike. The
medians are compared. The last line of the output is JSON.

Shapes: B clips of a batch, C channels, T frames, H = W side of a clip.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mofore.config import load_params
from mofore.embedding.inference import VIDEOS_PER_BATCH, UniformClips, embed_videos, streams_of, view_to_input
from mofore.embedding.views import VIEWS, leave_out_shorter_than_a_clip, representations
from mofore.frames.store import FrameStore
from mofore.method.encoders import load_encoder
from mofore.runtime.device import autocast, keep_freed_memory, pick_device

Embed = Callable[[], object]
MAX_VIDEOS = 56 * VIDEOS_PER_BATCH  # videos that are embedded in one turn


def make_ways(frames: Path, model: Path) -> tuple[dict[str, Embed], int]:
    """Return a function for each way to embed the same videos, and the number of videos."""
    params = load_params()
    trained, _, clip = load_encoder(model)
    videos = FrameStore(frames)
    leave_out_shorter_than_a_clip(videos, clip)
    videos.keep(np.arange(len(videos)) < MAX_VIDEOS)
    samples = UniformClips(videos, clip, params.embed.clips)
    device = pick_device(params.runtime)
    encoders = representations(trained.to(device).eval(), videos, params, device)
    rows = [(row, *part) for row, encoder in encoders.items() for part in streams_of(encoder)]
    starts = range(0, len(videos), VIDEOS_PER_BATCH)
    batches = [np.concatenate([samples[v] for v in range(i, min(i + VIDEOS_PER_BATCH, len(videos)))]) for i in starts]

    def stream_input(frames_BTHWC: Tensor, row: str, kind: str | None) -> Tensor:
        return view_to_input(frames_BTHWC.to(device), VIEWS.get(row, "ordered"), clip.input, params.seed, kind)

    distinct = {(stream, VIEWS.get(row, "ordered")): (row, stream, kind) for row, stream, kind in rows}.values()
    inputs = [[stream_input(torch.from_numpy(batch), row, kind) for row, _, kind in distinct] for batch in batches]

    def forward() -> None:
        with torch.inference_mode(), autocast(params.runtime, device):
            for of_batch in inputs:
                for (_, stream, _), x_BCTHW in zip(distinct, of_batch, strict=True):
                    stream.pyramid(x_BCTHW, params.embed.grid).float().cpu()

    @torch.inference_mode()
    def simple() -> None:
        for row, stream, kind in rows:
            for video in range(len(videos)):
                stream.pyramid(stream_input(torch.from_numpy(samples[video]), row, kind), params.embed.grid).cpu()

    def mofore() -> None:
        embed_videos(encoders, samples, params.embed.grid, params.runtime, device, views=VIEWS, seed=params.seed)

    return {"mofore": mofore, "forward": forward, "simple": simple}, len(videos)


def main() -> None:
    """Time all ways and compare their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("data/frames"), help="output of stage extract_frames")
    parser.add_argument("--model", type=Path, default=Path("data/model"), help="output of stage pretrain")
    parser.add_argument("--turns", type=int, default=5, help="how often each way is timed")
    arguments = parser.parse_args()
    keep_freed_memory()
    ways, n_videos = make_ways(arguments.frames, arguments.model)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(arguments.turns + 1):
        for name in random.sample(list(ways), len(ways)):
            start = time.perf_counter()
            ways[name]()
            if turn:  # turn 0 warms up
                seconds[name].append(time.perf_counter() - start)
    rate = {name: n_videos / float(np.median(took)) for name, took in seconds.items()}
    for name, value in rate.items():
        print(f"{name:8}{value:8.1f} videos/s   mofore is {rate['mofore'] / value:5.2f} times as fast")
    result = {
        "videos_per_second": {name: round(value, 1) for name, value in rate.items()},
        "mofore_to": {name: round(rate["mofore"] / value, 3) for name, value in rate.items() if name != "mofore"},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
