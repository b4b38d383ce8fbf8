"""A file that hangs or crashes the decoder does not affect the other files."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path

import pytest

from mofore.config import Frames
from mofore.frames.child import end_child
from mofore.frames.outcome import Outcome
from mofore.frames.watchdog import write_pack
from tests.helpers.processes import decoders, has_ended, needs_proc, open_files, wait_until
from tests.helpers.video_files import write_video

pytestmark = needs_proc
Files = list[Path]


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    end_child()


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that takes one or two seconds to decode."""
    return write_video(tmp_path_factory.mktemp("long") / "long.avi", 2500, (320, 240))


@pytest.fixture
def three(tmp_path: Path, long_video: Path) -> Files:
    """A short video, a long one, a short one."""
    return [write_video(tmp_path / "0.avi", 3), long_video, write_video(tmp_path / "2.avi", 4)]


def undisturbed(files: Files, pack: Path) -> tuple[list[Outcome], bytes]:
    found = write_pack(pack, files, Frames(32, 0, 90), 60)
    end_child()
    return found, pack.read_bytes()


def disturbed(files: Files, pack: Path, disturb: Callable[[int], None], timeout: float, times: int) -> list[Outcome]:
    """Write a pack; for `times` children, call `disturb` with the child's process id during the long video."""

    def work() -> list[Outcome]:
        try:
            return write_pack(pack, files, Frames(32, 0, 90), timeout)
        finally:
            end_child()

    known: set[int] = set()
    with ThreadPoolExecutor(1) as pool:
        running: Future[list[Outcome]] = pool.submit(work)
        for _ in range(times):
            wait_until(lambda: bool(set(decoders(os.getpid())) - known))
            (child,) = set(decoders(os.getpid())) - known
            known.add(child)
            wait_until(lambda: str(pack) in open_files(child) and pack.stat().st_size > 50_000)  # noqa: B023
            disturb(child)
        return running.result(60)


def send(how: signal.Signals) -> Callable[[int], None]:
    return lambda child: os.kill(child, how)


@pytest.mark.slow
def test_a_single_crash_changes_nothing(three: Files, tmp_path: Path) -> None:
    wanted, data = undisturbed(three, tmp_path / "wanted")
    assert [one.status for one in wanted] == ["ok"] * 3
    pack = tmp_path / "pack"
    assert disturbed(three, pack, send(signal.SIGKILL), 60, times=1) == wanted
    assert pack.read_bytes() == data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "timeout", "times", "reason"),
    [
        pytest.param(signal.SIGSEGV, 60, 2, "the decoder crashed (signal 11, SIGSEGV)", id="two crashes"),
        pytest.param(signal.SIGSTOP, 5, 1, "no frame for 5 s, given up", id="hang"),
    ],
)
def test_a_hang_or_two_crashes_are_the_reason_and_affect_no_other_file(
    three: Files, tmp_path: Path, how: signal.Signals, timeout: float, times: int, reason: str
) -> None:
    wanted, data = undisturbed([three[0], three[2]], tmp_path / "wanted")
    pack = tmp_path / "pack"
    assert disturbed(three, pack, send(how), timeout, times) == [wanted[0], Outcome(reason=reason), wanted[1]]
    assert pack.read_bytes() == data


@pytest.mark.slow
def test_a_hang_at_the_end_leaves_no_frames_behind(three: Files, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    found = disturbed(three[:2], pack, send(signal.SIGSTOP), 5, times=1)
    assert pack.stat().st_size == sum(found[0].lengths)


def test_one_child_for_many_packs(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi")
    children = set()
    for _ in range(3):
        write_pack(tmp_path / "pack", [video], Frames(16, 0, 90), 60)
        children |= set(decoders(os.getpid()))
    assert len(children) == 1


def test_no_files_make_an_empty_pack(tmp_path: Path) -> None:
    assert write_pack(tmp_path / "pack", [], Frames(16, 0, 90), 60) == []
    assert (tmp_path / "pack").read_bytes() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_reported_with_the_pack(tmp_path: Path) -> None:
    pack = tmp_path / "pack-00000.bin"
    pack.symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(pack)) as raised:
        write_pack(pack, [write_video(tmp_path / "a.avi")], Frames(16, 0, 90), 60)
    assert raised.value.errno in (errno.ENOSPC, errno.EINVAL)  # EINVAL: /dev/full has no length


def test_the_child_ends_with_its_supervisor(three: Files, tmp_path: Path) -> None:
    code = "from pathlib import Path; from mofore.config import Frames; from mofore.frames.watchdog import write_pack; "
    code += f"write_pack(Path({str(tmp_path / 'p')!r}), [Path({str(three[1])!r})] * 50, Frames(32, 0, 90), 60)"
    with subprocess.Popen([sys.executable, "-c", code]) as supervisor:
        wait_until(lambda: bool(decoders(supervisor.pid)))
        (child,) = decoders(supervisor.pid)
        supervisor.kill()
    wait_until(lambda: has_ended(child))


def test_a_child_that_starts_without_a_supervisor_prints_nothing() -> None:
    supervisor_end, child_end = Pipe()
    code = f"from mofore.frames.child import serve; serve({child_end.fileno()})"
    supervisor_end.close()
    with child_end:
        command = [sys.executable, "-c", code]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[child_end.fileno()])
    # Its stdin stays open, so it ends because of its closed pipe.
    assert child.stderr
    with child, child.stderr as said:
        assert said.read() == b""
        assert child.wait(30) == 1


@pytest.mark.slow
def test_each_thread_has_its_own_child(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", 300, (320, 240))
    found: dict[int, list[Outcome]] = {}

    def work(number: int) -> None:
        found[number] = write_pack(tmp_path / str(number), [video] * 3, Frames(16, 0, 90), 60)
        end_child()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
