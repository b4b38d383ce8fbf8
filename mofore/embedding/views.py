"""Computes and writes the embeddings of the stage `embed`: the pretrained encoder and its controls.

Shapes: V videos, K clips per video, D feature dimensions, E features of all parts of the frame.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from mofore.clips.sampling import clip_span
from mofore.config import Clip, Embed, Params
from mofore.embedding.calibration import untrained_encoder
from mofore.embedding.geometry import fit_scale
from mofore.embedding.inference import Blocks, FloatArray, UniformClips, VideoFeatures, View
from mofore.embedding.store import EMBEDDINGS, ENCODERS, write_clip_embedding_blocks, write_embedding_blocks
from mofore.embedding.streams import StreamChoice
from mofore.frames.store import FrameStore
from mofore.method.encoders import Encoder, TwoStream
from mofore.method.model import MoFore
from mofore.method.shipped import shipped_encoder
from mofore.splits import sample_rows

VIEWS: dict[str, View] = {"mofore_shuffled": "shuffled", "mofore_still": "still"}
CLIMATOLOGY_VIDEOS = 100  # training videos of which the mean target is taken: 1,000 clips at 10 clips per video


def leave_out_shorter_than_a_clip(videos: FrameStore, clip: Clip) -> pd.DataFrame:
    """Remove from `videos` those that are shorter than one clip.

    Returns:
        The removed videos, with columns video, frames, reason.

    Raises:
        UserError: no video is long enough.
    """
    return videos.leave_out_shorter(clip_span(clip), "a clip", f"clip.frames {clip.frames} x clip.stride {clip.stride}")


def representations(
    encoder: Encoder | TwoStream, videos: FrameStore, params: Params, device: torch.device
) -> dict[str, Encoder | TwoStream]:
    """The encoders of the rows that are embedded, by name: the pretrained one, the same network with random weights,
    the shipped one if pretraining starts with it, and the pretrained one for the control VIEWS.

    Args:
        encoder: the pretrained one, on `device`, in eval mode.
        videos: of which some calibrate the random weights, see `untrained_encoder`.
        params: all parameters.
        device: where to embed.
    """
    encoders = {"mofore": encoder, "random_init": untrained_encoder(videos, params, device)}
    if params.encoder.start == "shipped":
        encoders["shipped"] = _shipped_beside(encoder, params.clip.input, device)
    return encoders | dict.fromkeys(VIEWS, encoder)


def _shipped_beside(encoder: Encoder | TwoStream, input: str, device: torch.device) -> Encoder | TwoStream:
    """The shipped encoder. If training has left the appearance stream of `encoder` as shipped, both share it."""
    shipped = shipped_encoder(input).to(device).eval()
    if isinstance(shipped, TwoStream) and isinstance(encoder, TwoStream):
        old, new = shipped.streams[1].state_dict(), encoder.streams[1].state_dict()
        if all(torch.equal(old[name], new[name]) for name in old):
            shipped.streams[1] = encoder.streams[1]
    return shipped


def forecast_encoders(model: MoFore) -> dict[str, nn.Module]:
    """The networks whose clip embeddings the stage `forecast` needs besides those of `mofore`, by the name of the file.

    These are `targets`, the EMA encoder with its projector; and `contexts`, the online encoder, if `mofore` is another
    one.
    """
    needed: dict[str, nn.Module] = {"targets": model.ema}
    return needed if model.keep == "online" else needed | {"contexts": model.online[0]}


def target_videos(split_V: pd.Series, seed: int) -> npt.NDArray[np.int64]:
    """Select the videos whose target embeddings the stage `forecast` needs.

    These are all held-out videos, whose forecasts are scored, and CLIMATOLOGY_VIDEOS random training videos, whose
    mean target is the climatology. Without held-out videos, all training videos.

    Returns:
        Row numbers, sorted.
    """
    train, test = np.flatnonzero(split_V == "train"), np.flatnonzero(split_V != "train")
    if len(test):
        train = sample_rows(train, CLIMATOLOGY_VIDEOS, seed)
    return np.sort(np.concatenate([train, test]))


def video_embeddings(
    features: VideoFeatures, train_V: npt.NDArray[np.bool_], embed: Embed, choice: StreamChoice | None = None
) -> FloatArray:
    """Embeddings of videos: means over their clips, then standard deviations over them, if `embed.spread` is above 0.

    Means say what a video shows on the whole, deviations how much that changes: [V, E] or [V, 2 E].

    Args:
        features: of the videos.
        train_V: True for training videos, on which `embed.standardise` takes the scale of each feature. Controls
            without an encoder are scaled like this, too.
        embed: parameters.
        choice: the streams that embeddings have.
    """
    return np.concatenate(list(embedding_blocks([features], train_V, embed, choice)))


def embedding_blocks(
    blocks: Iterable[VideoFeatures], train_V: npt.NDArray[np.bool_], embed: Embed, choice: StreamChoice | None
) -> Iterator[FloatArray]:
    """As `video_embeddings`, from blocks of features of successive videos, of which one is in memory at a time."""
    unscaled = Blocks(lambda: (_unscaled(block, embed, choice) for block in blocks))
    scale = fit_scale(unscaled, train_V) if embed.standardise else None
    for x_VE in unscaled:
        if scale:
            x_VE = scale.apply(x_VE)  # noqa: PLW2901
        if embed.spread:
            x_VE[:, x_VE.shape[1] // 2 :] *= embed.spread
        yield x_VE


def _unscaled(features: VideoFeatures, embed: Embed, choice: StreamChoice | None) -> FloatArray:
    """Means, then deviations if they are wanted, of the chosen streams."""
    parts = [features.mean_VE] + ([features.std_VE] if embed.spread else [])
    return np.concatenate([choice.select(part_VE) if choice else part_VE for part_VE in parts], axis=1)


def write_representations(
    samples: UniformClips,
    table: pd.DataFrame,
    features: Mapping[str, Iterable[VideoFeatures]],
    embed: Embed,
    choice: StreamChoice | None,
) -> None:
    """Write `NAME.parquet` with the embedding of each video and, for ENCODERS, `NAME_clips.parquet`.

    Embeddings have the chosen streams; files of clips have all, because the model forecasts from all.
    """
    train_V = (table.split == "train").to_numpy()
    for name, blocks in features.items():
        write_embedding_blocks(EMBEDDINGS / f"{name}.parquet", table, embedding_blocks(blocks, train_V, embed, choice))
        if name in ENCODERS:
            write_clips(name, samples, table, (block.clip_VKD for block in blocks))


def write_clips(name: str, samples: UniformClips, table: pd.DataFrame, blocks: Iterable[FloatArray]) -> None:
    """Write the clip embeddings, blocks of successive videos, to `NAME_clips.parquet`."""

    def with_starts() -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
        first = 0
        for x_VKD in blocks:
            yield np.stack([samples.starts(video) for video in range(first, first + len(x_VKD))]), x_VKD
            first += len(x_VKD)

    write_clip_embedding_blocks(EMBEDDINGS / f"{name}_clips.parquet", table, with_starts())
