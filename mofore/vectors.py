"""Vectors of videos and of clips, on disk as Parquet.

Shapes: N vectors, D dimensions, V videos, K clips a video.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mofore.files import writing

FloatArray = npt.NDArray[np.float32]


def write_vectors(path: Path, table: pd.DataFrame, x_VD: FloatArray) -> None:
    """Write one row a video: video, label, group, split (from `table`, row by row) and embedding."""
    columns: dict[str, Any] = {
        name: table[name].astype(str).to_numpy() for name in ("video", "label", "group", "split")
    }
    _write(path, columns, x_VD)


def write_clip_vectors(path: Path, table: pd.DataFrame, starts_VK: npt.NDArray[np.int64], x_VKD: FloatArray) -> None:
    """Write one row a clip, those of a video one after the other: video, start (video frame) and embedding."""
    videos, clips, dim = x_VKD.shape
    columns = {"video": np.repeat(table["video"].astype(str).to_numpy(), clips), "start": starts_VK.reshape(-1)}
    _write(path, columns, x_VKD.reshape(videos * clips, dim))


def _write(path: Path, columns: dict[str, Any], x_ND: FloatArray) -> None:
    values = pa.array(np.ascontiguousarray(x_ND, dtype=np.float32).reshape(-1))
    ends = np.arange(0, x_ND.size + 1, x_ND.shape[1], dtype=np.int64)
    with writing(path) as file:
        pq.write_table(pa.table(columns | {"embedding": pa.LargeListArray.from_arrays(ends, values)}), file)
