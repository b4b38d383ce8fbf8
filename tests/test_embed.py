"""Embeddings: of the videos with room for a clip, on disk as promised."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.config import Params
from mofore.embed import leave_out_shorter_than_a_clip, write_embeddings
from mofore.embeddings import read_clip_embeddings, read_embeddings
from mofore.errors import UserError
from mofore.packed import PackedVideos

Packer = Callable[..., Path]


@pytest.fixture
def short(params: Params) -> Params:
    params.clip.frames, params.clip.stride, params.clip.size = 4, 1, 16
    return params


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
