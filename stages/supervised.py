"""data/frames -> data/supervised: train the encoder on labels and embed all videos, if `supervised.epochs` > 0.

Shapes: V videos.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
import shutil
from pathlib import Path

import pandas as pd

from mofore.config import Params, load_params
from mofore.embedding.store import SUPERVISED
from mofore.errors import run_stage
from mofore.frames.store import FrameStore
from mofore.utils.files import writing
from mofore.utils.text import counted

FILE = SUPERVISED / "supervised.parquet"


def main() -> None:
    params = load_params()
    shutil.rmtree(SUPERVISED, ignore_errors=True)
    if params.supervised.epochs:
        train_and_embed(params)
    else:
        write_reason("not asked for, supervised.epochs is 0")


def write_reason(why: str) -> None:
    """Print and write why there are no supervised embeddings. (DVC would warn of an empty folder.)"""
    with writing(SUPERVISED / "absent.txt") as file:
        file.write(f"{why}\n".encode())
    print(f"supervised: {why}")


def train_and_embed(params: Params) -> None:
    """Train on the labelled training videos and write FILE. If that is not possible, write the reason instead."""
    # Imported here, because torch takes seconds to load and is not needed without training.
    from mofore.embedding.inference import UniformClips, embed_videos
    from mofore.embedding.store import write_embeddings, write_few_labels
    from mofore.embedding.views import leave_out_shorter_than_a_clip, video_embeddings
    from mofore.runtime.device import keep_freed_memory, pick_device
    from mofore.runtime.distributed import init_distributed, launch
    from mofore.training.few_labels import predictions
    from mofore.training.supervised import train_on_labels, why_untrainable

    videos = FrameStore(Path("data/frames"))
    leave_out_shorter_than_a_clip(videos, params.clip)
    train = videos.select(((videos.table.split == "train") & (videos.table.label != "")).to_numpy().nonzero()[0])
    if reason := why_untrainable(train, params.pretrain.batch_size):
        write_reason(f"not trained: {reason}")
        return

    launch(params.runtime.launcher)
    with init_distributed() as processes:
        device = pick_device(params.runtime, processes)
        keep_freed_memory()
        trained = train_on_labels(params, train, device, processes)
        encoders = {"supervised": trained.encoder}
        samples = UniformClips(videos, params.clip, params.embed.clips)
        features = embed_videos(encoders, samples, params.embed.grid, params.runtime, device, processes)
        test = videos.select((videos.table.split == "test").to_numpy().nonzero()[0])
        few = predictions(params, train, test, device, processes) if len(test) else pd.DataFrame()
    if processes.is_main:
        train_V = (videos.table.split == "train").to_numpy()
        write_embeddings(FILE, videos.table, video_embeddings(features["supervised"], train_V, params.embed))
        trained_on = f"{counted(len(train), 'video')} of {counted(train.table.label.nunique(), 'class', 'classes')}"
        print(
            f"supervised: {trained_on}, {counted(params.supervised.epochs, 'epoch')}; accuracy on training clips "
            f"in the last epoch {trained.accuracy:.1%}"
        )
        if len(few):
            write_few_labels(few)
            print(f"supervised: {counted(few.groupby(['labels', 'draw']).ngroups, 'training')} on few labels")


if __name__ == "__main__":
    run_stage(main)
