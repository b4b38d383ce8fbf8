"""Reads and writes embeddings as Parquet files.

The stages embed, controls and supervised write them; the evaluations read them.

Shapes: N embeddings, D dimensions, V videos, K clips per video.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mofore.errors import UserError
from mofore.splits import check_split, these_or_all
from mofore.utils.files import write_csv, writing
from mofore.utils.tables import read_table

FloatArray = npt.NDArray[np.float32]
TextArray = npt.NDArray[np.str_]
EMBEDDINGS, CONTROLS, SUPERVISED = Path("data/embeddings"), Path("data/controls"), Path("data/supervised")
FEW_LABELS_PREDICTED = SUPERVISED / "few_labels.csv"
ENCODERS = ("mofore", "random_init")  # representations of which clip embeddings are stored, too
REPRESENTATIONS = {  # all that is evaluated, in the order of tables and plots, with its folder
    "mofore": EMBEDDINGS,  # the pretrained encoder
    "random_init": EMBEDDINGS,  # the same network with random weights
    "mofore_shuffled": EMBEDDINGS,  # the pretrained encoder on clips with shuffled frames
    "mofore_still": EMBEDDINGS,  # the pretrained encoder on clips that repeat their middle frame
    "metadata": CONTROLS,  # frame size, length and frame rate; no pixels
    "appearance": CONTROLS,  # the mean frame; no motion
    "motion": CONTROLS,  # histograms of frame differences and optical flow; nothing learned
    "motion_appearance": CONTROLS,  # both side by side; the strongest control without learning
    "shipped": EMBEDDINGS,  # the shipped encoder, untouched; missing if pretraining does not start with it
    "supervised": SUPERVISED,  # the same network trained on labels; missing if not trained
}
OPTIONAL = ("shipped", "supervised")


@dataclass
class Embeddings:
    """Embeddings of N videos; row n of all fields belongs to video n."""

    x_ND: FloatArray
    video: TextArray  # [N], as in videos.csv
    label: TextArray  # [N], empty for unlabelled videos
    group: TextArray  # [N]
    split: TextArray  # [N], train or test

    def rows(self, keep: npt.NDArray[np.bool_ | np.int64]) -> "Embeddings":
        """Select rows by a boolean mask [N] or by row numbers."""
        return Embeddings(self.x_ND[keep], self.video[keep], self.label[keep], self.group[keep], self.split[keep])

    def held_out(self) -> npt.NDArray[np.bool_]:
        """Mask [N] of the test videos. If there are none, all videos count as held out."""
        return these_or_all(self.split == "test")

    def labelled(self, split: str) -> "Embeddings":
        """Select the labelled videos of one split."""
        return self.rows((self.split == split) & (self.label != ""))


def read_embeddings(folder: Path, encoder: str) -> Embeddings:
    """Read the video embeddings of one encoder from `folder/ENCODER.parquet`; they are not normalised.

    Raises:
        UserError: the file is missing, or a group is in both splits.
    """
    path = folder / f"{encoder}.parquet"
    table = _read(path)
    check_split(path, table["group"].to_numpy(), table["split"].to_numpy())
    text = {name: table[name].to_numpy().astype(str) for name in ("video", "label", "group", "split")}
    return Embeddings(x_ND=_matrix(table["embedding"]), **text)


def read_representations() -> dict[str, Embeddings]:
    """Read all REPRESENTATIONS, in that order. All have the videos of `mofore`, in the same order.

    Raises:
        UserError: a file other than those of OPTIONAL is missing, or a group is in both splits.
    """
    videos = read_embeddings(EMBEDDINGS, "mofore").video
    representations = {}
    for name, folder in REPRESENTATIONS.items():
        if name in OPTIONAL and not (folder / f"{name}.parquet").exists():
            continue
        found = read_embeddings(folder, name)
        row_of = {video: row for row, video in enumerate(found.video)}
        representations[name] = found.rows(np.array([row_of[video] for video in videos], dtype=np.int64))
    return representations


def write_few_labels(predicted: pd.DataFrame) -> None:
    """Write the predictions of networks that were trained on few labels; see `training.few_labels.predictions`."""
    write_csv(FEW_LABELS_PREDICTED, predicted)


def read_few_labels() -> pd.DataFrame | None:
    """What `write_few_labels` has written, with columns labels, draw, video and predicted; None if there is nothing."""
    return read_table(FEW_LABELS_PREDICTED) if FEW_LABELS_PREDICTED.exists() else None


def train_test(videos: Embeddings) -> tuple[Embeddings, Embeddings] | None:
    """The labelled videos of both splits, train first; None if label-based scores are not defined.

    They need at least two classes in train and one video in test.
    """
    train, test = videos.labelled("train"), videos.labelled("test")
    return (train, test) if len(np.unique(train.label)) > 1 and len(test.label) else None


@dataclass
class ClipEmbeddings:
    """Embeddings of N clips; row n of all fields belongs to clip n."""

    x_ND: FloatArray
    video: TextArray  # [N], as in videos.csv
    start: npt.NDArray[np.int64]  # [N], first video frame of the clip

    def rows(self, keep: npt.NDArray[np.bool_ | np.int64]) -> "ClipEmbeddings":
        """Select rows by a boolean mask [N] or by row numbers."""
        return ClipEmbeddings(self.x_ND[keep], self.video[keep], self.start[keep])


def read_clip_embeddings(folder: Path, encoder: str) -> ClipEmbeddings:
    """Read the clip embeddings of one encoder from `folder/ENCODER_clips.parquet`; they are not normalised.

    Raises:
        UserError: the file is missing.
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
    """Write one row per video with columns video, label, group, split and embedding.

    Args:
        path: the Parquet file.
        table: the first four columns; row v belongs to `x_VD[v]`.
        x_VD: video embeddings.
    """
    write_embedding_blocks(path, table, [x_VD])


