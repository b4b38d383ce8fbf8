"""Measure speed, memory and learning of pretraining against lightly's MoCo and BYOL.

    dvc repro manifest
    python benchmarks/pretrain.py [--frames data/frames] [--turns 6] [--seconds 60]

First, the speed of a training step:

    mofore       the step of this project, with its loader
    bound        the same step on batches that are in memory already: the upper bound
    plain        as bound, but in float32 and in the default memory format
    moco, byol   lightly's parts, see rivals.py

On a GPU without the last two, which run on a CPU. Each runs in a process of its own. They take turns of 20 steps in
random order, so that other work on the machine slows all of them alike. The medians are compared. Peak memory is that
of the process plus the private memory of its loader processes.

Then MoFore, MoCo and BYOL are each trained from scratch for --seconds (0: skip this) and scored by nearest neighbours,
test videos against training videos.

All settings come from params.yaml. Linux only. Needs: pip install -e '.[bench]'. The last line of the output is JSON.

Shapes: V videos, D feature dimensions.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from one_stream import one_stream_params
from torch import nn

from mofore.clips.dataset import EpochSampler, ForecastDataset, Sample
from mofore.clips.loader import load_batches
from mofore.clips.transfer import to_device
from mofore.config import Params
from mofore.embedding.inference import UniformClips, embed_clips
from mofore.embedding.store import Embeddings
from mofore.evaluation.knn import evaluate_knn
from mofore.frames.store import FrameStore
from mofore.runtime.device import keep_freed_memory, pick_device
from mofore.runtime.distributed import SINGLE
from mofore.training.pretrain import leave_out_short, pretrain
from mofore.training.step import make_train_state, train_step
from mofore.utils.workers import worker_count

OURS = ("mofore", "bound", "plain")
WAYS = (*OURS, "moco", "byol")
# Each turn runs WARM_UP steps untimed, then STEPS steps timed. The former also use up the batches that loaders have
# prepared while the process waited.
WARM_UP, STEPS = 6, 20
ENDLESS = 1_000_000  # epochs; more than any run takes


def steps(way: str, params: Params, videos: FrameStore) -> Iterator[None]:
    """Train in one of WAYS without end; each item is one step."""
    if way in ("moco", "byol"):
        from rivals import RIVALS, train

        return train(RIVALS[way](params), videos, params, worker_count(-1), ENDLESS)
    return our_steps(way, params, videos)


def our_steps(way: str, params: Params, videos: FrameStore) -> Iterator[None]:
    """Train MoFore: `mofore`, `bound` or `plain`."""
    if way == "plain":
        params.runtime.precision = "fp32"
    else:
        keep_freed_memory()
    device = pick_device(params.runtime)
    state = make_train_state(params, device, SINGLE)
    if way == "plain":
        state.model.to(memory_format=torch.contiguous_format)
        for encoder in (state.model.online[0], state.model.ema[0]):
            encoder.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    dataset = ForecastDataset(
        videos, params.clip, params.forecast, params.augment, params.seed, params.runtime.cache * 1e9 / worker_count(-1)
    )
    loaded = load_batches(dataset, EpochSampler(len(videos), params.pretrain.batch_size, ENDLESS, 0), -1, device)
    batches: Iterator[Sample] = loaded
    if way != "mofore":
        batches = cycle([Sample(*(field.clone() for field in batch)) for batch in islice(loaded, 16)])
        loaded.close()
    for batch in batches:
        train_step(state, to_device(batch, device), params, params.momentum.start)
        yield


def serve_turns(way: str, frames: Path) -> None:
    """Child process: for each line on stdin, train for one turn and print its seconds and the peak memory so far."""
    training = steps(way, one_stream_params(), training_videos(frames, one_stream_params()))
    for _ in sys.stdin:
        for _ in islice(training, WARM_UP):
            pass
        wait_for_gpu()
        start = time.perf_counter()
        for _ in islice(training, STEPS):
            pass
        wait_for_gpu()
        print(json.dumps([time.perf_counter() - start, peak_memory()]), flush=True)


def wait_for_gpu() -> None:
    """Wait until the GPU has done what it was given; a CPU has."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def training_videos(frames: Path, params: Params) -> FrameStore:
    """The training videos that are long enough for a sample."""
    videos = FrameStore(frames, split="train")
    leave_out_short(videos, params)
    return videos


def peak_memory() -> float:
    """Peak resident memory of this process plus the current private memory of its child processes, in MiB."""
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        rollup = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
        peak += sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    return peak / 1024


