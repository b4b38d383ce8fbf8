"""Embeddings as the evaluations read them.

Shapes: N embeddings, D dimensions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mofore.errors import UserError

FloatArray = npt.NDArray[np.float32]
TextArray = npt.NDArray[np.str_]
ENCODERS = ("mofore", "random_init")


@dataclass
class Embeddings:
    """Embeddings of N videos, row by row."""

    x_ND: FloatArray
    video: TextArray
    label: TextArray  # empty where unlabelled
    group: TextArray
    split: TextArray  # train or test

    def rows(self, keep: npt.NDArray[np.bool_]) -> "Embeddings":
        """Only some rows, given one bool a row."""
        return Embeddings(self.x_ND[keep], self.video[keep], self.label[keep], self.group[keep], self.split[keep])

    def labelled(self, split: str) -> "Embeddings":
        """The labelled videos of one split."""
        return self.rows((self.split == split) & (self.label != ""))


def read_embeddings(folder: Path, encoder: str) -> Embeddings:
    """The video embeddings of one encoder, `folder/ENCODER.parquet`, not normalised.

    Raises:
        UserError: there are none.
    """
    table = _read(folder / f"{encoder}.parquet")
    text = {name: table[name].to_numpy().astype(str) for name in ("video", "label", "group", "split")}
    return Embeddings(x_ND=_matrix(table["embedding"]), **text)


def read_train_test(folder: Path, encoder: str) -> tuple[Embeddings, Embeddings] | None:
    """The labelled videos of both splits, train first; None where label-based scores would mean nothing.

    They need two classes to learn from, and something to test on.
    """
    embeddings = read_embeddings(folder, encoder)
    train, test = embeddings.labelled("train"), embeddings.labelled("test")
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


def unit(x_ND: FloatArray) -> FloatArray:
    """Rows scaled to length 1."""
    return x_ND / np.maximum(np.linalg.norm(x_ND, axis=1, keepdims=True), 1e-12)


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise UserError(f"{path}: no such file: run `dvc repro embed`")
    return pq.read_table(path)


def _matrix(column: pa.ChunkedArray) -> FloatArray:
    lists = column.combine_chunks()
    return lists.flatten().to_numpy().reshape(len(lists), -1)
