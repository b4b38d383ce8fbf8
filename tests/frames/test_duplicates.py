"""Copies are found by their bytes, not by their names."""

import os
from pathlib import Path

from mofore.frames.duplicates import find_copies


def test_copies_and_links_are_found_and_others_are_not(tmp_path: Path) -> None:
    contents = {"a": b"one", "b": b"two", "c": b"one", "d": b"one!", "empty": b"", "empty too": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "dangling").symlink_to("gone")
    os.mkfifo(tmp_path / "pipe")
    files = [tmp_path / name for name in (*contents, "link", "dangling", "pipe", "missing")]
    assert [(files[first].name, files[later].name) for first, later in find_copies(files)] == [
        ("a", "c"),
        ("b", "link"),
    ]
