"""Finding and awaiting processes in tests."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has just ended
        for child in children:
            found += [child, *descendants(child)]
    return found


def decoders(pid: int) -> list[int]:
    """The decoder processes below a process."""
    return [child for child in descendants(pid) if "mofore.frames.watchdog" in _command(child)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def gone(pid: int) -> bool:
    """Whether a process has ended, be it buried or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def open_files(pid: int) -> list[str]:
    """What a process has open."""
    files = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            files.append(str(link.readlink()))
    return files
