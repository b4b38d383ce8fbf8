"""Outputs replace earlier ones only when they are complete, and never the user's own files."""

from pathlib import Path

import pytest

from mofore.collection.output import check_folder, check_not_read, check_output, check_page, replacing
from mofore.errors import UserError
from tests.helpers.video_files import bound_by_permissions


def test_an_earlier_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("earlier")
    with pytest.raises(UserError, match="full"), replacing(path) as file:  # noqa: PT012 # half of it is written before
        file.write(b"half")
        raise UserError("full")
    assert path.read_text() == "earlier"
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_the_user_are_refused(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label")
    (tmp_path / "folder.csv").mkdir()
    check_output(tmp_path / "new.csv", ".csv", labels)
    for path, message in (
        (tmp_path / "clip.mp4", "give a name that ends in .csv"),
        (tmp_path / "folder.csv", "is a folder"),
        (labels, "is read and would be overwritten"),
    ):
        with pytest.raises(UserError, match=message):
            check_output(path, ".csv", labels)


def test_pages_of_others_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    check_page(page)
    page.write_text("<!doctype html><title>mine</title>")
    with pytest.raises(UserError, match=r"page.html: exists and is no page that mofore wrote"):
        check_page(page)


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    check_folder(tmp_path / "new/newer")
    with pytest.raises(UserError, match=f"{tmp_path}/file is no folder"):
        check_folder(tmp_path / "file/new")
    (tmp_path / "closed").mkdir(mode=0o555)
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions(), pytest.raises(UserError, match=r"no permission to write in closed"):
        check_output(Path("closed/x.csv"), ".csv")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "closed"}


def test_an_input_that_may_not_be_looked_up_is_none_to_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a folder that may be listed but not entered."""
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions():
        Path("listed").mkdir()
        Path("listed/v.avi").touch()
        Path("t.parquet").touch()
        Path("listed").chmod(0o444)
        check_not_read(Path("t.parquet"), [Path("listed/v.avi")])
        with pytest.raises(UserError, match="is read and would be overwritten"):
            check_not_read(Path("t.parquet"), [Path("listed/v.avi"), Path("t.parquet")])
        Path("listed").chmod(0o755)
