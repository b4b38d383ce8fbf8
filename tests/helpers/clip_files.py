"""Writes files of clip embeddings from arrays of all videos.

Shapes: V videos, K clips per video, D dimensions.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.embedding.store import FloatArray, write_clip_embedding_blocks


def write_clip_embeddings(path: Path, table: pd.DataFrame, starts_VK: npt.NDArray[np.int64], x_VKD: FloatArray) -> None:
    """Write them as one block; see `write_clip_embedding_blocks`."""
    write_clip_embedding_blocks(path, table, [(starts_VK, x_VKD)])
