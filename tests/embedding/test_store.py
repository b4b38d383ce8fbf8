"""Embeddings are read back as written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.embedding.store import (
    OPTIONAL,
    REPRESENTATIONS,
    Embeddings,
    read_clip_embeddings,
    read_embeddings,
    read_representations,
    train_test,
    write_embeddings,
)
from mofore.errors import UserError
from mofore.frames.store import FrameStore
from tests.helpers.clip_files import write_clip_embeddings


def table(videos: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "video": [f"v{v}" for v in videos],
            "label": [f"class{v % 2}" for v in videos],
            "group": [f"g{v // 2}" for v in videos],
            "split": ["test" if v >= 6 else "train" for v in videos],
        }
    )


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of all representations but supervised. The controls have two more videos, in another order."""
    monkeypatch.chdir(tmp_path)
    for name, folder in REPRESENTATIONS.items():
        if name not in OPTIONAL:
            videos = list(range(8)) if folder.name == "embeddings" else [9, 7, 6, 5, 4, 3, 2, 1, 0, 8]
            x_VD = np.array(videos, np.float32)[:, None] * np.ones(3, np.float32)
            write_embeddings(folder / f"{name}.parquet", table(videos), x_VD)
    return tmp_path


def test_all_representations_have_the_same_videos(rows: Path) -> None:
    found = read_representations()
    assert list(found) == [name for name in REPRESENTATIONS if name not in OPTIONAL]
    for row in found.values():
        assert row.video.tolist() == [f"v{v}" for v in range(8)]
        assert row.x_ND[:, 0].tolist() == list(range(8))


def test_optional_representations_are_read_if_they_exist(rows: Path) -> None:
    for name in OPTIONAL:
        write_embeddings(REPRESENTATIONS[name] / f"{name}.parquet", table(list(range(8))), np.ones((8, 2), np.float32))
    assert list(read_representations()) == list(REPRESENTATIONS)


def test_a_missing_file_is_an_error(rows: Path) -> None:
    (REPRESENTATIONS["motion"] / "motion.parquet").unlink()
    with pytest.raises(UserError, match=r"motion.parquet: no such file: run `dvc repro`"):
        read_representations()


@pytest.mark.slow
def test_a_group_in_both_splits_stops_the_run(rows: Path) -> None:
    leaky = table(list(range(8)))
    leaky.loc[7, "group"] = "g0"  # a test video of a training group
    write_embeddings(REPRESENTATIONS["mofore"] / "mofore.parquet", leaky, np.ones((8, 3), np.float32))
    with pytest.raises(UserError, match=r"mofore.parquet: group 'g0' is in train and in test"):
        read_embeddings(REPRESENTATIONS["mofore"], "mofore")
    with pytest.raises(UserError, match="group 'g0' is in train and in test"):
        read_representations()


def test_a_group_in_both_splits_stops_training(pack: Callable[..., Path]) -> None:
    folder = pack([9] * 8)
    videos = pd.read_csv(folder / "videos.csv")
    FrameStore(folder)
    videos.loc[0, "split"] = "test"  # the other video of its group stays in train
    videos.to_csv(folder / "videos.csv", index=False)
    with pytest.raises(UserError, match=r"videos.csv: group 'g0' .*is in train and in test"):
        FrameStore(folder)


@pytest.mark.parametrize(
    ("labels", "splits", "scored"),
    [
        ("aabb", ["train", "train", "train", "test"], True),
        ("aaab", ["train", "train", "train", "test"], False),  # one class only
        ("aabb", ["train"] * 4, False),  # no test videos
        ("    ", ["train", "train", "train", "test"], False),
    ],
)
def test_scores_need_two_classes_and_a_test_video(labels: str, splits: list[str], scored: bool) -> None:
    names = np.array(list("wxyz"))
    label = np.array([label.strip() for label in labels])
    split = train_test(Embeddings(np.ones((4, 2), np.float32), names, label, names, np.array(splits)))
    assert (split is not None) == scored


TABLE = pd.DataFrame(
    {
        "video": ['a,"b"\nc.avi', "NA", "3"],
        "label": ["", "$x$", "NA"],
        "group": ["g", "g", "1"],
        "split": ["train", "train", "test"],
        "frames": [1, 2, 3],
    }
)


def test_video_embeddings_are_read_back(tmp_path: Path) -> None:
    x_VD = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    write_embeddings(tmp_path / "new" / "row.parquet", TABLE, x_VD)
    assert pd.read_parquet(tmp_path / "new" / "row.parquet").columns.tolist() == [
        "video",
        "label",
        "group",
        "split",
        "embedding",
    ]
    found = read_embeddings(tmp_path / "new", "row")
    assert (found.x_ND == x_VD).all()
    assert found.video.tolist() == TABLE.video.tolist()
    assert found.label.tolist() == TABLE.label.tolist()
    assert found.split.tolist() == TABLE.split.tolist()


def test_clip_embeddings_are_read_back_video_by_video(tmp_path: Path) -> None:
    x_VKD = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    write_clip_embeddings(tmp_path / "row_clips.parquet", TABLE, np.arange(6).reshape(3, 2), x_VKD)
    found = read_clip_embeddings(tmp_path, "row")
    assert (found.x_ND == x_VKD.reshape(6, 4)).all()
    assert found.start.tolist() == list(range(6))
    assert found.video.tolist() == [name for name in TABLE.video for _ in range(2)]
