"""The stage embed: short videos are left out, files have their documented columns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mofore.config import Params
from mofore.embedding.calibration import untrained_encoder
from mofore.embedding.inference import UniformClips, VideoFeatures, embed_clips, embed_videos, streams_of
from mofore.embedding.store import EMBEDDINGS, read_clip_embeddings, read_embeddings
from mofore.embedding.streams import StreamChoice
from mofore.embedding.views import (
    CLIMATOLOGY_VIDEOS,
    VIEWS,
    forecast_encoders,
    leave_out_shorter_than_a_clip,
    representations,
    target_videos,
    video_embeddings,
    write_representations,
)
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from mofore.method.encoders import build_encoder
from mofore.method.model import MoFore
from mofore.method.shipped import shipped_encoder

Packer = Callable[..., Path]


@pytest.fixture
def short(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    return params


def test_short_videos_are_left_out_and_listed(pack: Packer, short: Params) -> None:
    videos = FrameStore(pack([12, 4, 5]))
    left_out = leave_out_shorter_than_a_clip(videos, short.clip)
    assert left_out[["video", "frames"]].values.tolist() == [["class1/v1.avi", 4]]
    assert videos.table.video.tolist() == ["class0/v0.avi", "class0/v2.avi"]


def test_a_clip_longer_than_any_video_is_an_error(pack: Packer, short: Params) -> None:
    with pytest.raises(UserError, match=r"clip.frames 4 .* need 5 frames, but the longest video has 4"):
        leave_out_shorter_than_a_clip(FrameStore(pack([4, 3])), short.clip)


def test_files_have_the_documented_columns(
    pack: Packer, short: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = FrameStore(pack([12, 10, 9, 8]))
    monkeypatch.chdir(tmp_path)
    samples = UniformClips(videos, short.clip, 3)
    x_VKD = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    mean_VE, std_VE = np.random.default_rng(1).normal(size=(2, 4, 50)).astype(np.float32)
    found = VideoFeatures(x_VKD, mean_VE, std_VE)
    write_representations(samples, videos.table, {"mofore": [found], "mofore_still": [found]}, short.embed, None)

    table = pd.read_parquet(EMBEDDINGS / "mofore.parquet")
    assert table.columns.tolist() == ["video", "label", "group", "split", "embedding"]
    assert np.stack(table.embedding.tolist()).dtype == np.float32
    assert sorted(path.name for path in EMBEDDINGS.iterdir()) == [
        "mofore.parquet",
        "mofore_clips.parquet",
        "mofore_still.parquet",
    ]
    read = read_embeddings(EMBEDDINGS, "mofore")
    assert (read.x_ND == mean_VE).all()
    assert read.split.tolist() == ["train", "train", "train", "test"]
    clips = read_clip_embeddings(EMBEDDINGS, "mofore")
    assert (clips.x_ND == x_VKD.reshape(12, 5)).all()
    assert clips.start[:3].tolist() == samples.starts(0).tolist()
    assert clips.video[3:6].tolist() == ["class1/v1.avi"] * 3


def test_representations_are_the_encoder_its_initial_weights_and_its_controls(pack: Packer, short: Params) -> None:
    videos = FrameStore(pack([12] * 8, texture=True))
    samples = UniformClips(videos, short.clip, 2)
    encoder = build_encoder("small", 5).eval()
    encoders = representations(encoder, videos, short, torch.device("cpu"))
    found = embed_videos(encoders, samples, short.embed.grid, short.runtime, torch.device("cpu"), views=VIEWS)
    assert list(found) == ["mofore", "random_init", "mofore_shuffled", "mofore_still"]
    assert len({of_row.clip_VKD.tobytes() for of_row in found.values()}) == 4
    random_init = untrained_encoder(videos, short, torch.device("cpu"))
    alone = embed_clips({"": random_init}, samples, short.runtime, torch.device("cpu"))[""]
    assert (found["random_init"].clip_VKD == alone).all()
    assert np.allclose(found["random_init"].mean_VE, alone.mean(axis=1), atol=1e-5)
    assert np.allclose(found["random_init"].std_VE, alone.std(axis=1), atol=1e-5)
    assert (found["mofore"].std_VE.min(axis=0) > 0).any()


@pytest.mark.parametrize("kept", [None, [0], [0, 1]])
@pytest.mark.parametrize("standardised", [True, False])
@pytest.mark.parametrize("spread", [0, 0.5])
def test_embeddings_are_means_and_weighted_deviations_of_the_kept_streams(
    short: Params, spread: float, standardised: bool, kept: list[int] | None
) -> None:
    short.embed.spread, short.embed.standardise = spread, standardised
    clip_VKE = np.random.default_rng(0).normal(3, 2, size=(9, 4, 6)).astype(np.float32)
    features = VideoFeatures(clip_VKE, clip_VKE.mean(axis=1), clip_VKE.std(axis=1))
    train_V = np.arange(9) < 6
    found_VE = video_embeddings(features, train_V, short.embed, StreamChoice(kept, 5) if kept else None)
    columns = [feature for feature in range(6) if kept is None or feature // 3 in kept]
    expected = []
    for weight, part in ((1, np.mean), (spread, np.std)):
        for e in columns if weight else []:
            x_V = part(clip_VKE[:, :, e].astype(float), axis=1)
            expected.append(weight * ((x_V - x_V[train_V].mean()) / x_V[train_V].std() if standardised else x_V))
    assert found_VE.dtype == np.float32
    np.testing.assert_allclose(found_VE, np.stack(expected, axis=1), atol=1e-4)


@pytest.mark.parametrize("block", [1, 4, 9])
@pytest.mark.parametrize("standardised", [True, False])
def test_files_are_the_same_from_blocks_of_any_size(
    block: int, standardised: bool, pack: Packer, short: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short.embed.spread, short.embed.standardise = 0.7, standardised
    videos = FrameStore(pack([12] * 9))
    monkeypatch.chdir(tmp_path)
    samples = UniformClips(videos, short.clip, 3)
    clip_VKD = np.random.default_rng(0).normal(3, 2, size=(9, 3, 8)).astype(np.float32)
    whole = VideoFeatures(clip_VKD, clip_VKD.mean(axis=1), clip_VKD.std(axis=1))
    parts = [VideoFeatures(*(x[at : at + block] for x in whole)) for at in range(0, 9, block)]
    tables = []
    for blocks in ([whole], parts):
        write_representations(samples, videos.table, {"mofore": blocks}, short.embed, StreamChoice([0], 1))
        tables.append([pd.read_parquet(EMBEDDINGS / f"{name}.parquet") for name in ("mofore", "mofore_clips")])
    for one, other in zip(*tables, strict=True):
        assert one.drop(columns="embedding").equals(other.drop(columns="embedding"))
        np.testing.assert_allclose(np.stack(one.embedding), np.stack(other.embedding), atol=1e-6)


def test_videos_of_one_clip_have_deviations_of_zero(short: Params) -> None:
    short.embed.spread, short.embed.standardise = 1, True
    x_VE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found_VE = video_embeddings(VideoFeatures(x_VE[:, None], x_VE, 0 * x_VE), np.ones(5, bool), short.embed)
    assert np.isfinite(found_VE).all()
    assert (found_VE[:, 3:] == 0).all()


@pytest.mark.parametrize("trained", ["motion", "both"])
def test_the_shipped_encoder_shares_the_stream_that_was_not_trained(pack: Packer, short: Params, trained: str) -> None:
    short.clip.input, short.encoder.start = "two_stream", "shipped"
    encoder = shipped_encoder("two_stream").eval()
    with torch.no_grad():
        for stream, _ in streams_of(encoder)[: 1 if trained == "motion" else 2]:
            next(stream.parameters()).add_(1)
    rows = representations(encoder, FrameStore(pack([12] * 3, texture=True)), short, torch.device("cpu"))
    assert list(rows) == ["mofore", "random_init", "shipped", "mofore_shuffled", "mofore_still"]
    assert rows["mofore"] is rows["mofore_still"] is encoder
    (motion, _), (look, _) = streams_of(rows["shipped"])
    (own_motion, _), (own_look, _) = streams_of(encoder)
    assert motion is not own_motion
    assert (look is own_look) == (trained == "motion")
    untouched = shipped_encoder("two_stream").state_dict()
    assert all(torch.equal(untouched[name], weights) for name, weights in rows["shipped"].state_dict().items())


def test_contexts_are_embedded_apart_only_where_the_ema_encoder_is_kept(short: Params) -> None:
    online, ema = (MoFore(build_encoder("small", 5), short.forecast, keep) for keep in ("online", "ema"))
    averaged = MoFore(build_encoder("small", 5), short.forecast, "averaged")
    assert forecast_encoders(averaged) == {"targets": averaged.ema, "contexts": averaged.online[0]}
    assert forecast_encoders(online) == {"targets": online.ema}
    assert forecast_encoders(ema) == {"targets": ema.ema, "contexts": ema.online[0]}


def test_target_videos_are_all_held_out_and_some_training_videos() -> None:
    split = pd.Series(["train"] * 600 + ["test"] * 50)
    chosen = target_videos(split, seed=0)
    assert (np.diff(chosen) > 0).all()
    assert (chosen >= 600).sum() == 50
    assert len(chosen) == 50 + CLIMATOLOGY_VIDEOS
    assert target_videos(split[:20], seed=0).tolist() == list(range(20))
    assert target_videos(split[:600], seed=0).tolist() == list(range(600)), "without held-out videos: all"


def test_missing_embeddings_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file: run `dvc repro"):
        read_embeddings(tmp_path, "mofore")
