"""Embeddings: the clips of the protocol, in the right order, on disk as promised."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mofore.augment import center_crop, to_input
from mofore.clips import clip_offsets
from mofore.config import Params
from mofore.embed import UniformClips, embed_clips, leave_out_shorter_than_a_clip, write_embeddings
from mofore.embeddings import read_clip_embeddings, read_embeddings
from mofore.encoder import build_encoder
from mofore.errors import UserError
from mofore.packed import PackedVideos

Packer = Callable[..., Path]


@pytest.fixture
def short(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    return params


@pytest.mark.parametrize("kind", ["rgb", "residual"])
def test_embeddings_equal_one_clip_at_a_time(pack: Packer, short: Params, kind: str) -> None:
    short.clip.input = kind
    videos = PackedVideos(pack([12, 30, 7, 9, 21, 14, 8, 11, 10], texture=True))
    encoder = build_encoder("small", 0)
    found = embed_clips({"a": encoder, "b": build_encoder("small", 1)}, videos, short.clip, 3, short.runtime)
    assert found["a"].shape == (9, 3, 192)
    assert not np.allclose(found["a"], found["b"])
    uniform = UniformClips(videos, short.clip, 3)
    for video in (0, 1, 8):
        for k, start in enumerate(uniform.starts(video)):
            frames = center_crop(videos.read(video, start + clip_offsets(short.clip)), 16)
            with torch.no_grad():
                alone = encoder.eval()(to_input(torch.from_numpy(frames[None].copy()), kind))
            assert np.allclose(alone.numpy()[0], found["a"][video, k], atol=1e-4)


def test_embedding_leaves_the_encoder_in_eval_mode(pack: Packer, short: Params) -> None:
    encoder = build_encoder("small", 0).train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    embed_clips({"a": encoder}, PackedVideos(pack([9, 9])), short.clip, 2, short.runtime)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_any_number_of_workers_gives_the_same(pack: Packer, short: Params) -> None:
    videos = PackedVideos(pack([12] * 10, texture=True))
    encoder = nn.Sequential(nn.AdaptiveAvgPool3d(2), nn.Flatten())
    alone = embed_clips({"a": encoder}, videos, short.clip, 2, short.runtime)["a"]
    short.runtime.workers = 2
    assert (embed_clips({"a": encoder}, videos, short.clip, 2, short.runtime)["a"] == alone).all()


def test_short_videos_are_left_out_and_named(pack: Packer, short: Params) -> None:
    videos = PackedVideos(pack([12, 4, 5]))
    left_out = leave_out_shorter_than_a_clip(videos, short.clip)
    assert left_out[["video", "frames"]].values.tolist() == [["class1/v1.avi", 4]]
    assert videos.table.video.tolist() == ["class0/v0.avi", "class0/v2.avi"]


def test_a_clip_longer_than_any_video_is_an_error(pack: Packer, short: Params) -> None:
    with pytest.raises(UserError, match=r"clip.frames 4 .* need 5 frames, but the longest video has 4"):
        leave_out_shorter_than_a_clip(PackedVideos(pack([4, 3])), short.clip)


def test_files_hold_what_the_design_says(pack: Packer, tmp_path: Path) -> None:
    videos = PackedVideos(pack([12, 10, 9, 8]))
    features = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    starts = np.arange(12).reshape(4, 3)
    write_embeddings(tmp_path, "mofore", videos, starts, features)

    table = pd.read_parquet(tmp_path / "mofore.parquet")
    assert table.columns.tolist() == ["video", "label", "group", "split", "embedding"]
    assert np.stack(table.embedding.tolist()).dtype == np.float32
    read = read_embeddings(tmp_path, "mofore")
    assert np.allclose(read.x_ND, features.mean(axis=1), atol=1e-6)
    assert read.split.tolist() == ["train", "train", "train", "test"]
    clips = read_clip_embeddings(tmp_path, "mofore")
    assert (clips.x_ND == features.reshape(12, 5)).all()
    assert clips.start.tolist() == list(range(12))
    assert clips.video[3:6].tolist() == ["class1/v1.avi"] * 3


def test_missing_embeddings_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dvc repro embed`"):
        read_embeddings(tmp_path, "mofore")
