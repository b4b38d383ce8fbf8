"""The manifest joins the outcomes of decoding with label, group and split."""

import os
from pathlib import Path

import pandas as pd
import pytest

from mofore.catalog import VideoFile, write_video_list
from mofore.config import Params
from mofore.errors import UserError
from mofore.frames.manifest import COLUMNS, write_manifest

VIDEOS = ["a, b/1.mp4", "x/2.mp4", "x/3.mp4", "y/4.mp4"]


@pytest.fixture
def project(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Four videos in the folder `own`, listed and decoded; the last one cannot be used."""
    monkeypatch.chdir(tmp_path)
    params.data.source, params.data.path = "folder", "own"
    for name in VIDEOS:
        Path("own", name).parent.mkdir(parents=True, exist_ok=True)
        Path("own", name).touch()
    describe("g1,train", "g1,train", "g2,test", "g3,train")
    write_video_list([VideoFile(name, 1, str(number)) for number, name in enumerate(VIDEOS)])
    outcomes = [(name, 10, 25.0, 320, 240, "ok", "") for name in VIDEOS[:3]]
    outcomes += [(VIDEOS[3], 0, 0.0, 0, 0, "unreadable", 'no "video", or so')]
    Path("data/frames/packs").mkdir(parents=True)
    columns = ["video", *COLUMNS[4:]]
    pd.DataFrame(outcomes, columns=columns).to_csv("data/frames/packs/outcomes.csv", index=False)
    return params


def describe(*rows: str) -> None:
    lines = [f'"{name}",{row}\n' for name, row in zip(VIDEOS, rows, strict=True)]
    Path("own/videos.csv").write_text("path,group,split\n" + "".join(lines))


def manifest() -> pd.DataFrame:
    return pd.read_csv("data/frames/videos.csv", keep_default_na=False)


def test_every_listed_video_has_a_row(project: Params) -> None:
    assert write_manifest(project) == "manifest: train 3, test 1"
    table = manifest()
    assert table.columns.tolist() == COLUMNS
    assert table.values.tolist() == [
        ["a, b/1.mp4", "a, b", "g1", "train", 10, 25.0, 320, 240, "ok", ""],
        ["x/2.mp4", "x", "g1", "train", 10, 25.0, 320, 240, "ok", ""],
        ["x/3.mp4", "x", "g2", "test", 10, 25.0, 320, 240, "ok", ""],
        ["y/4.mp4", "y", "g3", "train", 0, 0.0, 0, 0, "unreadable", 'no "video", or so'],
    ]
    grouped = pd.read_csv("data/frames/grouped_split.csv")
    assert grouped.values.tolist() == table[["video", "group", "split"]].values.tolist()


def test_labels_and_splits_change_without_decoding(project: Params) -> None:
    write_manifest(project)
    packs = {path: path.stat().st_mtime_ns for path in Path("data/frames/packs").iterdir()}
    describe("g1,test", "g1,test", "g2,train", "g3,train")
    write_manifest(project)
    assert manifest().split.tolist() == ["test", "test", "train", "train"]
    assert {path: path.stat().st_mtime_ns for path in Path("data/frames/packs").iterdir()} == packs


def test_outcomes_of_other_videos_are_refused(project: Params) -> None:
    """The frames of a video are found by its row, so one row too many would give each video those of another."""
    listed = [VideoFile(name, 1, name) for name in VIDEOS]
    Path("own/x/0.mp4").touch()
    Path("own/videos.csv").unlink()
    for stale in (listed[1:], [*listed, VideoFile("x/0.mp4", 1, "0")]):
        write_video_list(stale)
        with pytest.raises(UserError, match=r"outcomes\.csv: not of the videos listed now: run `dvc repro extract_fr"):
            write_manifest(project)


def test_without_groups_the_leak_of_the_random_split_is_not_known(project: Params) -> None:
    project.data.split = "random"
    describe(",", ",", ",", ",")
    assert "it is not known whether recordings are in train and in test" in write_manifest(project)


def test_the_random_split_is_announced_as_a_leak(project: Params) -> None:
    describe("g1,train", "g1,train", "g1,train", "g1,train")
    project.data.split = "random"
    assert write_manifest(project) == (
        "manifest: train 3, test 1; warning: data.split is random, so 1 of 1 recordings (groups) are in train and in "
        "test, which makes scores too high: for comparison with the paper only"
    )
    table, grouped = manifest(), pd.read_csv("data/frames/grouped_split.csv")
    assert table.group.tolist() == VIDEOS
    assert grouped.group.tolist() == ["g1"] * 4
    assert grouped.split.tolist() == ["train"] * 4


def test_copies_on_the_other_side_of_the_split_are_reported(project: Params) -> None:
    write_video_list([VideoFile(name, 1, "same") for name in VIDEOS])
    assert write_manifest(project).endswith(
        "; warning: 1 with the same bytes as another on the other side of the split, x/3.mp4 = a, b/1.mp4 (test, "
        "train): this makes scores too high, remove them"
    )


def test_a_split_without_test_videos_is_reported(project: Params) -> None:
    describe(*["g1,train"] * 4)
    assert write_manifest(project) == "manifest: train 4, test 0; no video is for testing, so there will be no scores"


def test_the_cached_files_stay(project: Params) -> None:
    write_manifest(project)
    for name in ("videos", "grouped_split"):
        file = Path(f"data/frames/{name}.csv")
        file.write_text("cached")
        os.link(file, f"{name} in the cache")
    write_manifest(project)
    assert {Path(f"{name} in the cache").read_text() for name in ("videos", "grouped_split")} == {"cached"}


@pytest.mark.parametrize("missing", ["data/raw/files.csv", "data/frames/packs/outcomes.csv"])
def test_what_is_missing_is_said(project: Params, missing: str) -> None:
    Path(missing).unlink()
    with pytest.raises(UserError, match=rf"^{missing}: no such file: run "):
        write_manifest(project)


def test_the_random_split_of_videos_without_groups_claims_no_leak(project: Params) -> None:
    describe(*[","] * len(VIDEOS))
    project.data.split = "random"
    assert write_manifest(project).startswith(
        "manifest: train 3, test 1; warning: data.split is random, and no two videos have a group in common, so it is "
        "not known whether recordings are in train and in test"
    )
