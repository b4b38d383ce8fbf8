"""Finds processes, and waits for conditions."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until a condition holds; fail after `seconds`, which are many, since machines may be slow or busy."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition was still false after {seconds} seconds"
        time.sleep(0.01)


def heed_signals() -> None:
    """In a new process: heed the signals that a shell lets background jobs ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def descendants(pid: int) -> list[int]:
    """Return the ids of all child processes of a process, and of their children."""
    found: list[int] = []
    for task in _list(f"/proc/{pid}/task"):
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # the process has just ended
        for child in children:
            found += [child, *descendants(child)]
    return found


def _list(folder: str) -> list[Path]:
    """What is in a folder of a process; nothing if the process has just ended."""
    try:
        return list(Path(folder).iterdir())
    except OSError:
        return []


def decoders(pid: int) -> list[int]:
    """Return the ids of the decoder processes among a process's descendants."""
    return [child for child in descendants(pid) if "mofore.frames.child" in _command(child)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def has_ended(pid: int) -> bool:
    """Return whether a process has ended. A zombie, for which no parent has waited yet, has ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def has_locked(pid: int, path: Path) -> bool:
    """Return whether a process holds an flock on a file."""
    for link in _list(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if link.readlink() == path and "FLOCK" in Path(f"/proc/{pid}/fdinfo/{link.name}").read_text():
                return True
    return False


def open_files(pid: int) -> list[str]:
    """Return the targets of a process's open file descriptors."""
    files = []
    for link in _list(f"/proc/{pid}/fd"):
        with suppress(OSError):
            files.append(str(link.readlink()))
    return files
