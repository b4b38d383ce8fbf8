"""The catalog: written and read back, and the folder of its videos."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.catalog import Video, VideoFile, read_video_list, video_root, write_video_list, write_video_table
from mofore.config import Params
from mofore.errors import UserError, run_stage

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
FILES = st.lists(st.builds(VideoFile, TEXT, st.integers(0, 2**40), st.text("0123456789abcdef")), max_size=5)


@pytest.mark.slow
@given(FILES)
def test_any_names_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, files: list[VideoFile]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    write_video_list(files, path)
    assert read_video_list(path) == sorted(files, key=lambda file: file.path)


def test_the_list_is_a_new_file(tmp_path: Path) -> None:
    """DVC links its cache into the workspace; the cached file must not change."""
    (tmp_path / "cache").write_text("cached")
    (tmp_path / "files.csv").hardlink_to(tmp_path / "cache")
    write_video_list([VideoFile("a.mp4", 1, "0")], tmp_path / "files.csv")
    assert (tmp_path / "cache").read_text() == "cached"


def test_missing_list_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"files\.csv: no such file: run the stage download"):
        read_video_list(tmp_path / "files.csv")


def test_video_root_is_the_users_folder_or_the_downloaded_one(params: Params) -> None:
    params.data.path = "somewhere/else"
    params.data.source = "folder"
    assert video_root(params.data) == Path("somewhere/else")
    params.data.source = "demo"
    assert video_root(params.data) == Path("data/raw/videos")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported_in_one_line_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "videos.csv"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(full)) as raised:
        write_video_table([Video("a.mp4", "", "a", "train")], full)
    assert raised.value.errno == errno.ENOSPC
    with pytest.raises(SystemExit, match="1"):
        run_stage(lambda: write_video_table([Video("a.mp4", "", "a", "train")], full))
    assert capsys.readouterr().err == (
        f"error: no space left on the device writing {full}: free some space and run `dvc repro` again\n"
    )
