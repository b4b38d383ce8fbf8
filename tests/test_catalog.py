"""The catalog: written and read back, and the folder of its videos."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore.catalog import Video, read_catalog, video_root, write_catalog
from mofore.config import Params
from mofore.errors import UserError, run_stage

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
VIDEOS = st.lists(st.builds(Video, TEXT, st.just("") | TEXT, TEXT, st.sampled_from(["train", "test"])), max_size=5)


@pytest.mark.slow
@given(VIDEOS)
def test_any_names_survive_writing_and_reading(tmp_path_factory: pytest.TempPathFactory, videos: list[Video]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    write_catalog(videos, path)
    assert read_catalog(path) == sorted(videos, key=lambda video: video.path)


def test_missing_catalog_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"videos\.csv: no such file: run the stage download"):
        read_catalog(tmp_path / "videos.csv")


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
        write_catalog([Video("a.mp4", "", "a", "train")], full)
    assert raised.value.errno == errno.ENOSPC
    with pytest.raises(SystemExit, match="1"):
        run_stage(lambda: write_catalog([Video("a.mp4", "", "a", "train")], full))
    assert capsys.readouterr().err == (
        f"error: no space left on the device writing {full}: free some space and run `dvc repro` again\n"
    )
