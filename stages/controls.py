"""data/frames -> data/controls: control features of every video (metadata, mean frame, motion), without an encoder.

Shapes: V videos, D features.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mofore.config import load_params
from mofore.embedding.geometry import standardise
from mofore.embedding.store import CONTROLS, write_embeddings
from mofore.errors import run_stage
from mofore.evaluation.controls import metadata_features, pixel_features
from mofore.frames.store import FrameStore
from mofore.utils.text import counted
from mofore.utils.workers import worker_count


def main() -> None:
    params = load_params()
    videos = FrameStore(Path("data/frames"))
    appearance_VD, motion_VD = pixel_features(videos, worker_count(params.runtime.workers))
    features: dict[str, npt.NDArray[np.floating]] = {
        "metadata": metadata_features(videos.table),
        "appearance": appearance_VD,
        "motion": motion_VD,
        "motion_appearance": np.concatenate([motion_VD, appearance_VD], axis=1),
    }
    train_V = (videos.table.split == "train").to_numpy()
    for name, x_VD in features.items():
        write_embeddings(CONTROLS / f"{name}.parquet", videos.table, standardise(x_VD, train_V))
    sizes = ", ".join(f"{name} {x_VD.shape[1]}" for name, x_VD in features.items())
    print(f"controls: {counted(len(videos), 'video')}; number of features: {sizes}")


if __name__ == "__main__":
    run_stage(main)
