"""HMDB51's official splits, in files with the layout of the official ones."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.catalog import Video
from mofore.errors import UserError
from mofore.videos.hmdb51 import divide_groups, read_splits
from tests.helpers.video_files import ROOT, make_project, run_stage_script, write_video

# Names of HMDB51. Its lines end with a space; the fixture adds it.
SPLIT = {
    "brush_hair": """April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1
April_09_brush_hair_u_nm_np1_ba_goo_1.avi 1
Silky_Straight_Hair_Original_brush_hair_h_nm_np1_ba_goo_0.avi 2
Brushing_her_hair__[_NEW_AUDIO_]_UPDATED!!!!_brush_hair_h_cm_np1_le_goo_0.avi 0
prelinger_LetsBeGo1953_brush_hair_u_nm_np2_le_med_3.avi 1
""",
    "sit": """TheBoondockSaints_sit_u_nm_np10_ba_med_0.avi 2
prelinger_LetsBeGo1953_sit_f_cm_np1_fr_bad_12.avi 2
sit_down_sit_u_nm_np1_ri_med_1.avi 1
""",
}


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    folder = tmp_path / "testTrainMulti_7030_splits"
    folder.mkdir()
    for label, lines in SPLIT.items():
        (folder / f"{label}_test_split2.txt").write_text(lines.replace("\n", " \n"))
        (folder / f"{label}_test_split1.txt").write_text(lines.replace(" 0\n", " 1 \n"))
    return folder


def make_videos(root: Path, splits: Path) -> None:
    for file in splits.glob("*_test_split1.txt"):
        for line in file.read_text().splitlines():
            path = root / file.name.removesuffix("_test_split1.txt") / line.split()[0]
            write_video(path.with_name("one.avi"), frames=8).rename(path)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mofore.videos.hmdb51", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_label_movie_and_side_of_each_video(splits: Path) -> None:
    videos = {Path(video.path).name: video for video in read_splits(splits, 2)}
    assert len(videos) == 7, "the unused video is left out"
    assert videos["April_09_brush_hair_u_nm_np1_ba_goo_1.avi"] == Video(
        "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi", "brush_hair", "April_09", "train"
    )
    assert videos["TheBoondockSaints_sit_u_nm_np10_ba_med_0.avi"].group == "TheBoondockSaints"
    assert videos["TheBoondockSaints_sit_u_nm_np10_ba_med_0.avi"].split == "test"
    assert videos["sit_down_sit_u_nm_np1_ri_med_1.avi"].group == "sit_down"
    assert len(read_splits(splits, 1)) == 8


def test_a_movie_on_both_sides_has_one_group_per_class(splits: Path) -> None:
    videos, n_divided = divide_groups(read_splits(splits, 2))
    assert n_divided == 2
    groups = {video.group for video in videos if "LetsBeGo" in video.path}
    assert groups == {"prelinger_LetsBeGo1953 brush_hair", "prelinger_LetsBeGo1953 sit"}


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["m", "n"]), st.sampled_from(["train", "test"])), max_size=12
    )
)
def test_no_group_is_on_both_sides_or_smaller_than_necessary(
    drawn: list[tuple[str, str, str]],
) -> None:
    videos = [Video(f"{label}/{i}.avi", label, movie, side) for i, (label, movie, side) in enumerate(drawn)]
    divided, n_divided = divide_groups(videos)
    sides: dict[str, set[str]] = {}
    for video in divided:
        sides.setdefault(video.group, set()).add(video.split)
    assert all(len(found) == 1 for found in sides.values())
    assert [(v.path, v.label, v.split) for v in divided] == [(v.path, v.label, v.split) for v in videos]
    movies_on_both_sides = {movie for movie in "mn" if len({side for _, m, side in drawn if m == movie}) > 1}
    assert n_divided == sum(movie in movies_on_both_sides for _, movie, _ in drawn)
    for video in divided:
        sides_of_class = {
            v.split for v in videos if (v.label, v.group) == (video.label, videos[divided.index(video)].group)
        }
        assert (video.group == video.path) == (len(sides_of_class) > 1)


@pytest.mark.slow
def test_the_pipeline_uses_the_official_split(splits: Path, tmp_path: Path) -> None:
    root = tmp_path / "hmdb51_org"
    make_videos(root, splits)
    done = run(root, splits, 2)
    assert done.returncode == 0, done.stderr
    assert "split 2, 7 videos (train 4, test 3), 6 groups; 2 videos of movies" in done.stdout
    with (root / "videos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "group", "split"]

    project = make_project(tmp_path / "project", **{"data.source": "folder", "data.path": str(root)})
    downloaded = run_stage_script(project, "download")
    assert downloaded.returncode == 0, downloaded.stderr
    assert "1 video not in videos.csv" in downloaded.stdout
    assert run_stage_script(project, "extract_frames").returncode == 0
    assert run_stage_script(project, "manifest").returncode == 0
    with (project / "data/frames/videos.csv").open(newline="") as file:
        found = {(row["video"], row["label"], row["group"], row["split"]) for row in csv.DictReader(file)}
    assert found == {tuple(row.values()) for row in rows}


def test_split_1_is_the_default(splits: Path, tmp_path: Path) -> None:
    make_videos(tmp_path / "v", splits)
    assert "split 1, 8 videos" in run(tmp_path / "v", splits).stdout


def test_missing_videos_are_reported_and_nothing_is_written(splits: Path, tmp_path: Path) -> None:
    make_videos(tmp_path / "v", splits)
    (tmp_path / "v/sit/sit_down_sit_u_nm_np1_ri_med_1.avi").unlink()
    done = run(tmp_path / "v", splits)
    assert done.returncode == 1
    assert "1 of 8 videos are missing: sit/sit_down_sit_u_nm_np1_ri_med_1.avi" in done.stderr
    assert not (tmp_path / "v/videos.csv").exists()


@pytest.mark.parametrize("line", ["a_sit_u_nm_np1_ba_goo_0.avi 3", "a_sit_u_nm_np1_ba_goo_0.avi", "1"])
def test_a_line_of_another_format_is_reported(tmp_path: Path, line: str) -> None:
    (tmp_path / "sit_test_split1.txt").write_text(f"a_sit_u_nm_np1_ba_goo_1.avi 1\n{line}\n")
    with pytest.raises(UserError, match=rf"sit_test_split1\.txt: line 2: '{line}' does not have the form"):
        read_splits(tmp_path, 1)


def test_a_folder_without_split_files_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no CLASS_test_split3\.txt"):
        read_splits(tmp_path, 3)


@pytest.mark.parametrize("arguments", [(), ("a",), ("a", "b", "4"), ("a", "b", "1", "c")])
def test_wrong_arguments_are_reported(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: python -m mofore.videos.hmdb51 VIDEOS SPLITS [1|2|3]: give")
    assert len(done.stderr.splitlines()) == 1
