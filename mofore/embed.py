"""Embeddings of whole videos: the mean over uniformly spaced clips.

The primary protocol of the field: uniformly spaced clips, centre crop, globally pooled features of the encoder (no
projector), encoder in eval mode, mean over clips.

Shapes: B clips of a batch, K clips of a video, T frames, H = W side of a clip, C colours, D feature dimensions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mofore.augment import center_crop, to_input
from mofore.clips import clip_offsets, clip_span, uniform_starts
from mofore.config import Clip, Runtime
from mofore.cores import worker_count
from mofore.device import autocast, pick_device
from mofore.packed import PackedVideos
from mofore.progress import progress

FloatArray = npt.NDArray[np.float32]
VIDEOS_A_BATCH = 8


class UniformClips(Dataset[npt.NDArray[np.uint8]]):
    """The K uniformly spaced, centre-cropped clips of each video: uint8 [K, T, H, W, C]."""

    def __init__(self, videos: PackedVideos, clip: Clip, clips: int) -> None:
        self.reader, self.clip, self.clips = videos.reader, clip, clips
        self.offsets, self.span = clip_offsets(clip), clip_span(clip)
        self.n_frames = videos.table.frames.to_numpy()

    def starts(self, video: int) -> npt.NDArray[np.int64]:
        """First video frame of each clip, [K]."""
        return uniform_starts(int(self.n_frames[video]), self.span, self.clips)

    def __len__(self) -> int:
        return len(self.n_frames)

    def __getitem__(self, video: int) -> npt.NDArray[np.uint8]:
        wanted_KT = self.starts(video)[:, None] + self.offsets
        frames, place_KT = np.unique(wanted_KT, return_inverse=True)  # clips overlap: decode each frame once
        frames_NHWC = center_crop(self.reader.read(video, frames), self.clip.size)
        return frames_NHWC[place_KT.reshape(wanted_KT.shape)]


def embed_clips(
    encoders: dict[str, nn.Module], videos: PackedVideos, clip: Clip, clips: int, runtime: Runtime
) -> dict[str, FloatArray]:
    """Embed K clips of every video with several encoders, in one pass over the frames.

    Args:
        encoders: by name; each maps [B, C, T, H, W] to [B, D].
        videos: each at least one clip long (see `leave_out_shorter_than_a_clip`).
        clips: K.

    Returns:
        By encoder's name, float32 [videos, K, D].
    """
    device = pick_device(runtime)
    encoders = {name: encoder.to(device).eval() for name, encoder in encoders.items()}
    found: dict[str, list[FloatArray]] = {name: [] for name in encoders}
    for frames_BTHWC in progress(
        _batches(videos, clip, clips, runtime), -(-len(videos) // VIDEOS_A_BATCH), "embed", "batch"
    ):
        clips_BCTHW = to_input(frames_BTHWC.flatten(0, 1).to(device), clip.input)
        for name, encoder in encoders.items():
            with torch.inference_mode(), autocast(runtime, device):
                features_BD = encoder(clips_BCTHW)
            found[name].append(features_BD.float().cpu().numpy().reshape(-1, clips, features_BD.shape[1]))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _batches(videos: PackedVideos, clip: Clip, clips: int, runtime: Runtime) -> Iterator[torch.Tensor]:
    loader = DataLoader(
        UniformClips(videos, clip, clips), batch_size=VIDEOS_A_BATCH, num_workers=worker_count(runtime.workers)
    )
    return iter(loader)


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
