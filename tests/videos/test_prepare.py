"""The catalog that the stage download writes, and its errors for wrong input."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.catalog import Video, read_catalog
from mofore.config import Params
from mofore.errors import UserError
from mofore.videos.prepare import add_groups_and_splits, download
from tests.helpers.video_files import SHARED, make_project, run_stage_script

SURVFIGHT = SHARED / "videos" / "survfight"


@pytest.fixture
def own(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Parameters for a folder `own` of 8 loose and labelled videos, beside an empty project in which the test runs."""
    for name in ["a/1.mp4", "a/2.mp4", "a/3.mp4", "a/4.mp4", "b/1.mp4", "b/2.mp4", "5.mp4", "6.mp4", "notes.txt"]:
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).touch()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    params.data.source, params.data.path = "folder", "../own"
    return params


def test_folder_is_listed_and_not_copied(own: Params) -> None:
    line = download(own)
    assert re.fullmatch(
        r"download: 8 videos, 2 classes \(2 unlabelled\), 8 groups \(train [56], test [23]\); "
        r"8 videos without a group, treated as one group each: .*; left out: 1 file without a video suffix, notes\.txt",
        line,
    )
    videos = read_catalog()
    assert [(video.path, video.label) for video in videos] == [
        ("5.mp4", ""), ("6.mp4", ""), ("a/1.mp4", "a"), ("a/2.mp4", "a"), ("a/3.mp4", "a"), ("a/4.mp4", "a"),
        ("b/1.mp4", "b"), ("b/2.mp4", "b"),
    ]  # fmt: skip
    assert all(video.group == video.path for video in videos)
    assert os.listdir("data/raw") == ["videos.csv"]


def test_only_the_listed_videos_are_used(own: Params) -> None:
    Path("../own/videos.csv").write_text("path,group,split\na/1.mp4,g1,train\nb/1.mp4,g1,train\n5.mp4,g2,test\n")
    assert download(own) == (
        "download: 3 videos, 2 classes (1 unlabelled), 2 groups (train 2, test 1); "
        "left out: 5 videos not in videos.csv, 6.mp4, a/2.mp4, a/3.mp4, a/4.mp4, b/2.mp4; "
        "left out: 1 file without a video suffix, notes.txt"
    )
    assert read_catalog()[0] == Video("5.mp4", "", "g2", "test")


def test_second_run_writes_the_same_bytes_to_a_new_file(own: Params) -> None:
    download(own)
    catalog = Path("data/raw/videos.csv")
    first = catalog.read_bytes()
    catalog.write_bytes(b"cached")
    os.link(catalog, "cache")  # DVC links its cache into the workspace; the cached file must not change
    download(own)
    assert catalog.read_bytes() == first
    assert Path("cache").read_bytes() == b"cached"


PATHS_AND_GROUPS = st.dictionaries(
    st.sampled_from([f"{label}/{i}.mp4" for label in "ab" for i in range(10)]), st.sampled_from(["", *"wxyz"])
)


@settings(max_examples=50, deadline=None)
@given(PATHS_AND_GROUPS, st.integers(0, 9))
def test_completed_videos_have_group_and_split(groups: dict[str, str], seed: int) -> None:
    given_videos = [Video(path, path[0], group, "") for path, group in sorted(groups.items())]
    if len({group or path for path, group in groups.items()}) < 2:
        return
    videos = add_groups_and_splits(given_videos, Path("own"), 1, seed)
    assert [(video.path, video.label) for video in videos] == [(video.path, video.label) for video in given_videos]
    assert all(video.group == (groups[video.path] or video.path) for video in videos)
    assert len({(video.group, video.split) for video in videos}) == len({video.group for video in videos})
    assert {video.split for video in videos} == {"train", "test"}


def test_impossible_splits() -> None:
    own = Path("own")
    with pytest.raises(UserError, match="own: all videos are in one group"):
        add_groups_and_splits([Video("1.mp4", "", "g", ""), Video("2.mp4", "", "g", "")], own, 1, 0)
    with pytest.raises(UserError, match=r"data\.split is 3, but the videos have only 2 groups"):
        add_groups_and_splits([Video("1.mp4", "", "", ""), Video("2.mp4", "", "", "")], own, 3, 0)
    with pytest.raises(UserError, match=r"own/videos\.csv: all videos have split test"):
        add_groups_and_splits([Video("1.mp4", "", "g", "test")], own, 1, 0)


def test_a_split_without_test_videos_is_reported(own: Params) -> None:
    Path("../own/videos.csv").write_text("path,split\na/1.mp4,train\n")
    assert "(train 1, test 0); no video is for testing, so there will be no scores" in download(own)


def test_demo_is_made_and_its_lists_are_read(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_lists_only(root: Path, groups: int, clips: int, seed: int, workers: int) -> None:
        assert (groups, clips, seed, workers) == (params.demo.groups, params.demo.clips, params.seed, 0)
        (root / "splits").mkdir()
        (root / "splits/trainlist02.txt").write_text("Squat/v_Squat_g03_c02.avi 2\nBow/v_Bow_g03_c01.avi 1\n")
        (root / "splits/testlist02.txt").write_text("Bow/v_Bow_g04_c01.avi\n")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mofore.videos.prepare.make_demo", make_lists_only)
    params.data.split = 2
    assert download(params) == "download: 3 videos, 2 classes, 3 groups (train 2, test 1)"
    assert read_catalog() == [
        Video("Bow/v_Bow_g03_c01.avi", "Bow", "Bow_g03", "train"),
        Video("Bow/v_Bow_g04_c01.avi", "Bow", "Bow_g04", "test"),
        Video("Squat/v_Squat_g03_c02.avi", "Squat", "Squat_g03", "train"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.path": "gone"}, "params.yaml: data.path is 'gone', but there is no such folder"),
        ({"data.path": "params.yaml"}, "params.yaml: data.path is 'params.yaml', but is a file, not a folder"),
        ({"data.path": "empty"}, "empty: this folder is empty: put videos there"),
        ({"data.path": "texts"}, "texts: this folder holds 2 files, but no video: put videos there"),
        ({"forecast.gap_mx": 64}, "params.yaml: unknown key 'forecast.gap_mx' - did you mean 'forecast.gap_max'?"),
    ],
)
def test_wrong_input_gets_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    project = make_project(tmp_path, **{"data.source": "folder", **changes})
    (project / "empty").mkdir()
    (project / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (project / "texts" / name).write_text("text")
    ran = run_stage_script(project, "download")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: {message}")
    assert ran.stderr.count("\n") == 1
    assert not (project / "data/raw/videos.csv").exists()


@pytest.mark.skipif(not SURVFIGHT.exists(), reason="the survfight videos are not on this machine")
def test_survfight_as_a_stage(tmp_path: Path) -> None:
    project = make_project(tmp_path, **{"data.source": "folder", "data.path": str(SURVFIGHT)})
    ran = run_stage_script(project, "download")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (
        "download: 300 videos, 2 classes, 72 groups (train 224, test 76); left out: 2 files without a video "
        "suffix, LICENSE, videos.txt\n"
    )
