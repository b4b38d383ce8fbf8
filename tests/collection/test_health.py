"""Health names the videos that cannot be used or teach nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mofore.collection.health import EMPTY, STATIC, Health, common_folder, health, short_names
from mofore.collection.table import VIDEO, WINDOW, make_part, write_table
from mofore.errors import UserError
from tests.helpers.collections import RECIPE, write_collection

GOOD = {"motion": 5.0, "contrast": 40.0, "status": "ok", "reason": ""}


def write(path: Path, videos: dict[str, dict[str, Any]]) -> None:
    """A table of videos of 36 s; a video without motion has no embedding."""
    parts = []
    for number, (file, found) in enumerate(videos.items()):
        values = {"file": file, "kind": VIDEO, "start_s": 0.0, "end_s": 36.0, "picture": None, "frames": 900}
        values |= {"fps": 25.0, "width": 320, "height": 240, "size": 1, "modified": 1} | found
        x_1D = None if found["motion"] is None else np.full((1, 4), number, np.float32)
        parts.append(make_part({name: [value] for name, value in values.items()}, x_1D, [None]))
        if x_1D is not None:
            parts.append(
                make_part({name: [value] for name, value in (values | {"kind": WINDOW}).items()}, x_1D, [None])
            )
    write_table(path, RECIPE, parts)


@pytest.fixture
def ill(tmp_path: Path) -> Health:
    unusable = {"motion": None, "contrast": None, "status": "unreadable"}
    write(
        tmp_path / "t.parquet",
        {
            "/v/a/good.mp4": GOOD,
            "/v/a/black.mp4": GOOD | {"motion": 0.0, "contrast": 0.9},
            "/v/a/frozen.mp4": GOOD | {"motion": 0.2},
            "/v/b/cut.mp4": GOOD | {"status": "truncated", "reason": "cut off: 51 of 131 frames decoded"},
            "/v/b/text.mp4": unusable | {"reason": "not a video"},
            "/v/b/short.mp4": unusable | {"reason": "shorter than a clip of 25 frames"},
        },
    )
    return health(tmp_path / "t.parquet")


def test_names_what_is_wrong(ill: Health) -> None:
    assert ill.videos == 6
    assert ill.hours == pytest.approx(0.04)
    assert ill.not_embedded == {
        "/v/b/text.mp4": "not a video",
        "/v/b/short.mp4": "shorter than a clip of 25 frames",
    }
    assert ill.truncated == {"/v/b/cut.mp4": "cut off: 51 of 131 frames decoded"}
    assert ill.empty == ["/v/a/black.mp4"]
    assert ill.static == ["/v/a/frozen.mp4"], "a near-empty video is not counted twice"


def test_prints_a_line_for_each_kind(ill: Health) -> None:
    lines = ill.lines()
    assert lines[0] == "6 videos, 2.4 minutes"
    assert lines[1].startswith("2 videos not embedded: ")
    assert "text.mp4 (not a video)" in lines[1]
    assert lines[2] == "1 truncated video: b/cut.mp4 (cut off: 51 of 131 frames decoded)"
    assert lines[3].endswith(": a/black.mp4")
    assert f"below {EMPTY:g} gray levels" in lines[3]
    assert lines[4].endswith(": a/frozen.mp4")
    assert f"below {STATIC:g} gray levels" in lines[4]
    assert lines[5:] == ["no near-duplicates"]


def test_is_written_as_json(ill: Health) -> None:
    found = json.loads(json.dumps(ill.as_json()))
    assert found["videos"] == 6
    assert found["near_empty"] == ["/v/a/black.mp4"]
    assert found["not_embedded"]["/v/b/text.mp4"] == "not a video"


def test_a_sound_collection_says_so(tmp_path: Path) -> None:
    write_collection(tmp_path / "t.parquet", ["/v/a.mp4", "/v/b.mp4"], np.eye(2, dtype=np.float32), windows=2)
    lines = health(tmp_path / "t.parquet").lines()
    assert lines[0] == "2 videos, 0.1 minutes"
    assert lines[1].startswith("nothing wrong found")


def test_finds_near_duplicates(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    for file, content in zip(files, (b"same", b"same", b"other"), strict=True):
        file.write_bytes(content)
    write_collection(tmp_path / "t.parquet", list(map(str, files)), np.eye(3, dtype=np.float32), windows=2)
    assert health(tmp_path / "t.parquet").duplicates == [(str(files[0]), str(files[1]))]


def test_near_duplicates_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", {"/v/a.mp4": GOOD, "/v/b.mp4": GOOD})
    found = health(tmp_path / "t.parquet", duplicates=False)
    assert found.duplicates is None
    assert found.as_json()["near_duplicates"] is None
    assert "duplicate" not in found.lines()[1]


def test_counts_near_duplicates() -> None:
    pairs = [("/v/a.mp4", "/v/b.mp4"), ("/v/a.mp4", "/v/c.mp4")]
    found = Health(4, 1.0, {}, {}, [], [], pairs)
    assert found.lines() == ["4 videos, 1.0 hours", "2 pairs of near-duplicates, among 3 videos"]
    assert found.as_json()["near_duplicates"] == [["/v/a.mp4", "/v/b.mp4"], ["/v/a.mp4", "/v/c.mp4"]]


def test_all_unreadable(tmp_path: Path) -> None:
    write_collection(tmp_path / "t.parquet", [], np.empty((0, 4), np.float32), unreadable=["/v/a.mp4"])
    assert health(tmp_path / "t.parquet").lines() == [
        "1 video, 0.0 minutes",
        "1 video not embedded: a.mp4 (not a video)",
        "no near-duplicates",
    ]


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        health(tmp_path / "t.parquet")


def test_names_within_the_common_folder() -> None:
    files = ["/v/a/x.mp4", "/v/a/b/x.mp4"]
    assert common_folder(files) == "/v/a"
    assert list(short_names(files).values()) == ["x.mp4", "b/x.mp4"]
    assert common_folder([]) == ""
