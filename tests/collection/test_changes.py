"""What is new, changed or gone, on disks that are not there and in folders that may not be searched."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mofore.collection.changes import NEVER, is_gone, is_new, known_stamps, stamp_of
from tests.helpers.collections import write_collection
from tests.helpers.video_files import bound_by_permissions


def test_a_deleted_video_is_gone_but_not_with_all_of_its_folder(tmp_path: Path) -> None:
    video = tmp_path / "disk" / "a.avi"
    assert not is_gone(video), "no folder"
    video.parent.mkdir()
    assert not is_gone(video), "an empty folder, where a disk may be mounted"
    (video.parent / "b.avi").touch()
    assert is_gone(video)
    video.symlink_to("nowhere")
    assert not is_gone(video)


@pytest.mark.parametrize("mode", [0, 0o400])
def test_nothing_is_gone_or_new_in_a_folder_that_may_not_be_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.chdir(tmp_path)
    video = Path("disk/a.avi")
    with bound_by_permissions():
        video.parent.mkdir()
        video.touch()
        known = {str(video): stamp_of(video) or NEVER}
        video.parent.chmod(mode)
        assert not is_gone(video)
        assert not is_gone(Path("disk/b.avi"))
        assert stamp_of(video) is None
        assert not is_new(video, known), "its row stays as it is"
        assert is_new(video, {str(video): NEVER})
        assert is_new(video, {})


def test_a_changed_video_is_new(tmp_path: Path) -> None:
    (tmp_path / "a.avi").touch()
    known = {str(tmp_path / "a.avi"): stamp_of(tmp_path / "a.avi") or NEVER}
    assert not is_new(tmp_path / "a.avi", known)
    (tmp_path / "a.avi").write_bytes(b"x")
    assert is_new(tmp_path / "a.avi", known)


@pytest.mark.parametrize(
    ("reason", "passes"),
    [
        ("Input/output error", True),
        ("Stale file handle", True),
        ("Permission denied", True),
        ("the decoder crashed (signal 9, SIGKILL)", True),
        ("the decoder failed (MemoryError: )", True),
        ("no frame for 60 s, given up", True),
        ("the decoder failed (ValueError: Input/output error)", False),
        ("shorter than a clip of 25 frames", False),
    ],
)
def test_reasons_that_may_pass_and_all_of_them_when_asked(tmp_path: Path, reason: str, passes: bool) -> None:
    table = tmp_path / "t.parquet"
    write_collection(table, ["/good.avi"], np.ones((1, 4), np.float32), windows=2, unreadable=["/bad.avi"])
    rows = pq.read_table(table)
    reasons = [reason if name == "/bad.avi" else "" for name in rows["file"].to_pylist()]
    number = rows.column_names.index("reason")
    pq.write_table(rows.set_column(number, rows.schema.field("reason"), [reasons]), table)
    assert known_stamps(table) == {"/good.avi": (1000, 1), "/bad.avi": NEVER if passes else (10, 1)}
    assert known_stamps(table, again=True) == {"/good.avi": (1000, 1), "/bad.avi": NEVER}
    assert known_stamps(tmp_path / "none.parquet") == {}
