"""Handles the signals that ask a long run to save its state and stop."""

import signal
import threading
import time
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Ctrl-C; shutdown or scheduler; SLURM's early warning
DUPLICATE_SECONDS = 3.0  # a SIGINT within this time may be the same Ctrl-C, forwarded by the launcher


class StopSignals:
    """Context manager that records the first stop signal in `received` and lets the program continue.

    A later Ctrl-C raises KeyboardInterrupt, so that a user can stop at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._received_at = 0.0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():  # others cannot set handlers
            self._previous = {number: signal.signal(number, self._record) for number in STOP_SIGNALS}
        return self

    def _record(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received, self._received_at = signal.Signals(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._received_at > DUPLICATE_SECONDS:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def ignore_stop_signals(_: int = 0) -> None:
    """Ignore SIGINT and SIGUSR1 in a worker process.

    Ctrl-C and schedulers signal workers too, but their parent needs them until it has saved its state. SIGTERM still
    ends a worker, because parents use it for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
