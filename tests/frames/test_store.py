"""`FrameStore` reads the requested frames of the requested video."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.clips.dataset import ForecastDataset
from mofore.config import Params
from mofore.embedding.inference import UniformClips
from mofore.errors import UserError
from mofore.frames.store import FrameStore

Packer = Callable[..., Path]


def test_reads_the_wanted_frames_in_the_wanted_order(pack: Packer) -> None:
    videos = FrameStore(pack([4, 6, 5]))
    frames = videos.read(1, np.array([5, 0, 3]))
    assert frames.shape == (3, 20, 24, 3)
    assert frames[:, 0, 0, 0].tolist() == [15, 10, 13]


def test_one_split_only(pack: Packer) -> None:
    folder = pack([4, 4, 4, 4, 4])
    assert len(FrameStore(folder)) == 5
    train, test = FrameStore(folder, "train"), FrameStore(folder, "test")
    assert (len(train), len(test)) == (4, 1)
    assert test.read(0, np.array([2]))[0, 0, 0, 0] == 32
    assert train.read(3, np.array([1]))[0, 0, 0, 0] == 41


def test_a_truncated_video_is_used_with_the_frames_it_has(pack: Packer) -> None:
    folder = pack([3, 3, 3])
    table = pd.read_csv(folder / "videos.csv")
    table.loc[1, "status"] = "truncated"
    table.to_csv(folder / "videos.csv", index=False)
    videos = FrameStore(folder)
    assert len(videos) == 3
    assert videos.read(2, np.array([0]))[0, 0, 0, 0] == 20


def test_frames_far_apart_and_more_than_once(pack: Packer) -> None:
    videos = FrameStore(pack([2, 90]))
    wanted = np.array([89, 0, 89, 44])
    assert videos.read(1, wanted)[:, 0, 0, 0].tolist() == [99, 10, 99, 54]


def test_unusable_videos_have_no_number(pack: Packer) -> None:
    videos = FrameStore(pack([3, 3, 3], status=["ok", "unreadable", "ok"]))
    assert videos.table.video.tolist() == ["class0/v0.avi", "class0/v2.avi"]
    assert videos.read(1, np.array([2]))[0, 0, 0, 0] == 22


def test_truncated_videos_are_usable(pack: Packer) -> None:
    folder = pack([3, 3])
    table = folder / "videos.csv"
    table.write_text(table.read_text().replace("ok", "truncated", 1))
    assert len(FrameStore(folder)) == 2


def test_keep_renumbers_the_videos(pack: Packer) -> None:
    videos = FrameStore(pack([3, 3, 3]))
    videos.keep(np.array([False, True, True]))
    assert len(videos) == 2
    assert videos.read(0, np.array([0]))[0, 0, 0, 0] == 10


def test_select_gives_videos_in_the_order_requested(pack: Packer) -> None:
    videos = FrameStore(pack([3, 4, 5]))
    selected = videos.select(np.array([2, 0]))
    assert selected.table.video.tolist() == ["class0/v2.avi", "class0/v0.avi"]
    assert [selected.read(video, np.array([1]))[0, 0, 0, 0] for video in range(2)] == [21, 1]
    assert len(videos) == 3
    assert videos.read(1, np.array([3]))[0, 0, 0, 0] == 13


def test_missing_extraction_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"videos.csv: no such file: run `dvc repro manifest`"):
        FrameStore(tmp_path)


@pytest.mark.parametrize("keep_length", [True, False])
def test_a_damaged_pack_is_named(pack: Packer, keep_length: bool) -> None:
    folder = pack([3])
    file = folder / "packs/pack-00000.bin"
    file.write_bytes(b"\0" * (file.stat().st_size if keep_length else 0))
    with pytest.raises(UserError, match=r"pack-00000.bin: damaged at byte 0"):
        FrameStore(folder).read(0, np.array([0]))


def test_a_pickled_dataset_has_three_numbers_per_video_and_no_table(pack: Packer, params: Params) -> None:
    videos = FrameStore(pack([2] * 200))
    datasets = [
        ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed),
        ForecastDataset(videos, params.clip, params.forecast, params.augment, params.seed, cache_bytes=1e9),
        UniformClips(videos, params.clip, 10),
    ]
    for dataset in datasets:
        content = pickle.dumps(dataset)
        assert len(content) < 3 * 8 * len(videos) + 3000  # 3000 bytes: names of classes and the settings
        assert b"class0/v0.avi" not in content
