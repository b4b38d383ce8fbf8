"""Files are hashed by their bytes, and copies are found by them, not by their names."""

import os
from pathlib import Path

import pytest

from mofore.catalog import VideoFile
from mofore.videos.hashes import find_copies, hash_files

CONTENTS = {"a": b"one", "b": b"two", "c": b"one", "d": b"one!", "empty": b"", "empty too": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_copies_and_links_are_found_and_others_are_not(folder: Path) -> None:
    (folder / "link").symlink_to("b")
    (folder / "dangling").symlink_to("gone")
    os.mkfifo(folder / "pipe")
    files = hash_files(folder, [*CONTENTS, "link", "dangling", "pipe", "missing"], workers=2)
    assert find_copies(files) == [("a", "c"), ("b", "link")]
    assert [file.path for file in files if not file.size] == ["empty", "empty too", "dangling", "pipe", "missing"]


def test_hashes_do_not_depend_on_workers_and_change_with_the_bytes(folder: Path) -> None:
    one, many = (hash_files(folder, list(CONTENTS), workers) for workers in (0, 4))
    assert one == many
    assert one[0] == VideoFile("a", 3, one[0].blake2b)
    (folder / "a").write_bytes(b"eno")
    changed = hash_files(folder, ["a"], 1)[0]
    assert changed.size == 3
    assert changed.blake2b != one[0].blake2b
