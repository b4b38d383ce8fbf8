"""Vectors on disk come back bit for bit, whatever the names are."""

from pathlib import Path

import numpy as np
import pandas as pd

from mofore.embeddings import read_clip_embeddings, read_embeddings
from mofore.vectors import write_clip_vectors, write_vectors

TABLE = pd.DataFrame(
    {
        "video": ['a,"b"\nc.avi', "NA", "3"],
        "label": ["", "$x$", "NA"],
        "group": ["g", "g", "1"],
        "split": ["train", "train", "test"],
        "frames": [1, 2, 3],
    }
)


def test_videos_come_back(tmp_path: Path) -> None:
    x_VD = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    write_vectors(tmp_path / "new" / "row.parquet", TABLE, x_VD)
    assert pd.read_parquet(tmp_path / "new" / "row.parquet").columns.tolist() == [
        "video",
        "label",
        "group",
        "split",
        "embedding",
    ]
    found = read_embeddings(tmp_path / "new", "row")
    assert (found.x_ND == x_VD).all()
    assert found.video.tolist() == TABLE.video.tolist()
    assert found.label.tolist() == TABLE.label.tolist()
    assert found.split.tolist() == TABLE.split.tolist()


def test_clips_come_back_video_by_video(tmp_path: Path) -> None:
    x_VKD = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    write_clip_vectors(tmp_path / "row_clips.parquet", TABLE, np.arange(6).reshape(3, 2), x_VKD)
    found = read_clip_embeddings(tmp_path, "row")
    assert (found.x_ND == x_VKD.reshape(6, 4)).all()
    assert found.start.tolist() == list(range(6))
    assert found.video.tolist() == [name for name in TABLE.video for _ in range(2)]
