"""The list that the stage download writes, and its errors for wrong input."""

import os
import re
from pathlib import Path

import pytest

from mofore.catalog import read_video_list
from mofore.config import Params
from mofore.errors import UserError
from mofore.videos.prepare import download
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
    params.data.source, params.data.path = "folder", str(tmp_path / "own")
    return params


def test_folder_is_listed_and_not_copied(own: Params) -> None:
    line = download(own)
    assert re.fullmatch(
        r"download: 8 videos, 2 classes \(2 unlabelled\), 8 groups; "
        r"8 videos without a group, treated as one group each: .*; left out: 1 file without a video suffix, notes\.txt",
        line,
    )
    assert [file.path for file in read_video_list()] == [
        "5.mp4", "6.mp4", "a/1.mp4", "a/2.mp4", "a/3.mp4", "a/4.mp4", "b/1.mp4", "b/2.mp4"
    ]  # fmt: skip
    assert os.listdir("data/raw") == ["files.csv"]


def test_a_relative_path_that_experiments_will_not_find(own: Params) -> None:
    full = own.data.path
    own.data.path = "../own"
    assert download(own).endswith(
        f"data.path is a relative path: for dvc exp run --temp and the queue, set it to {full}"
    )


def test_only_the_listed_videos_are_used(own: Params) -> None:
    Path("../own/videos.csv").write_text("path,group,split\na/1.mp4,g1,train\nb/1.mp4,g1,train\n5.mp4,g2,test\n")
    assert download(own) == (
        "download: 3 videos, 2 classes (1 unlabelled), 2 groups; "
        "left out: 5 videos not in videos.csv, 6.mp4, a/2.mp4, a/3.mp4, a/4.mp4, b/2.mp4; "
        "left out: 1 file without a video suffix, notes.txt"
    )
    assert [file.path for file in read_video_list()] == ["5.mp4", "a/1.mp4", "b/1.mp4"]


def test_second_run_writes_the_same_bytes_to_a_new_file(own: Params) -> None:
    download(own)
    listed = Path("data/raw/files.csv")
    first = listed.read_bytes()
    listed.write_bytes(b"cached")
    os.link(listed, "cache")  # DVC links its cache into the workspace; the cached file must not change
    download(own)
    assert listed.read_bytes() == first
    assert Path("cache").read_bytes() == b"cached"


def test_labels_splits_and_seeds_leave_the_list_as_it_is(own: Params) -> None:
    """So nothing is decoded again."""
    download(own)
    listed = Path("data/raw/files.csv").read_bytes()
    own.seed, own.data.split = 7, "random"
    videos = sorted(path.relative_to("../own").as_posix() for path in Path("../own").rglob("*.mp4"))
    lines = [f"{path},x,{'test' if i % 2 else 'train'}\n" for i, path in enumerate(videos)]
    Path("../own/videos.csv").write_text("path,label,split\n" + "".join(lines))
    download(own)
    assert Path("data/raw/files.csv").read_bytes() == listed


def test_copies_are_reported(own: Params) -> None:
    Path("../own/a/1.mp4").write_bytes(b"same")
    Path("../own/b/2.mp4").write_bytes(b"same")
    assert download(own).endswith("; warning: 1 video with the same bytes as another: b/2.mp4 = a/1.mp4")


def test_a_split_that_is_impossible_is_reported_before_the_videos_are_decoded(own: Params) -> None:
    Path("../own/videos.csv").write_text("path,group\na/1.mp4,g\nb/1.mp4,g\n")
    with pytest.raises(UserError, match=r"own: all videos are in one group"):
        download(own)


def test_demo_is_made_and_its_lists_are_read(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_lists_only(root: Path, groups: int, clips: int, seed: int, workers: int) -> None:
        assert (groups, clips, seed, workers) == (params.demo.groups, params.demo.clips, params.demo.seed, 0)
        (root / "splits").mkdir()
        (root / "splits/trainlist01.txt").write_text("Squat/v_Squat_g03_c02.avi 2\nBow/v_Bow_g03_c01.avi 1\n")
        (root / "splits/testlist01.txt").write_text("Bow/v_Bow_g04_c01.avi\n")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mofore.videos.prepare.make_demo", make_lists_only)
    params.seed, params.demo.seed, params.data.split = 3, 4, 2
    assert download(params) == "download: 3 videos, 2 classes, 3 groups"
    assert [file.path for file in read_video_list()] == [
        "Bow/v_Bow_g03_c01.avi", "Bow/v_Bow_g04_c01.avi", "Squat/v_Squat_g03_c02.avi"
    ]  # fmt: skip


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
    assert not (project / "data/raw/files.csv").exists()


@pytest.mark.skipif(not SURVFIGHT.exists(), reason="the survfight videos are not on this machine")
def test_survfight_as_a_stage(tmp_path: Path) -> None:
    project = make_project(tmp_path, **{"data.source": "folder", "data.path": str(SURVFIGHT)})
    ran = run_stage_script(project, "download")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (
        "download: 300 videos, 2 classes, 72 groups; left out: 2 files without a video suffix, LICENSE, videos.txt\n"
    )
