"""Frames come back from their packs, only the wanted ones, of the right video."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mofore.errors import UserError
from mofore.packed import PackedVideos

Packer = Callable[..., Path]


def test_reads_the_wanted_frames_in_the_wanted_order(pack: Packer) -> None:
    videos = PackedVideos(pack([4, 6, 5]))
    frames = videos.read(1, np.array([5, 0, 3]))
    assert frames.shape == (3, 20, 24, 3)
    assert frames[:, 0, 0, 0].tolist() == [15, 10, 13]


def test_one_split_only(pack: Packer) -> None:
    folder = pack([4, 4, 4, 4, 4])
    assert len(PackedVideos(folder)) == 5
    train, test = PackedVideos(folder, "train"), PackedVideos(folder, "test")
    assert (len(train), len(test)) == (4, 1)
    assert test.read(0, np.array([2]))[0, 0, 0, 0] == 32
    assert train.read(3, np.array([1]))[0, 0, 0, 0] == 41


def test_unusable_videos_take_no_place(pack: Packer) -> None:
    videos = PackedVideos(pack([3, 3, 3], status=["ok", "unreadable", "ok"]))
    assert videos.table.video.tolist() == ["class0/v0.avi", "class0/v2.avi"]
    assert videos.read(1, np.array([2]))[0, 0, 0, 0] == 22


def test_truncated_videos_are_usable(pack: Packer) -> None:
    folder = pack([3, 3])
    table = folder / "videos.csv"
    table.write_text(table.read_text().replace("ok", "truncated", 1))
    assert len(PackedVideos(folder)) == 2


def test_keep_counts_anew(pack: Packer) -> None:
    videos = PackedVideos(pack([3, 3, 3]))
    videos.keep(np.array([False, True, True]))
    assert len(videos) == 2
    assert videos.read(0, np.array([0]))[0, 0, 0, 0] == 10


def test_no_extraction_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"videos.csv: no such file: run `dvc repro extract_frames`"):
        PackedVideos(tmp_path)


def test_a_damaged_pack_is_named(pack: Packer) -> None:
    folder = pack([3])
    file = folder / "pack-00000.bin"
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(UserError, match=r"pack-00000.bin: damaged at byte 0"):
        PackedVideos(folder).read(0, np.array([0]))
