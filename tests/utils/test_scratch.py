"""Scratch folders: one run at a time may lock them, and they are deleted when they are no longer needed."""

import errno
import fcntl
import multiprocessing
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.utils import scratch as module
from mofore.utils.scratch import delete_if_idle, folder_until_done, keyed_folder, locked, scratch, try_lock
from tests.helpers.processes import has_locked, needs_proc, wait_until


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_scratch_is_in_the_original_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert scratch("download") == tmp_path / ".scratch/download"
    monkeypatch.setenv("DVC_ROOT", "original")
    assert scratch("download") == tmp_path / "original/.scratch/download"
    assert not names(tmp_path)


def test_a_run_that_waits_says_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tries: list[int] = []

    def between() -> None:
        tries.append(1)
        if len(tries) == 3:
            first.__exit__(None, None, None)

    first = try_lock(tmp_path)
    assert first.__enter__()
    with locked(tmp_path, "working", between):
        assert len(tries) == 3
    expected = f"another run is working: waiting for it, to use its result ({tmp_path})\n"
    assert capsys.readouterr().err == expected


def test_only_one_process_at_a_time_has_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "new/folder"
    with try_lock(folder) as first, try_lock(folder) as second:
        assert (first, second) == (True, False)
    with locked(folder, "working"), try_lock(folder) as second:
        assert not second


def test_a_file_system_without_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UserError, match=r"cannot lock files \(Function not implemented\)"), locked(tmp_path, ""):
        pass


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


FRESH = multiprocessing.get_context("spawn")  # a forked process would share this one's locks


def work_if_there_is_none(folder: Path, name: str, log: Path) -> None:
    """Make `result` in the folder, unless it is there already. Logs what it did."""
    module.POLL_SECONDS = 0.02
    with folder_until_done(folder, "working"):
        if (folder / "result").exists():
            done = "took"
        else:
            (folder / "result").touch()
            done = "made"
        with log.open("a") as file:
            file.write(f"{name} {done}\n")


@needs_proc
@pytest.mark.parametrize("waiting", [1, 3])
def test_runs_that_need_the_same_wait_and_take_the_result(waiting: int, tmp_path: Path) -> None:
    folder, log = tmp_path / "folder", tmp_path / "log"
    others = [
        FRESH.Process(target=work_if_there_is_none, args=(folder, f"other {index}", log)) for index in range(waiting)
    ]
    with folder_until_done(folder, "working"):
        for other in others:
            other.start()
        wait_until(lambda: all(waits(folder, other) for other in others))
        (folder / "result").touch()
    for other in others:
        other.join(300)
        assert other.exitcode == 0
    assert sorted(log.read_text().splitlines()) == [f"other {index} took" for index in range(waiting)]
    assert not folder.exists(), "the last run deletes the folder"


def waits(folder: Path, process: "multiprocessing.process.BaseProcess") -> bool:
    """Whether a process has locked the file `waiting`. From then on, the folder is not deleted."""
    assert process.pid
    return has_locked(process.pid, folder / "waiting")


def test_what_a_stopped_run_left_is_found_by_the_run_that_waits(tmp_path: Path) -> None:
    folder, log = tmp_path / "folder", tmp_path / "log"
    other = FRESH.Process(target=work_if_there_is_none, args=(folder, "other", log))
    with suppress(ZeroDivisionError), folder_until_done(folder, "working"):
        other.start()
        wait_until((folder / "waiting").exists)
        raise ZeroDivisionError
    other.join(300)
    assert log.read_text() == "other made\n"


def test_a_folder_that_a_run_waits_for_is_not_deleted_by_others(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with try_lock(folder):
        pass
    with (folder / "waiting").open("wb") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_SH)
        assert not delete_if_idle(folder)
    assert folder.exists()
    assert delete_if_idle(folder)
    assert not folder.exists()
