"""Embeddings of whole videos, the mean over uniformly spaced clips, and those of the clips.

Shapes: K clips of a video, D feature dimensions, V videos.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mofore.clips import clip_span
from mofore.config import Clip
from mofore.features import FloatArray
from mofore.packed import PackedVideos


def leave_out_shorter_than_a_clip(videos: PackedVideos, clip: Clip) -> pd.DataFrame:
    """Leave out videos that have no room for one clip.

    Returns:
        The videos left out, with columns video, frames, reason.

    Raises:
        UserError: no video is long enough.
    """
    return videos.leave_out_shorter(clip_span(clip), "a clip", f"clip.frames {clip.frames} x clip.stride {clip.stride}")


def write_embeddings(
    folder: Path, name: str, videos: PackedVideos, starts_VK: npt.NDArray[np.int64], features_VKD: FloatArray
) -> None:
    """Write `NAME.parquet` (one row a video, mean over clips) and `NAME_clips.parquet` (one row a clip)."""
    n_videos, clips, dim = features_VKD.shape
    table = videos.table
    labels = {column: table[column].astype(str).to_numpy() for column in ("video", "label", "group", "split")}
    pq.write_table(pa.table({**labels, "embedding": _vectors(features_VKD.mean(axis=1))}), folder / f"{name}.parquet")
    pq.write_table(
        pa.table(
            {
                "video": np.repeat(labels["video"], clips),
                "start": starts_VK.reshape(-1),
                "embedding": _vectors(features_VKD.reshape(n_videos * clips, dim)),
            }
        ),
        folder / f"{name}_clips.parquet",
    )


def _vectors(x_ND: FloatArray) -> pa.Array:
    values = pa.array(np.ascontiguousarray(x_ND, dtype=np.float32).reshape(-1))
    return pa.ListArray.from_arrays(np.arange(0, x_ND.size + 1, x_ND.shape[1], dtype=np.int32), values)
