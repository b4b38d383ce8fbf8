"""Folders below `$DVC_ROOT/.scratch` for what outlives a killed run, each locked by the one run that works in it.

DVC sets DVC_ROOT to the repository even where it runs in a temporary copy, so all runs share these folders. They are
no outputs, so DVC does not remove them before a run.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from mofore.errors import UserError

LOCK = "lock"


def scratch(name: str) -> Path:
    """Absolute path of the scratch folder of this name, which may not exist yet."""
    return Path(os.environ.get("DVC_ROOT", "."), ".scratch", name).absolute()


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Make a folder and hold its lock, the file `lock` in it; yield False if another process has it.

    A process that dies loses its locks.

    Raises:
        OSError: folder or lock cannot be made; carries the name.
    """
    lock = _lock(folder)
    with lock or nullcontext():
        yield lock is not None


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Make a folder and hold its lock.

    Args:
        folder: to be locked.
        doing: what a run that holds it does, for the message ("downloading UCF101").

    Raises:
        UserError: another run holds it.
        OSError: folder or lock cannot be made; carries the name.
    """
    with try_lock(folder) as mine:
        if not mine:
            raise UserError(f"{folder}: another run is {doing}: wait for it to end, or stop it")
        yield


@contextmanager
def folder_until_done(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder as `locked` does; delete it if all goes well."""
    with locked(folder, doing):
        yield
        _delete(folder)


@contextmanager
def keyed_folder(above: Path, key: str, doing: str) -> Iterator[Path]:
    """Hold the folder of a key, `above/key`; delete it if all goes well. Those of other keys go if no run holds them.

    Args:
        above: holds the folders of all keys, and no others.
        key: stands for all that the content of its folder depends on.
        doing: as for `locked`.

    Raises:
        UserError: another run holds it.
        OSError: folder or lock cannot be made; carries the name.
    """
    folder = above / key
    with folder_until_done(folder, doing):
        for other in above.iterdir():
            if other != folder and other.is_dir():
                delete_if_idle(other)
        yield folder


def _lock(folder: Path) -> BinaryIO | None:
    """The locked file; None if another process has it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # Whoever holds the lock may delete folder and file between any two of these steps: then once more.
        with suppress(FileNotFoundError), ExitStack() as closing:
            file = closing.enter_context((folder / LOCK).open("ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if os.fstat(file.fileno()).st_nlink:
                closing.pop_all()
                return file


def delete_if_idle(folder: Path) -> bool:
    """Delete a folder unless a run holds it; returns whether it did."""
    with try_lock(folder) as idle:
        if idle:
            _delete(folder)
        return idle


def _delete(folder: Path) -> None:
    """Delete a folder whose lock is held, the lock last: from there on, the folder may be another run's."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / LOCK).unlink()
        folder.rmdir()
