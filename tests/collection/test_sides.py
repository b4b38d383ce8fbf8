"""Sides of a split: what is read, what is said of videos and paths that have no counterpart, and bad input."""

from pathlib import Path

import pytest

from mofore.collection.sides import find_sides
from mofore.errors import UserError

FILES = ["/v/a.mp4", "/v/b.mp4"]


def test_paths_and_videos_without_counterpart_are_counted(tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("path,split\na.mp4,train\nb.mp4,test\nx/b2.mp4,test\n")
    sides, notes = find_sides(split, [*FILES, "/v/c.mp4", "/v/d.mp4"])
    assert sides == {"/v/a.mp4": "train", "/v/b.mp4": "test", "/v/c.mp4": "", "/v/d.mp4": ""}
    assert notes == [
        f"{split}: 1 path is not in the table, so leaks of these go unseen: x/b2.mp4 (line 4)",
        "2 videos of the table are on no side of the split: /v/c.mp4, /v/d.mp4",
    ]
    split.write_text("path,split\na.mp4,train\nb.mp4,test\n")
    assert find_sides(split, FILES)[1] == []


def test_of_folders_the_innermost_counts() -> None:
    files = ["/v/a.mp4", "/v/test/b.mp4", "/w/c.mp4"]
    sides, notes = find_sides([Path("/v"), Path("/v/test")], files)
    assert sides == dict(zip(files, ["/v", "/v/test", ""], strict=True))
    assert notes == ["1 video of the table is on no side of the split: /w/c.mp4"]


def test_bad_splits_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "no-split.csv").write_text("path,label\na.mp4,x\n")
    (tmp_path / "others.csv").write_text("path,split\nz.mp4,train\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "half.csv").write_text("path,split\n/v/a.mp4,train\n/elsewhere/b2.mp4,test\n")
    (tmp_path / "both.csv").write_text("path,split\n/v/a.mp4,train\n/v/b.mp4,train\na.mp4,test\n")
    bad: list[tuple[Path | list[Path], str]] = [
        (tmp_path / "none.csv", "none.csv: no such file"),
        (tmp_path / "no-split.csv", "columns are 'path, label', but path and split are needed"),
        (tmp_path / "others.csv", "others.csv: names none of the videos"),
        (tmp_path / "empty.csv", "empty.csv: is empty"),
        (tmp_path / "both.csv", "line 4: 'a.mp4' has split 'test', but 'train' in line 2"),
        (tmp_path / "half.csv", "names only videos of 'train' of the table, but a split has two sides"),
        ([Path("/v"), Path("/w")], "names only videos of '/v'"),
        (tmp_path, "is one folder, but a split has two sides"),
        ([tmp_path], "give two different folders"),
        ([tmp_path / "x", tmp_path / "y"], "x, .*y: names none of the videos"),
    ]
    for splits, message in bad:
        with pytest.raises(UserError, match=message) as caught:
            find_sides(splits, FILES)
        assert "\n" not in str(caught.value)