def write_embedding_blocks(path: Path, table: pd.DataFrame, blocks: Iterable[FloatArray]) -> None:
    """As `write_embeddings`, from blocks of embeddings of successive videos, of which one is in memory at a time."""
    with ParquetFile(path) as file:
        first = 0
        for x_VD in blocks:
            rows = table.iloc[first : first + len(x_VD)]
            file.write({name: rows[name].astype(str).to_numpy() for name in ("video", "label", "group", "split")}, x_VD)
            first += len(x_VD)


def write_clip_embedding_blocks(
    path: Path, table: pd.DataFrame, blocks: Iterable[tuple[npt.NDArray[np.int64], FloatArray]]
) -> None:
    """Write one row per clip with columns video, start and embedding; the clips of a video are consecutive.

    Args:
        path: the Parquet file.
        table: column video, of all videos.
        blocks: of successive videos, the first video frame [V, K] and the embedding [V, K, D] of each clip; one block
            is in memory at a time.
    """
    with ParquetFile(path) as file:
        first = 0
        for starts_VK, x_VKD in blocks:
            videos, clips, dim = x_VKD.shape
            video_V = table["video"].iloc[first : first + videos].astype(str).to_numpy()
            columns = {"video": np.repeat(video_V, clips), "start": starts_VK.reshape(-1)}
            file.write(columns, x_VKD.reshape(videos * clips, dim))
            first += videos


class ParquetFile:
    """A Parquet file of embeddings that is written in parts."""

    def __init__(self, path: Path) -> None:
        self.path, self._opened = path, ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "ParquetFile":
        self._file = self._opened.enter_context(writing(self.path))
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)

    def write(self, columns: dict[str, Any], x_ND: FloatArray) -> None:
        """Append rows."""
        values = pa.array(np.ascontiguousarray(x_ND, dtype=np.float32).reshape(-1))
        ends = np.arange(0, x_ND.size + 1, x_ND.shape[1], dtype=np.int64)
        part = pa.table(columns | {"embedding": pa.LargeListArray.from_arrays(ends, values)})
        if self._writer is None:
            self._writer = self._opened.enter_context(pq.ParquetWriter(self._file, part.schema))
        self._writer.write_table(part)
