"""Runs on one machine use different GPUs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mofore.errors import UserError
from mofore.runtime.gpu_lock import lock_free_gpu

NAMES = ("GPU-a", "GPU-b")
HOLD = """
import sys
from mofore.runtime import gpu_lock
gpu_lock.POLL_SECONDS = 0.05
print(gpu_lock.lock_free_gpu(tuple(sys.argv[1:])), flush=True)
sys.stdin.read()
"""
Run = subprocess.Popen[str]


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Run]]:
    """A function that starts a process; it locks a GPU, prints the index, and exits when its stdin is closed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    started: list[Run] = []

    def start() -> Run:
        pipe = subprocess.PIPE
        run = subprocess.Popen([sys.executable, "-c", HOLD, *NAMES], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(run)
        return run

    yield start
    for run in started:
        run.kill()
        run.communicate()


def number(run: Run) -> int:
    assert run.stdout
    return int(run.stdout.readline())


@pytest.mark.slow
@pytest.mark.parametrize("end", ["ends", "killed"])
def test_a_third_run_waits_until_a_gpu_is_free(end: str, hold: Callable[[], Run]) -> None:
    runs = [hold(), hold()]
    numbers = [number(run) for run in runs]
    assert sorted(numbers) == [0, 1]

    third = hold()
    assert third.stderr
    assert third.stderr.readline() == "all GPUs (2) are in use by other runs of mofore: waiting for one to be free\n"
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(0.3)
    if end == "killed":
        runs[1].kill()
    else:
        runs[1].communicate()
    assert number(third) == numbers[1]
    assert third.communicate()[1] == "", "the message is printed once"


def test_a_process_that_asks_again_has_the_same_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = "from mofore.runtime.gpu_lock import lock_free_gpu as lock; print(lock(('GPU-a',)), lock(('GPU-a',)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("0 0\n", "")


def test_a_released_gpu_is_used_again(hold: Callable[[], Run]) -> None:
    first = hold()
    assert number(first) == 0
    assert number(hold()) == 1
    first.communicate()
    assert number(hold()) == 0


def test_locks_are_in_the_users_own_folder(tmp_path: Path, hold: Callable[[], Run]) -> None:
    assert number(hold()) == 0
    assert sorted(file.name for file in (tmp_path / "mofore/gpus").iterdir()) == ["GPU-a.lock"]


def test_no_place_for_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"no place for the locks of GPUs, Not a directory: set .* XDG_CACHE_HOME"):
        lock_free_gpu(NAMES)
