"""Folders of a training side of which a third is held out."""

from pathlib import Path

import pytest

from mofore.catalog import Video, write_video_table
from mofore.config import Params
from mofore.errors import UserError
from mofore.experiments.held_out import held_out_folder, third_of
from mofore.videos.folder import read_folder


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def make_set(folder: Path, groups: int = 8) -> Path:
    """Two videos a group; groups 0 and 1 are for testing."""
    rows = []
    for number in range(2 * groups):
        path = f"{'ab'[number % 2]}/v{number}.mp4"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(f"video {number}".encode())
        rows.append(Video(path, "", f"g{number // 2}", "test" if number < 4 else "train"))
    write_video_table(rows, folder / "videos.csv")
    return folder


def test_each_group_of_the_training_side_is_held_out_once(project: Path, params: Params) -> None:
    made = make_set(project / "set")
    held_out: list[str] = []
    for seed in (1, 2, 3):
        folder = held_out_folder(str(made), third_of(seed), params)
        listed = read_folder(folder).videos
        assert len(listed) == 12
        for video in listed:
            assert (folder / video.path).read_bytes() == (made / video.path).read_bytes()
        held_out += sorted({video.group for video in listed if video.split == "test"})
        assert not {v.group for v in listed if v.split == "test"} & {v.group for v in listed if v.split == "train"}
    assert sorted(held_out) == [f"g{number}" for number in range(2, 8)], "the test side, g0 and g1, is not there"


def test_the_folder_is_the_same_for_the_same_videos_only(project: Path, params: Params) -> None:
    made = make_set(project / "set")
    folder = held_out_folder(str(made), 1, params)
    params.embed.spread = 0
    assert held_out_folder(str(made), 1, params) == held_out_folder(str(made), third_of(4), params) == folder
    (made / "videos.csv").write_text((made / "videos.csv").read_text().replace('"g7"', '"g6"'))
    assert held_out_folder(str(made), 1, params) != folder


def test_a_folder_that_was_not_finished_is_made_again(project: Path, params: Params) -> None:
    made = make_set(project / "set")
    folder = held_out_folder(str(made), 1, params)
    (folder / "videos.csv").unlink()
    (folder / "a/v4.mp4").unlink()
    assert held_out_folder(str(made), 1, params) == folder
    assert (folder / "a/v4.mp4").read_bytes() == b"video 4"


def test_too_few_groups_are_an_error(project: Path, params: Params) -> None:
    made = make_set(project / "set", groups=4)
    with pytest.raises(UserError, match="set: its training side has less than 3 groups"):
        held_out_folder(str(made), 1, params)


def test_the_demo_is_drawn_once(params: Params) -> None:
    params.demo.groups, params.demo.clips = 4, 1
    folder = held_out_folder("demo", 1, params)
    listed = read_folder(folder).videos
    assert [video.split for video in listed].count("train") == 28
    assert [video.split for video in listed].count("test") == 14
    drawn = (folder / listed[0].path).resolve()
    before = drawn.stat().st_mtime_ns
    assert held_out_folder("demo", 2, params) != folder
    assert drawn.stat().st_mtime_ns == before
