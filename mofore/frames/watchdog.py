"""Decode videos in a child process, so that a video that hangs or crashes the decoder affects no other video.

The supervisor keeps one child process per thread and gives it the files of one pack at a time. The child sends a result
after each file, and heartbeats while it decodes frames. A child that sends nothing for too long is killed. If a child
was killed or crashed, a new child continues after the last finished file.
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

from mofore.config import Frames
from mofore.frames.outcome import Outcome
from mofore.utils.files import writing

HEARTBEAT_SECONDS = 0.3  # seconds between heartbeats; below the smallest timeout, 1 second
START_TIMEOUT = 300.0  # seconds for a child to import its modules; long, for slow disks
_thread = threading.local()


class ChildLostError(Exception):
    """The child hung or died; the message says which."""


def write_pack(pack: Path, files: list[Path], frames: Frames, timeout: float) -> list[Outcome]:
    """Write the frames of some video files into one pack, in the order of the files.

    Args:
        pack: the file to write.
        files: absolute paths; they need not exist or be videos.
        frames: size, quality and frame rate of the stored frames.
        timeout: seconds without a frame after which a file is given up.

    Returns:
        The outcome of each file. If the decoder crashes twice or hangs on a file, its outcome has no frames and gives
        that as the reason.

    Raises:
        OSError: the pack cannot be written; the error has its name.
        RuntimeError: a child does not start, or its own code fails.
    """
    outcomes: list[Outcome] = []
    with writing(pack):
        pass
    end = crashes = 0
    while len(outcomes) < len(files):
        child = _child()
        try:
            for outcome in child.decode(pack, end, files[len(outcomes) :], frames, timeout):
                outcomes.append(outcome)
                end += sum(outcome.lengths)
                crashes = 0
        except TimeoutError:
            outcomes.append(Outcome(reason=f"no frame for {timeout:g} s, given up"))
        except ChildLostError as lost:
            crashes += 1
            if crashes == 2:  # a single crash may have another cause, such as lack of memory or a kill
                outcomes.append(Outcome(reason=str(lost)))
                crashes = 0
    os.truncate(pack, end)  # if the last file was given up, its frames are still in the pack
    return outcomes


def _child() -> "_Child":
    child: _Child | None = getattr(_thread, "child", None)
    if child is None or not child.is_alive():
        child = _thread.child = _Child()
    return child


def end_child() -> None:
    """Kill this thread's child process, if it has one."""
    child: _Child | None = _thread.__dict__.pop("child", None)
    if child is not None:
        child.kill()


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Block SIGINT in this thread. Processes that are started inside keep it blocked for their lifetime.

    Ctrl-C then interrupts only the stage itself, which stops its processes in order.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Child:
    """The supervisor's side of one child process."""

    def __init__(self) -> None:
        self._pipe, child_end = Pipe()
        library = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-c", f"from mofore.frames.watchdog import serve; serve({child_end.fileno()})"]
        with sigint_blocked(), child_end:
            self._process = subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, pass_fds=[child_end.fileno()]
            )
        try:
            self._receive(START_TIMEOUT)
        except (TimeoutError, ChildLostError) as error:
            raise RuntimeError(f"the decoder process does not start: {error}") from None

    def decode(self, pack: Path, end: int, files: list[Path], frames: Frames, timeout: float) -> Iterator[Outcome]:
        """Cut a pack to its first `end` bytes, append the frames of some files, and yield the outcome of each.

        Raises:
            TimeoutError: the child hangs at the file after the last one yielded.
            ChildLostError: the child crashed at that file.
            OSError: the pack cannot be written; the error has its name.
            RuntimeError: the child's own code failed; the message has its traceback.
        """
        try:
            self._send((pack, end, files, frames))
            for _ in files:
                answer = None
                while answer is None:  # None is a heartbeat
                    answer = self._receive(timeout)
                if isinstance(answer, str):
                    raise RuntimeError(f"in the decoder process: {answer}")
                if isinstance(answer, OSError):
                    raise answer
                yield answer
        except BaseException:
            self.kill()  # the child may still be decoding; the next request needs a new one
            raise

    def _send(self, request: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the child has ended: _receive raises the error
            self._pipe.send(request)

    def _receive(self, timeout: float) -> Outcome | OSError | str | None:
        try:
            if not self._pipe.poll(timeout):
                raise TimeoutError(f"silent for {timeout:g} s")
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            status = self._process.wait()
            how = f"signal {-status}, {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            raise ChildLostError(f"the decoder crashed ({how})") from None

    def is_alive(self) -> bool:
        return self._process.poll() is None and not self._pipe.closed

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._pipe.close()


def serve(pipe: int) -> None:
    """Run the child process: import the decoder, then write packs as the supervisor requests them.

    Args:
        pipe: file descriptor of the child's end of the pipe.
    """
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    from mofore.frames.opencv import configure_opencv

    configure_opencv()
    connection = Connection(pipe)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)  # decoders print details there; the reason that decode.py returns is enough
    with contextlib.suppress(ConnectionError):  # the supervisor has ended
        connection.send(None)
        while True:
            try:
                _serve_one(connection, *connection.recv())
            except OSError as error:
                connection.send(error)
            except Exception:
                connection.send(traceback.format_exc())
    os._exit(1)


def _serve_one(connection: Connection, pack: Path, end: int, files: list[Path], frames: Frames) -> None:
    from mofore.frames.decode import decode_video

    last_sent = time.monotonic()

    def heartbeat() -> None:
        nonlocal last_sent
        if time.monotonic() - last_sent > HEARTBEAT_SECONDS:
            last_sent = time.monotonic()
            connection.send(None)

    with writing(pack, "r+b") as out:
        out.truncate(end)
        out.seek(end)
        for file in files:
            start = out.tell()
            try:
                outcome = decode_video(file, out, frames, heartbeat)
            except OSError:
                raise  # the pack cannot be written
            except Exception as error:  # any error of a decoder affects this file only
                out.seek(start)
                out.truncate()
                outcome = Outcome(reason=f"the decoder failed ({type(error).__name__}: {error})")
            out.flush()  # a file reported as done must be in the pack even if a later file crashes the child
            connection.send(outcome)


def _end_with_supervisor() -> None:
    """Exit when the supervisor ends, even by kill -9: nothing is written to stdin, so reading it ends only then."""
    sys.stdin.buffer.read()
    os._exit(1)
