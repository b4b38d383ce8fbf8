"""Measure the memory that a million videos take, with a fabricated collection: an index of frames, no frames.

    python benchmarks/scale.py [--videos 1000000] [--frames 60] [--epochs 100]

Each part runs in a process of its own, whose peak is printed: importing torch alone; all that pretraining does before,
between and after its steps (table, sampler, checkpoint key, histogram of gaps); and all that the stage embed does with
features (files of features, scale, Parquet files), which are drawn at random. Takes 3 minutes and 5 GB of disk, in the
folder for temporary files. Needs Linux.

Shapes: B videos of a batch, K clips, D feature dimensions.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before anything that imports torch

# isort: split
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mofore.clips.dataset import EpochSampler, ForecastDataset
from mofore.clips.gap_histogram import gap_shares, sampled_gaps
from mofore.config import PARAMS_FILE, load_params
from mofore.embedding.feature_files import Batch, FeatureFiles, feature_folders
from mofore.embedding.inference import Blocks, UniformClips, VideoFeatures, video_batches
from mofore.embedding.store import EMBEDDINGS
from mofore.embedding.views import write_representations
from mofore.frames.store import FrameStore
from mofore.runtime.distributed import SINGLE
from mofore.training.checkpoint import stage_key
from mofore.training.pretrain import leave_out_short

FRAMES = Path("data/frames")
ROOT = Path(__file__).parents[1]
K, D = 2, 192  # clips and features of the fabricated embeddings


def main() -> None:
    """Print the peak memory of each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=60, help="of each video")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--part", choices=["torch", "pretrain", "embed"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run(arguments.part, arguments.epochs)
        return
    print(f"{arguments.videos:,} videos of {arguments.frames} frames, {arguments.epochs} epochs")
    with tempfile.TemporaryDirectory() as folder:
        fabricate(Path(folder), arguments.videos, arguments.frames)
        for part in ("torch", "pretrain", "embed"):
            command = [sys.executable, os.path.abspath(__file__), "--part", part, "--epochs", str(arguments.epochs)]
            subprocess.run(command, cwd=folder, check=True)


def run(part: str, epochs: int) -> None:
    """Run a part in the working directory; print its peak memory and time."""
    began = time.perf_counter()
    if part == "pretrain":
        plan_pretraining(epochs)
    elif part == "embed":
        embed()
    # Not by `resource`: its peak is at least that of the process which started this one.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    print(f"{part:8} peak {peak / 1e9:.2f} GB, {time.perf_counter() - began:.0f} s", flush=True)


def fabricate(folder: Path, videos: int, frames: int) -> None:
    """Write index and table of a collection: 700 classes, four videos a group, a quarter of the groups for testing."""
    (folder / FRAMES / "packs").mkdir(parents=True)
    index = np.lib.format.open_memmap(folder / FRAMES / "packs/index.npy", "w+", np.int64, (videos * frames, 3))
    index[:, 0] = np.repeat(np.arange(videos) // 64, frames)
    index[:, 2] = 3000
    index.flush()
    number = np.arange(videos)
    label, group = np.char.add("c", (number % 700).astype(str)), np.char.add("g", (number // 4).astype(str))
    columns = {
        "video": np.char.add(np.char.add(label, "/"), np.char.add(number.astype(str), ".mp4")),
        "label": label,
        "group": group,
        "split": np.where(number // 4 % 4, "train", "test"),
        "frames": frames,
        "fps": 25.0,
        "width": 340,
        "height": 256,
        "status": "ok",
        "reason": "",
    }
    pd.DataFrame(columns).to_csv(folder / FRAMES / "videos.csv", index=False)


def plan_pretraining(epochs: int) -> None:
    """What the stage pretrain does apart from its steps."""
    params = load_params(ROOT / PARAMS_FILE)
    videos = FrameStore(FRAMES, "train")
    leave_out_short(videos, params)
    samples = ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed)
    batches = EpochSampler(len(videos), 1024, epochs, params.seed)
    next(iter(batches))
    spec = {"stages": {"pretrain": {"params": ["clip", "pretrain"], "deps": [FRAMES.as_posix()]}}}
    Path("dvc.yaml").write_text(json.dumps(spec))  # which is YAML, too
    stage_key("pretrain", params)
    gap_shares(sampled_gaps(samples, batches))


def embed() -> None:
    """What the stage embed does apart from decoding and networks."""
    params = load_params(ROOT / PARAMS_FILE)
    videos = FrameStore(FRAMES)
    samples = UniformClips(videos, params.clip, K)
    rng = np.random.default_rng(0)

    def drawn() -> Iterator[Batch]:
        for batch in video_batches(len(videos)):
            sizes = ((len(batch), K, D), (len(batch), D), (len(batch), D))
            yield [[rng.standard_normal(size, np.float32) for size in sizes]]

    with feature_folders(EMBEDDINGS, SINGLE, 1) as (folder,):
        files = FeatureFiles(folder, SINGLE)
        files.write(drawn(), video_batches(len(videos)))
        blocks = Blocks(lambda: (VideoFeatures(*arrays) for arrays in files.blocks(0)))
        write_representations(samples, videos.table, {"mofore": blocks}, params.embed, None)


if __name__ == "__main__":
    main()
