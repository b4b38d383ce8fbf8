"""Makes a project folder as the stage `report` finds it: made-up results, and frames of the same videos."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from tests.helpers.synthetic_results import write_embeddings, write_results

ROOT = Path(__file__).parents[2]
FRAMES, HEIGHT, WIDTH = 12, 24, 32  # of each video; frame t shows a bar at column 2 t


def make_project(folder: Path, classes: list[str], per_class: int = 16) -> Path:
    """Write params.yaml, data/frames, data/embeddings and results/.

    Args:
        folder: of the project.
        classes: names of the classes; []: the videos are unlabelled.
        per_class: videos per class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder)
    embeddings = folder / "data" / "embeddings"
    write_embeddings(embeddings / "mofore.parquet", classes or [""], per_class)
    (embeddings / "left_out.csv").write_text("video,frames,reason\n")
    videos = pd.read_parquet(embeddings / "mofore.parquet").drop(columns="embedding")
    write_frames(folder / "data" / "frames", videos)
    write_results(folder / "results", classes)
    rng = np.random.default_rng(0)
    points = videos[videos["split"] == "test"].assign(
        x=lambda t: rng.normal(size=len(t)), y=lambda t: rng.normal(size=len(t))
    )
    points.to_csv(folder / "results" / "map.csv", index=False)
    return folder


def write_frames(folder: Path, videos: pd.DataFrame, fps: float = 25.0) -> None:
    """Write the frames folder of `videos`. Video number v has the gray level v % 200 as its background."""
    (folder / "packs").mkdir(parents=True)
    index = []
    with (folder / "packs/pack-00000.bin").open("wb") as pack:
        for v in range(len(videos)):
            for t in range(FRAMES):
                frame = np.full((HEIGHT, WIDTH, 3), v % 200, np.uint8)
                frame[:, 2 * t : 2 * t + 4] = 255
                jpeg = cv2.imencode(".png", frame)[1].tobytes()  # lossless, so that tests can compare exactly
                index.append((0, pack.tell(), len(jpeg)))
                pack.write(jpeg)
    np.save(folder / "packs/index.npy", np.array(index, dtype=np.int64))
    text = videos[["video", "label", "group", "split"]]
    facts: dict[str, Any] = {
        "frames": FRAMES,
        "fps": fps,
        "width": WIDTH,
        "height": HEIGHT,
        "status": "ok",
        "reason": "",
    }
    text.assign(**facts).to_csv(folder / "videos.csv", index=False)
    videos[["video", "group", "split"]].to_csv(folder / "grouped_split.csv", index=False)
