"""Writing files, and the check of free disk space."""

import errno
import json
import shutil
from collections import namedtuple
from pathlib import Path

import pandas as pd
import pytest

from mofore.errors import UserError
from mofore.utils.files import need_space, write_csv, write_json, writing

Usage = namedtuple("Usage", "total used free")


def test_writing_creates_the_folder_and_replaces_the_content(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/file.bin"
    for content in (b"a long first content", b"short"):
        with writing(path) as file:
            file.write(content)
        assert path.read_bytes() == content


def test_writing_can_modify_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"abcdef")
    with writing(path, "r+b") as file:
        file.seek(2)
        file.write(b"XY")
    assert path.read_bytes() == b"abXYef"


def test_a_failed_write_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, writing(tmp_path / "a.bin"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as file.write does: without a name
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a.bin")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_failed_close_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"a\.bin") as caught, writing(tmp_path / "a.bin") as file:
        file.write(b"buffered, so that only closing the file writes it")
    assert caught.value.errno == errno.ENOSPC


def test_an_error_that_already_names_a_file_keeps_that_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, writing(tmp_path / "a.bin"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


def test_write_json_leaves_the_file_alone_to_which_the_old_one_was_linked(tmp_path: Path) -> None:
    cached, path = tmp_path / "cached.json", tmp_path / "out.json"
    cached.write_text("{}")
    path.hardlink_to(cached)
    write_json(path, {"score": 0.5, "rows": [1, 2]})
    assert json.loads(path.read_text()) == {"score": 0.5, "rows": [1, 2]}
    assert path.read_text().startswith('{\n  "score"')
    assert path.read_bytes().endswith(b"}\n")
    assert cached.read_text() == "{}"


def test_write_csv_omits_the_index_and_formats_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": ["a,b", "c"], "score": [1 / 3, 2.0]}, index=[7, 8])
    write_csv(tmp_path / "a.csv", table, "%.3g")
    assert (tmp_path / "a.csv").read_bytes() == b'label,score\n"a,b",0.333\nc,2\n'
    write_csv(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_bytes() == b'label,score\n"a,b",0.3333333333333333\nc,2.0\n'


def test_need_space_says_how_much_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10e9, 8e9, 2_000_000_000))
    need_space(tmp_path, 2_000_000_000, "unpacking")
    with pytest.raises(UserError, match=r"unpacking needs 7\.0 GB, but 2\.0 GB are free .*: free 5\.0 GB more"):
        need_space(tmp_path, 7_000_000_000, "unpacking")
