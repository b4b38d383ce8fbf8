"""Stop signals are recorded; only a second Ctrl-C stops the program at once."""

import signal
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from mofore.runtime.signals import DUPLICATE_SECONDS, STOP_SIGNALS, StopSignals, ignore_stop_signals


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in STOP_SIGNALS]


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_recorded_and_the_program_continues(number: signal.Signals) -> None:
    before = handlers()
    with StopSignals() as signals:
        assert signals.received is None
        signal.raise_signal(number)
        assert signals.received is number
    assert handlers() == before


def test_handlers_are_restored_after_an_error() -> None:
    before = handlers()
    with suppress(ZeroDivisionError), StopSignals():
        assert handlers() != before
        raise ZeroDivisionError
    assert handlers() == before


def test_the_first_signal_counts() -> None:
    with StopSignals() as signals:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            signal.raise_signal(number)
        assert signals.received is signal.SIGUSR1


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_stops_at_once_unless_it_is_a_duplicate(
    first: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with StopSignals() as signals:
        signal.raise_signal(first)
        now += 0.9 * DUPLICATE_SECONDS
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # which would end pytest
            pytest.fail("a duplicate counted as a second Ctrl-C")
        now += 0.2 * DUPLICATE_SECONDS
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signals.received is first


def test_handlers_are_set_in_the_main_thread_only() -> None:
    before, inside, errors = handlers(), [], []

    def work() -> None:
        try:
            with StopSignals() as signals:
                inside.extend(handlers())
            assert signals.received is None
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (inside, handlers(), errors) == (before, before, [])


def test_workers_ignore_stop_signals_except_sigterm() -> None:
    with StopSignals() as signals:  # restores the handlers
        ignore_stop_signals()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGUSR1)
        assert signals.received is None
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
