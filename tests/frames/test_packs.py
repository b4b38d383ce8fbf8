"""Finished packs are reused, their key covers what they depend on, and leftovers are deleted."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from mofore.config import Frames
from mofore.frames.child import end_child
from mofore.frames.packs import Pack, read_sidecar, scratch_folder, scratch_key
from tests.helpers.video_files import write_video


def test_a_finished_pack_is_not_made_again(tmp_path: Path) -> None:
    pack = Pack(
        tmp_path / "pack-00000.bin", [write_video(tmp_path / "a.avi", 5), tmp_path / "gone.avi"], Frames(16, 0, 90), 60
    )
    pack.make()
    end_child()
    outcomes = read_sidecar(pack.target)
    assert [(one.status, len(one.lengths)) for one in outcomes] == [("ok", 5), ("unreadable", 0)]
    assert sum(outcomes[0].lengths) == pack.target.stat().st_size
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.avi", "pack-00000.bin", "pack-00000.json"]
    pack.target.write_bytes(b"as it was")
    pack.make()
    assert pack.target.read_bytes() == b"as it was"
    pack.target.with_suffix(".json").unlink()  # as after a kill between the two files
    pack.make()
    end_child()
    assert pack.target.stat().st_size == sum(outcomes[0].lengths)


def test_key_covers_all_that_the_bytes_depend_on(tmp_path: Path) -> None:
    file = write_video(tmp_path / "a.avi")
    keys = [scratch_key([file], "params"), scratch_key([file], "other"), scratch_key([tmp_path / "gone"], "params")]
    os.utime(file, ns=(1, 1))
    keys.append(scratch_key([file], "params"))
    assert len(set(keys)) == 4
    assert scratch_key([file], "params") == keys[3]


def test_parts_of_a_killed_run_are_deleted_and_packs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with suppress(ZeroDivisionError), scratch_folder("key") as folder:
        (folder / "pack-00000.bin").touch()
        (folder / "pack-00001.x-1.part").touch()
        raise ZeroDivisionError
    with scratch_folder("key") as folder:
        assert sorted(file.name for file in folder.iterdir()) == ["lock", "pack-00000.bin"]
