"""A scratch folder has one user at a time, and goes when it is of no more use."""

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


def test_lock_is_of_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new/folder"
    with try_lock(folder) as first:
        with try_lock(folder) as second:
            assert (first, second) == (True, False)
        with (
            pytest.raises(UserError, match=f"^{folder}: another run is at it: wait for it to end, or stop it$"),
            locked(folder, "at it"),
        ):
            pass
    with locked(folder, "at it"), try_lock(folder) as second:
        assert not second


def test_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from mofore.utils.scratch import try_lock\n"
    code += "with try_lock(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        with try_lock(tmp_path) as mine:
            assert not mine
        other.kill()
    with try_lock(tmp_path) as mine:
        assert mine


def test_an_error_inside_comes_out(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"), locked(tmp_path, "at it"):
        (tmp_path / "gone").open()
    with try_lock(tmp_path) as mine:
        assert mine


def test_a_lock_removed_in_between_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock, folder = fcntl.flock, tmp_path / "folder"

    def slow(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        shutil.rmtree(folder)  # as the process does that has held it, before it lets go
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with try_lock(folder) as mine:
        assert mine
        assert names(folder) == ["lock"]
        with try_lock(folder) as second:
            assert not second


def test_keyed_folder_goes_when_all_is_well_and_stays_when_not(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), keyed_folder(tmp_path, "key", "at it") as folder:
        (folder / "deep").mkdir()
        (folder / "deep/file").touch()
        raise ZeroDivisionError
    with keyed_folder(tmp_path, "key", "at it") as folder:
        assert folder == tmp_path / "key"
        assert names(folder) == ["deep", "lock"]
        with pytest.raises(UserError, match="key: another run is at it"), keyed_folder(tmp_path, "key", "at it"):
            pass
    assert not names(tmp_path)


def test_other_keys_go_unless_a_run_is_at_them(tmp_path: Path) -> None:
    for key in ("old", "busy"):
        (tmp_path / key).mkdir()
    (tmp_path / "stray").touch()
    with keyed_folder(tmp_path, "busy", "at it"), keyed_folder(tmp_path, "new", "at it"):
        assert names(tmp_path) == ["busy", "new", "stray"]


def test_a_folder_taken_over_while_it_is_deleted_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rmdir = Path.rmdir

    def slow(folder: Path) -> None:
        (folder / "lock").touch()  # as another run does
        rmdir(folder)

    monkeypatch.setattr(Path, "rmdir", slow)
    with keyed_folder(tmp_path, "key", "at it"):
        pass
    assert names(tmp_path) == ["key"]
