"""Decoding in a child process, so that a video that hangs or crashes its decoder costs no more than itself.

The supervisor keeps one child a thread and gives it the files of one pack at a time. The child answers after each
file, and at least every second while frames come. One that is silent for too long is killed; after a death the next
child goes on behind the last finished file.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from mofore.frames.outcome import Outcome
from mofore.utils.files import writing

HEARTBEAT_SECONDS = 1.0  # seconds between signs of life
START_TIMEOUT = 300.0  # seconds for a child to import its modules, on however slow a disk
_thread = threading.local()


class ChildLostError(Exception):
    """The child hung or died; the message says which."""


def write_pack(pack: Path, files: list[Path], short_side: int, quality: int, stall: float) -> list[Outcome]:
    """Write the frames of some video files into one pack, in order.

    Args:
        pack: the file to write.
        files: absolute paths, of whatever they hold.
        short_side: pixels of the stored images' shorter side.
        quality: of the JPEG images, 1-100.
        stall: seconds without a frame after which a file is given up.

    Returns:
        What became of each file. One that crashes its decoder twice, or hangs it, has this as its reason.

    Raises:
        OSError: the pack cannot be written; carries its name.
    """
    found: list[Outcome] = []
    with writing(pack):
        pass
    end = crashes = 0
    while len(found) < len(files):
        child = _child()
        try:
            for one in child.decode(pack, end, files[len(found) :], short_side, quality, stall):
                found.append(one)
                end += sum(one.lengths)
                crashes = 0
        except TimeoutError:
            found.append(Outcome(reason=f"no frame for {stall:g} s, given up"))
        except ChildLostError as lost:
            crashes += 1
            if crashes == 2:  # once may be bad luck: memory ran out, somebody killed it
                found.append(Outcome(reason=str(lost)))
                crashes = 0
    os.truncate(pack, end)  # a file given up at last leaves its frames behind
    return found


def _child() -> "_Child":
    child: _Child | None = getattr(_thread, "child", None)
    if child is None or not child.lives():
        child = _thread.child = _Child()
    return child


def end_child() -> None:
    """End this thread's child, if there is one."""
    child: _Child | None = _thread.__dict__.pop("child", None)
    if child is not None:
        child.kill()


@contextlib.contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Processes started in here inherit this for good: Ctrl-C reaches the stage alone, in one piece."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Child:
    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        library = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-c", f"from mofore.frames.watchdog import serve; serve({theirs.fileno()})"]
        with ctrl_c_held_back(), theirs:
            self._process = subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()]
            )
        try:
            self._receive(START_TIMEOUT)
        except (TimeoutError, ChildLostError) as error:
            raise RuntimeError(f"the decoder does not start: {error}") from None

    def decode(
        self, pack: Path, end: int, files: list[Path], short_side: int, quality: int, stall: float
    ) -> Iterator[Outcome]:
        """Append the frames of some files to the first `end` bytes of a pack; yield what became of each.

        Raises:
            TimeoutError, ChildLostError: at the file after the last yielded one.
        """
        try:
            self._send((pack, end, files, short_side, quality))
            for _ in files:
                answer = None
                while answer is None:  # a sign of life
                    answer = self._receive(stall)
                if isinstance(answer, str):
                    raise RuntimeError(f"in the decoder: {answer}")
                if isinstance(answer, OSError):
                    raise answer
                yield answer
        except BaseException:
            self.kill()  # it is in the middle of something
            raise

    def _send(self, request: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # _receive says why
            self._pipe.send(request)

    def _receive(self, patience: float) -> Outcome | OSError | str | None:
        try:
            if not self._pipe.poll(patience):
                raise TimeoutError(f"silent for {patience:g} s")
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            status = self._process.wait()
            how = f"signal {-status}, {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            raise ChildLostError(f"the decoder crashed ({how})") from None

    def lives(self) -> bool:
        return self._process.poll() is None and not self._pipe.closed

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._pipe.close()


def serve(pipe: int) -> None:
    """The child's whole life: import what decodes, then write packs as they are asked for.

    Args:
        pipe: file descriptor of its end of the supervisor's pipe.
    """
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    from mofore.frames.decode import quiet_and_single_threaded

    quiet_and_single_threaded()
    connection = Connection(pipe)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # decoders chatter of what decode._incomplete says better
    with contextlib.suppress(ConnectionError):  # the supervisor is gone
        connection.send(None)
        while True:
            try:
                _serve_one(connection, *connection.recv())
            except OSError as error:
                connection.send(error)
            except Exception:
                connection.send(traceback.format_exc())
    os._exit(1)


def _serve_one(connection: Connection, pack: Path, end: int, files: list[Path], short_side: int, quality: int) -> None:
    from mofore.frames.decode import decode_video

    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > HEARTBEAT_SECONDS:
            last = time.monotonic()
            connection.send(None)

    with writing(pack, "r+b") as out:
        out.truncate(end)
        out.seek(end)
        for file in files:
            start = out.tell()
            try:
                one = decode_video(file, out, short_side, quality, alive)
            except OSError:
                raise  # of the pack
            except Exception as error:  # whatever a decoder may throw: no file stops the others
                out.seek(start)
                out.truncate()
                one = Outcome(reason=f"the decoder failed ({type(error).__name__}: {error})")
            out.flush()  # what is told as done lies in the file, should a later one crash
            connection.send(one)


def _end_with_supervisor() -> None:
    """Nothing is ever written to stdin: it ends when the supervisor does, be it by kill -9."""
    sys.stdin.buffer.read()
    os._exit(1)
