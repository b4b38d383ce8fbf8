"""Signals that ask long work to save what it has done and to stop."""

import signal
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Ctrl-C; a cluster's or a system's end; SLURM's warning


class StopSignals:
    """Within this context the first stop signal is only noted, in `received`; a second one acts as it did before."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.signal(number, self._note) for number in STOPPING}
        return self

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, *_: object) -> None:
        self._restore()


def leave_stopping_to_the_parent(_: int = 0) -> None:
    """For processes that help another one: Ctrl-C and clusters signal them too, but it needs them to come to its end.

    SIGTERM still ends them: it is what a parent ends its helpers with.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