def compare_speed(frames: Path, turns: int) -> dict[str, Any]:
    """Clips per second and peak memory of each way. A clip counts once, also in BYOL, which encodes it twice."""
    ways = OURS if torch.cuda.is_available() else WAYS
    command = [sys.executable, __file__, "--frames", str(frames), "--way"]
    pipe: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = {way: subprocess.Popen([*command, way], **pipe) for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    peaks = {}
    for turn in range(turns + 1):
        for way in random.sample(ways, len(ways)):
            print("go", file=workers[way].stdin, flush=True)
            took, peaks[way] = json.loads(workers[way].stdout.readline())  # type: ignore[union-attr]
            if turn:  # turn 0 warms up
                seconds[way].append(took)
    for worker in workers.values():
        worker.communicate()
    clips = 2 * one_stream_params().pretrain.batch_size * STEPS
    rate = {way: clips / float(np.median(took)) for way, took in seconds.items()}
    ratio = {way: [t / ours for t, ours in zip(seconds[way], seconds["mofore"], strict=True)] for way in ways}
    for way in ways:
        print(
            f"{way:8}{rate[way]:8.1f} clips/s{peaks[way]:8.0f} MiB   mofore is {rate['mofore'] / rate[way]:5.2f} times "
            f"as fast ({min(ratio[way]):.2f} to {max(ratio[way]):.2f} by turn)"
        )
    return {
        "clips_per_second": {way: round(value, 1) for way, value in rate.items()},
        "mofore_to": {way: round(rate["mofore"] / rate[way], 3) for way in ways if way != "mofore"},
        "peak_mib": {way: round(value) for way, value in peaks.items()},
    }


def train_for(way: str, frames: Path, seconds: float, clips_per_second: float) -> None:
    """Child process: train from scratch for about `seconds`, then print seconds, clips per second and scores as JSON.

    The number of epochs follows from `clips_per_second`, the speed measured before.
    """
    params = one_stream_params()
    params.pretrain.knn_every = 0
    videos = training_videos(frames, params)
    steps_an_epoch = len(videos) // params.pretrain.batch_size
    clips_an_epoch = 2 * params.pretrain.batch_size * steps_an_epoch
    params.pretrain.min_steps = 0
    params.pretrain.epochs = epochs = max(1, round(seconds * clips_per_second / clips_an_epoch))
    start = time.perf_counter()
    if way == "mofore":
        encoder: nn.Module = pretrain(params, videos).model.encoder
    else:
        from rivals import RIVALS, train

        model = RIVALS[way](params)
        for _ in train(model, videos, params, worker_count(-1), epochs):
            pass
        encoder = model.encoder
    took = time.perf_counter() - start
    print(json.dumps({"seconds": took, "clips_per_second": epochs * clips_an_epoch / took} | score(encoder, frames)))


def score(encoder: nn.Module, frames: Path) -> dict[str, float]:
    """Scores of nearest neighbours, test videos against training videos; keys as in results/knn.json."""
    params, videos = one_stream_params(), FrameStore(frames)
    samples = UniformClips(videos, params.clip, params.embed.clips)
    device = pick_device(params.runtime)
    x_VD = embed_clips({"": encoder.to(device).eval()}, samples, params.runtime, device)[""].mean(axis=1)
    text = {name: videos.table[name].to_numpy(str) for name in ("video", "label", "group", "split")}
    embedded = Embeddings(x_VD, **text)
    return evaluate_knn(embedded.labelled("test"), embedded.labelled("train"), params.knn).scores


def compare_learning(frames: Path, seconds: float, clips_per_second: dict[str, float]) -> dict[str, Any]:
    """Train each method for about the same time, and score it."""
    found = {}
    for way in ("mofore", "moco", "byol"):
        rate = str(clips_per_second[way])
        command = [sys.executable, __file__, "--frames", str(frames), "--seconds", str(seconds), "--train", way, rate]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found[way] = {name: round(value, 3) for name, value in json.loads(output).items()}
        print(
            f"{way:8}{found[way]['seconds']:8.1f} s at {found[way]['clips_per_second']:.1f} clips/s   R@1 "
            f"{found[way]['r_at_1']:.3f}, kNN {found[way]['top1']:.3f}"
        )
    return found


def main() -> None:
    """Compare speed and memory, then what each method learns; or run as a child process of either."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("data/frames"), help="output of stage extract_frames")
    parser.add_argument("--turns", type=int, default=6, help="how often each way is timed")
    parser.add_argument(
        "--seconds", type=float, default=60, help="training time of each method for the scores; 0: none"
    )
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--train", nargs=2, metavar=("WAY", "RATE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        return serve_turns(arguments.way, arguments.frames)
    if arguments.train:
        way, rate = arguments.train
        return train_for(way, arguments.frames, arguments.seconds, float(rate))
    result = compare_speed(arguments.frames, arguments.turns)
    if arguments.seconds:
        result["learned"] = compare_learning(arguments.frames, arguments.seconds, result["clips_per_second"])
    print(json.dumps(result))
    return None


if __name__ == "__main__":
    main()
