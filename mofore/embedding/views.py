"""The stage `embed`: which encoders see which videos how, and what is kept of it.

Shapes: K clips of a video, D feature dimensions, P dimensions of the forecast's space, V videos.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from mofore.clips.augment import input_channels
from mofore.clips.sampling import clip_span
from mofore.config import Clip, Params
from mofore.embedding.inference import FloatArray, UniformClips, View, embed_clips
from mofore.embedding.store import EMBEDDINGS, ENCODERS, write_clip_embeddings, write_embeddings
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder
from mofore.method.model import MoFore
from mofore.runtime.distributed import Processes

VIEWS: dict[str, View] = {"mofore_shuffled": "shuffled", "mofore_still": "still"}
CLIMATOLOGY_VIDEOS = 100  # training videos whose targets make the mean future: 1,000 clips at 10 a video


def leave_out_shorter_than_a_clip(videos: FrameStore, clip: Clip) -> pd.DataFrame:
    """Leave out videos that have no room for one clip.

    Returns:
        The videos left out, with columns video, frames, reason.

    Raises:
        UserError: no video is long enough.
    """
    return videos.leave_out_shorter(clip_span(clip), "a clip", f"clip.frames {clip.frames} x clip.stride {clip.stride}")


def embed_representations(
    model: MoFore, samples: UniformClips, params: Params, device: torch.device, processes: Processes
) -> dict[str, FloatArray]:
    """Clip embeddings of the trained encoder, of one with its first weights, and of the trained one as controls see.

    Returns:
        By row's name, float32 [V, K, D]; in other processes than the first, nothing.
    """
    fresh = build_encoder(params.encoder.name, params.seed, input_channels(params.clip.input)).to(device).eval()
    encoders = {"mofore": model.encoder, "random_init": fresh} | dict.fromkeys(VIEWS, model.encoder)
    return embed_clips(encoders, samples, params.runtime, device, processes, VIEWS, params.seed)


def target_videos(split_V: pd.Series, seed: int) -> npt.NDArray[np.int64]:
    """The videos whose target embeddings forecasts are held against, by number: all held out, and some of training."""
    train, test = np.flatnonzero(split_V == "train"), np.flatnonzero(split_V != "train")
    if len(test) and len(train) > CLIMATOLOGY_VIDEOS:
        train = np.random.default_rng(seed).choice(train, CLIMATOLOGY_VIDEOS, replace=False)
    return np.sort(np.concatenate([train, test]))


def write_representations(samples: UniformClips, table: pd.DataFrame, features: dict[str, FloatArray]) -> None:
    """Write `ROW.parquet` (one row a video, mean over clips) and, of ENCODERS, `ROW_clips.parquet` (one row a clip)."""
    for name, x_VKD in features.items():
        write_embeddings(EMBEDDINGS / f"{name}.parquet", table, x_VKD.mean(axis=1))
        if name in ENCODERS:
            write_clips(name, samples, table, x_VKD)


def write_clips(name: str, samples: UniformClips, table: pd.DataFrame, x_VKD: FloatArray) -> None:
    """Write `NAME_clips.parquet`."""
    starts_VK = np.stack([samples.starts(video) for video in range(len(samples))])
    write_clip_embeddings(EMBEDDINGS / f"{name}_clips.parquet", table, starts_VK, x_VKD)
