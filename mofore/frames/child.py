"""A child process that does work which may hang or crash, such as decoding a damaged video.

Each thread has one child at a time. It sends answers while it works, and heartbeats in between. A child that sends
nothing for too long is killed. The next work then gets a new one.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mofore.errors import UserError

HEARTBEAT_SECONDS = 0.3  # seconds between heartbeats; below the smallest timeout, 1 second
START_TIMEOUT = 300.0  # seconds for a child to import its modules; long, for slow disks
_thread = threading.local()


class ChildLostError(Exception):
    """The child died; the message says how."""


class Done:
    """What a child sends after its last answer."""


class Reply:
    """The child's side: how the function that works there tells what it has found."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._last = connection, time.monotonic()

    def answer(self, value: object) -> None:
        """Send an answer."""
        self._last = time.monotonic()
        self._connection.send(value)

    def heartbeat(self, value: object = None) -> None:
        """Tell that work goes on; to be called often. Now and then `value` is sent as an answer, unless it is None."""
        if time.monotonic() - self._last > HEARTBEAT_SECONDS:
            self.answer(value)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Tell that work goes on while the block runs. The block sends nothing itself."""
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(HEARTBEAT_SECONDS):
                self.answer(None)

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def work_in_child(function: Callable[..., None], *args: Any, timeout: float) -> Iterator[Any]:
    """Call `function(reply, *args)` in this thread's child process, and yield the answers that it sends.

    Args:
        function: of a module, so that it can be sent; it answers by the `Reply` that it gets.
        args: can be pickled, like its answers, which are neither None nor text.
        timeout: seconds without a sign of life after which the child is killed.

    Raises:
        TimeoutError: the child hangs.
        ChildLostError: the child crashed.
        OSError, UserError: `function` raised it.
        RuntimeError: the child does not start, or `function` failed; the message has its traceback.
    """
    return _child().work(function, args, timeout)


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
        command = [sys.executable, "-P", "-c", f"from mofore.frames.child import serve; serve({child_end.fileno()})"]
        with sigint_blocked(), child_end:
            self._process = subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, pass_fds=[child_end.fileno()]
            )
        try:
            self._receive(START_TIMEOUT)
        except (TimeoutError, ChildLostError) as error:
            raise RuntimeError(f"the decoder process does not start: {error}") from None

    def work(self, function: Callable[..., None], args: tuple[Any, ...], timeout: float) -> Iterator[Any]:
        """See `work_in_child`."""
        try:
            self._send((function, args))
            while not isinstance(answer := self._receive(timeout), Done):
                if isinstance(answer, str):
                    raise RuntimeError(f"in the decoder process: {answer}")
                if isinstance(answer, OSError | UserError):
                    raise answer
                if answer is not None:  # None is a heartbeat
                    yield answer
        except BaseException:
            self.kill()  # the child may still be working; the next request needs a new one
            raise

    def _send(self, request: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the child has ended: _receive raises the error
            self._pipe.send(request)

    def _receive(self, timeout: float) -> Any:
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
    """Run the child process: import what decodes, then work as the supervisor requests.

    Args:
        pipe: file descriptor of the child's end of the pipe.
    """
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    import mofore.frames.probe  # noqa: F401 # with PyAV, which takes time to load
    from mofore.frames.opencv import configure_opencv

    configure_opencv()
    connection = Connection(pipe)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)  # decoders print details there; the reason that decode.py returns is enough
    with contextlib.suppress(ConnectionError):  # the supervisor has ended
        connection.send(None)
        while True:
            request, reply = connection.recv_bytes(), Reply(connection)
            with reply.busy():  # loading what the work needs takes seconds on a busy machine
                function, args = pickle.loads(request)
            try:
                function(reply, *args)
                connection.send(Done())
            except ConnectionError:
                raise
            except (OSError, UserError) as error:
                connection.send(error)
            except Exception:
                connection.send(traceback.format_exc())
    os._exit(1)


def _end_with_supervisor() -> None:
    """Exit when the supervisor ends, even by kill -9: nothing is written to stdin, so reading it ends only then."""
    sys.stdin.buffer.read()
    os._exit(1)
