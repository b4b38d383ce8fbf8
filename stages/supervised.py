"""data/frames -> data/supervised: embed videos with the same encoder trained on labels; empty if not asked for."""

import mofore.runtime.openmp  # noqa: F401 # first, before anything that loads torch

# isort: split
import shutil
from pathlib import Path

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
        leave_out("not asked for, supervised.epochs is 0")


def leave_out(why: str) -> None:
    """Say why there is no such row, on the screen and in the folder (DVC warns of empty ones)."""
    with writing(SUPERVISED / "absent.txt") as file:
        file.write(f"{why}\n".encode())
    print(f"supervised: {why}")


def train_and_embed(params: Params) -> None:
    """Write FILE, or say why not."""
    from mofore.embedding.inference import UniformClips, embed_clips
    from mofore.embedding.store import write_embeddings
    from mofore.embedding.views import leave_out_shorter_than_a_clip
    from mofore.runtime.device import keep_freed_memory, pick_device  # torch takes seconds: only where it is needed
    from mofore.runtime.distributed import init_distributed, launch
    from mofore.training.supervised import train_on_labels, why_untrainable

    videos = FrameStore(Path("data/frames"))
    leave_out_shorter_than_a_clip(videos, params.clip)
    train = videos.select(((videos.table.split == "train") & (videos.table.label != "")).to_numpy().nonzero()[0])
    if lacking := why_untrainable(train, params.pretrain.batch_size):
        leave_out(f"not trained: {lacking}")
        return

    launch(params.runtime.launcher)
    with init_distributed() as processes:
        device = pick_device(params.runtime, processes)
        keep_freed_memory()
        encoder, recognised = train_on_labels(params, train, device, processes)
        samples = UniformClips(videos, params.clip, params.embed.clips)
        features = embed_clips({"supervised": encoder}, samples, params.runtime, device, processes)
    if processes.is_main:
        write_embeddings(FILE, videos.table, features["supervised"].mean(axis=1))
        of = f"{counted(len(train), 'video')} of {counted(train.table.label.nunique(), 'class', 'classes')}"
        print(
            f"supervised: {of}, {counted(params.supervised.epochs, 'epoch')}; in the last, {recognised:.1%} of the "
            "training clips recognised"
        )


if __name__ == "__main__":
    run_stage(main)
