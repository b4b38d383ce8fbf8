"""Embeddings on disk, as Parquet: written by the encoders' stages, read by the evaluations.

Shapes: N embeddings, D dimensions, V videos, K clips a video.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mofore.errors import UserError
from mofore.splits import check_split
from mofore.utils.files import writing

FloatArray = npt.NDArray[np.float32]
TextArray = npt.NDArray[np.str_]
EMBEDDINGS, CONTROLS, SUPERVISED = Path("data/embeddings"), Path("data/controls"), Path("data/supervised")
ENCODERS = ("mofore", "random_init")  # those whose clip embeddings are kept as well
REPRESENTATIONS = {  # what is scored, in the order of all tables, and the folder that holds it
    "mofore": EMBEDDINGS,  # the encoder, pretrained without labels
    "random_init": EMBEDDINGS,  # the same network with its first, random weights
    "mofore_shuffled": EMBEDDINGS,  # the pretrained encoder; the frames of each clip in random order
    "mofore_still": EMBEDDINGS,  # the pretrained encoder; each clip its middle frame, repeated
    "metadata": CONTROLS,  # no pixels: frame size, length, frame rate
    "appearance": CONTROLS,  # no motion: the mean frame
    "motion": CONTROLS,  # nothing learned: histograms of frame differences and optical flow
    "supervised": SUPERVISED,  # the same network trained on labels; there only if asked for
}


@dataclass
class Embeddings:
    """Embeddings of N videos, row by row."""

    x_ND: FloatArray
    video: TextArray
    label: TextArray  # empty where unlabelled
    group: TextArray
    split: TextArray  # train or test

    def rows(self, keep: npt.NDArray[np.bool_ | np.int64]) -> "Embeddings":
        """Only some rows, given one bool a row, or their numbers."""
        return Embeddings(self.x_ND[keep], self.video[keep], self.label[keep], self.group[keep], self.split[keep])

    def held_out(self) -> npt.NDArray[np.bool_]:
        """Which videos are held out for testing, one bool a row; all, if none is."""
        test_N: npt.NDArray[np.bool_] = self.split == "test"
        return test_N if test_N.any() else np.ones(len(test_N), bool)

    def labelled(self, split: str) -> "Embeddings":
        """The labelled videos of one split."""
        return self.rows((self.split == split) & (self.label != ""))


def read_embeddings(folder: Path, encoder: str) -> Embeddings:
    """The video embeddings of one encoder, `folder/ENCODER.parquet`, not normalised.

    Raises:
        UserError: there are none, or a group stands on both sides of the split.
    """
    path = folder / f"{encoder}.parquet"
    table = _read(path)
    check_split(path, table["group"].to_numpy(), table["split"].to_numpy())
    text = {name: table[name].to_numpy().astype(str) for name in ("video", "label", "group", "split")}
    return Embeddings(x_ND=_matrix(table["embedding"]), **text)


def read_representations() -> dict[str, Embeddings]:
    """All REPRESENTATIONS that exist, in that order, each of the videos of `mofore` and in their order.

    Raises:
        UserError: embeddings are missing, or a group stands on both sides of the split.
    """
    videos = read_embeddings(EMBEDDINGS, "mofore").video
    rows = {}
    for name, folder in REPRESENTATIONS.items():
        if name == "supervised" and not (folder / f"{name}.parquet").exists():
            continue
        found = read_embeddings(folder, name)
        at = {video: row for row, video in enumerate(found.video)}
        rows[name] = found.rows(np.array([at[video] for video in videos], dtype=np.int64))
    return rows


def train_test(videos: Embeddings) -> tuple[Embeddings, Embeddings] | None:
    """The labelled videos of both splits, train first; None where label-based scores would mean nothing.

    They need two classes to learn from, and something to test on.
    """
    train, test = videos.labelled("train"), videos.labelled("test")
    return (train, test) if len(np.unique(train.label)) > 1 and len(test.label) else None


@dataclass
class ClipEmbeddings:
    """Embeddings of N clips, row by row."""

    x_ND: FloatArray
    video: TextArray
    start: npt.NDArray[np.int64]  # first video frame of the clip


def read_clip_embeddings(folder: Path, encoder: str) -> ClipEmbeddings:
    """The clip embeddings of one encoder, `folder/ENCODER_clips.parquet`, not normalised.

    Raises:
        UserError: there are none.
    """
    table = _read(folder / f"{encoder}_clips.parquet")
    return ClipEmbeddings(_matrix(table["embedding"]), table["video"].to_numpy().astype(str), table["start"].to_numpy())


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise UserError(f"{path}: no such file: run `dvc repro`")
    return pq.read_table(path)


def _matrix(column: pa.ChunkedArray) -> FloatArray:
    lists = column.combine_chunks()
    return lists.flatten().to_numpy().reshape(len(lists), -1)


def write_embeddings(path: Path, table: pd.DataFrame, x_VD: FloatArray) -> None:
    """Write one row a video: video, label, group, split (from `table`, row by row) and embedding."""
    columns: dict[str, Any] = {
        name: table[name].astype(str).to_numpy() for name in ("video", "label", "group", "split")
    }
    _write(path, columns, x_VD)


def write_clip_embeddings(path: Path, table: pd.DataFrame, starts_VK: npt.NDArray[np.int64], x_VKD: FloatArray) -> None:
    """Write one row a clip, those of a video one after the other: video, start (video frame) and embedding."""
    videos, clips, dim = x_VKD.shape
    columns = {"video": np.repeat(table["video"].astype(str).to_numpy(), clips), "start": starts_VK.reshape(-1)}
    _write(path, columns, x_VKD.reshape(videos * clips, dim))


def _write(path: Path, columns: dict[str, Any], x_ND: FloatArray) -> None:
    values = pa.array(np.ascontiguousarray(x_ND, dtype=np.float32).reshape(-1))
    ends = np.arange(0, x_ND.size + 1, x_ND.shape[1], dtype=np.int64)
    with writing(path) as file:
        pq.write_table(pa.table(columns | {"embedding": pa.LargeListArray.from_arrays(ends, values)}), file)
