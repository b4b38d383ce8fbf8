"""Signals that ask long work to save what it has done and to stop."""

import signal
import threading
import time
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Ctrl-C; a cluster's or a system's end; SLURM's warning
DUPLICATE_SECONDS = 3.0  # seconds in which the same Ctrl-C may come again, sent on by a launcher that got it, too


class StopSignals:
    """Within this context a stop signal is only noted, in `received`. Who cannot wait presses Ctrl-C once more."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received, self._at = signal.Signals(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._at > DUPLICATE_SECONDS:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def ignore_stop_signals(_: int = 0) -> None:
    """For processes that help another one: Ctrl-C and clusters signal them too, but it needs them to come to its end.

    SIGTERM still ends them: it is what a parent ends its helpers with.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
