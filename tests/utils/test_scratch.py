"""Scratch folders: one run at a time may lock them, and they are deleted when they are no longer needed."""

import fcntl
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.utils.scratch import keyed_folder, locked, scratch, try_lock


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_scratch_is_in_the_original_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert scratch("download") == tmp_path / ".scratch/download"
    monkeypatch.setenv("DVC_ROOT", "original")
    assert scratch("download") == tmp_path / "original/.scratch/download"
    assert not names(tmp_path)


def test_only_one_process_at_a_time_has_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "new/folder"
    with try_lock(folder) as first:
        with try_lock(folder) as second:
            assert (first, second) == (True, False)
        with (
            pytest.raises(UserError, match=f"^{folder}: another run is working: wait for it to end, or stop it$"),
            locked(folder, "working"),
        ):
            pass
    with locked(folder, "working"), try_lock(folder) as second:
        assert not second


def test_the_lock_of_a_killed_process_is_released(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from mofore.utils.scratch import try_lock\n"
    code += "with try_lock(Path(sys.argv[1])) as acquired: print(acquired, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        with try_lock(tmp_path) as acquired:
            assert not acquired
        other.kill()
    with try_lock(tmp_path) as acquired:
        assert acquired


def test_an_error_inside_is_raised_and_the_lock_is_released(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"), locked(tmp_path, "working"):
        (tmp_path / "gone").open()
    with try_lock(tmp_path) as acquired:
        assert acquired


def test_a_lock_file_deleted_before_it_is_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, folder = fcntl.flock, tmp_path / "folder"

    def slow(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        shutil.rmtree(folder)  # as the process that held the lock does just before releasing it
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with try_lock(folder) as acquired:
        assert acquired
        assert names(folder) == ["lock"]
        with try_lock(folder) as second:
            assert not second


def test_keyed_folder_is_deleted_on_success_and_kept_after_an_error(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), keyed_folder(tmp_path, "key", "working") as folder:
        (folder / "deep").mkdir()
        (folder / "deep/file").touch()
        raise ZeroDivisionError
    with keyed_folder(tmp_path, "key", "working") as folder:
        assert folder == tmp_path / "key"
        assert names(folder) == ["deep", "lock"]
        with pytest.raises(UserError, match="key: another run is working"), keyed_folder(tmp_path, "key", "working"):
            pass
    assert not names(tmp_path)


def test_folders_of_other_keys_are_deleted_unless_a_run_has_locked_them(tmp_path: Path) -> None:
    for key in ("old", "busy"):
        (tmp_path / key).mkdir()
    (tmp_path / "stray").touch()
    with keyed_folder(tmp_path, "busy", "working"), keyed_folder(tmp_path, "new", "working"):
        assert names(tmp_path) == ["busy", "new", "stray"]


def test_a_folder_that_another_run_locks_during_deletion_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmdir = Path.rmdir

    def slow(folder: Path) -> None:
        (folder / "lock").touch()  # as another run that locks the folder does
        rmdir(folder)

    monkeypatch.setattr(Path, "rmdir", slow)
    with keyed_folder(tmp_path, "key", "working"):
        pass
    assert names(tmp_path) == ["key"]
