"""Scratch folders for files that must survive a killed run, such as checkpoints. One run at a time locks a folder.

Other runs that need the same folder wait for it. They go on with what they find there: all of the work if the first run
has finished it, part of it if that run was stopped.

The folders are in `$DVC_ROOT/.scratch`. DVC sets DVC_ROOT to the original repository even when it runs a stage in a
temporary copy, so all runs share the folders. They are not outputs of a stage, so DVC does not delete them before a
run.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from mofore.errors import UserError
from mofore.utils.progress import tell

LOCK = "lock"  # name of the lock file in each folder
WAITING = "waiting"  # name of the file that waiting runs lock together
POLL_SECONDS = 1.0  # time between two attempts to lock a folder


def scratch(name: str) -> Path:
    """Return the absolute path of the scratch folder `name`. The folder may not exist yet."""
    return Path(os.environ.get("DVC_ROOT", "."), ".scratch", name).absolute()


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Create a folder and try to lock it. Yields whether this succeeded; False means that another process has the lock.

    The lock is an flock on the file `lock` in the folder. The system releases it when the process ends, even by a kill.

    Raises:
        OSError: the folder or its lock file cannot be created; `filename` is set.
    """
    lock = _lock(folder, LOCK, fcntl.LOCK_EX)
    with lock or nullcontext():
        yield lock is not None


def poll() -> None:
    """What a waiting run does between two attempts to lock a folder: sleep."""
    time.sleep(POLL_SECONDS)


@contextmanager
def locked(folder: Path, doing: str, between: Callable[[], None] = poll) -> Iterator[None]:
    """Create a folder and lock it. If another run has the lock, print a line and wait for it.

    Args:
        folder: the folder to lock.
        doing: the work done under this lock, for the message ("downloading UCF101").
        between: is called between two attempts to lock it.

    Raises:
        OSError: the folder or its lock file cannot be created; `filename` is set.
    """
    lock = _lock(folder, LOCK, fcntl.LOCK_EX)
    if lock is None:
        tell(f"another run is {doing}: waiting for it, to use its result ({folder})")
        lock = _wait_for_lock(folder, between)
    with lock:
        yield


@contextmanager
def folder_until_done(folder: Path, doing: str, between: Callable[[], None] = poll) -> Iterator[None]:
    """Lock a folder as `locked` does. Delete it at the end, unless the block raised an exception or a run waits."""
    with locked(folder, doing, between):
        yield
        _delete(folder)


@contextmanager
def keyed_folder(above: Path, key: str, doing: str) -> Iterator[Path]:
    """Lock the folder `above/key`, and delete it at the end unless the block raised an exception.

    The folders of other keys are deleted at the start, except those that a run has locked.

    Args:
        above: contains the folders of all keys and no other folders.
        key: identifies everything that the folder's content depends on, for example a hash of the parameters.
        doing: the work done under this lock, for the message.

    Yields:
        The folder.

    Raises:
        OSError: the folder or its lock file cannot be created; `filename` is set.
    """
    folder = above / key
    with folder_until_done(folder, doing):
        for other in above.iterdir():
            if other != folder and other.is_dir():
                delete_if_idle(other)
        yield folder


def _wait_for_lock(folder: Path, between: Callable[[], None]) -> BinaryIO:
    """Wait for the lock. Meanwhile hold a shared lock on the file `waiting`, so that the folder is not deleted."""
    waiting = None
    try:
        while True:
            if waiting is None or not os.fstat(waiting.fileno()).st_nlink:
                waiting = _lock(folder, WAITING, fcntl.LOCK_SH)
            between()
            if lock := _lock(folder, LOCK, fcntl.LOCK_EX):
                return lock
    finally:
        if waiting:
            waiting.close()


def _lock(folder: Path, name: str, how: int) -> BinaryIO | None:
    """Create a folder and lock a file in it; None if another process has a lock that forbids that."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # The process that holds the lock may delete the folder between any two of these steps. Then try again.
        with suppress(FileNotFoundError), ExitStack() as closing:
            file = closing.enter_context((folder / name).open("ab"))
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError as error:  # of some network file systems
                raise UserError(
                    f"{folder}: this file system cannot lock files ({error.strerror}): work in a folder on another one"
                ) from None
            if os.fstat(file.fileno()).st_nlink:  # the locked file was not deleted in the meantime
                closing.pop_all()
                return file


def delete_if_idle(folder: Path) -> bool:
    """Delete a folder unless a run has locked it or waits for it. Returns whether it was deleted."""
    with try_lock(folder) as idle:
        return idle and _delete(folder)


def _delete(folder: Path) -> bool:
    """Delete a folder that this process has locked, unless a run waits for it. Returns whether it was deleted.

    The lock file is deleted last. From then on, another run may lock the folder again, and rmdir fails, as it should.
    """
    nobody_waits = _lock(folder, WAITING, fcntl.LOCK_EX)
    if nobody_waits is None:
        return False
    with nobody_waits, suppress(OSError):
        for path in folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / LOCK).unlink()
        folder.rmdir()
    return True
