"""Scratch folders for files that must survive a killed run, such as checkpoints. One run at a time locks a folder.

The folders are in `$DVC_ROOT/.scratch`. DVC sets DVC_ROOT to the original repository even when it runs a stage in a
temporary copy, so all runs share the folders. They are not outputs of a stage, so DVC does not delete them before a
run.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from mofore.errors import UserError

LOCK = "lock"  # name of the lock file in each folder


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
    lock = _lock(folder)
    with lock or nullcontext():
        yield lock is not None


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Create a folder and lock it.

    Args:
        folder: the folder to lock.
        doing: the work done under this lock, for the error message ("downloading UCF101").

    Raises:
        UserError: another run has the lock.
        OSError: the folder or its lock file cannot be created; `filename` is set.
    """
    with try_lock(folder) as acquired:
        if not acquired:
            raise UserError(f"{folder}: another run is {doing}: wait for it to end, or stop it")
        yield


@contextmanager
def folder_until_done(folder: Path, doing: str) -> Iterator[None]:
    """Lock a folder as `locked` does, and delete it at the end unless the block raised an exception."""
    with locked(folder, doing):
        yield
        _delete(folder)


@contextmanager
def keyed_folder(above: Path, key: str, doing: str) -> Iterator[Path]:
    """Lock the folder `above/key`, and delete it at the end unless the block raised an exception.

    The folders of other keys are deleted at the start, except those that a run has locked.

    Args:
        above: contains the folders of all keys and no other folders.
        key: identifies everything that the folder's content depends on, for example a hash of the parameters.
        doing: the work done under this lock, for the error message.

    Yields:
        The folder.

    Raises:
        UserError: another run has the lock.
        OSError: the folder or its lock file cannot be created; `filename` is set.
    """
    folder = above / key
    with folder_until_done(folder, doing):
        for other in above.iterdir():
            if other != folder and other.is_dir():
                delete_if_idle(other)
        yield folder


def _lock(folder: Path) -> BinaryIO | None:
    """Return the locked file, or None if another process has the lock."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # The process that holds the lock may delete the folder between any two of these steps. Then try again.
        with suppress(FileNotFoundError), ExitStack() as closing:
            file = closing.enter_context((folder / LOCK).open("ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if os.fstat(file.fileno()).st_nlink:  # the locked file was not deleted in the meantime
                closing.pop_all()
                return file


def delete_if_idle(folder: Path) -> bool:
    """Delete a folder unless a run has locked it. Returns whether the folder was unlocked."""
    with try_lock(folder) as idle:
        if idle:
            _delete(folder)
        return idle


def _delete(folder: Path) -> None:
    """Delete a folder that this process has locked.

    The lock file is deleted last. From then on, another run may lock the folder again, and rmdir fails, as it should.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / LOCK).unlink()
        folder.rmdir()
