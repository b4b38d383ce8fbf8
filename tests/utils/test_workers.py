"""Worker processes: their number, their results, and their end."""

import multiprocessing
import os
import threading
import time

import pytest
from joblib import delayed

from mofore.utils.workers import backend, in_processes, worker_count
from tests.helpers.processes import descendants, needs_proc, wait_until


def square(number: int) -> tuple[int, int]:
    """The square, and the process that computed it."""
    time.sleep(0.02 * (3 - number % 3))  # later calls may end before earlier ones
    return number**2, os.getpid()


def fail_at(number: int, bad: int) -> int:
    if number == bad:
        raise ValueError(f"bad number {number}")
    return number


def test_worker_count() -> None:
    assert worker_count(0) == 0
    assert worker_count(3) == 3
    assert 1 <= worker_count(-1) <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_one_worker_per_core_that_this_process_may_use() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert worker_count(-1) == 1
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("workers", [0, 1])
def test_without_workers_this_process_does_the_work(workers: int) -> None:
    results = list(in_processes((delayed(square)(n) for n in range(4)), workers))
    assert results == [(n**2, os.getpid()) for n in range(4)]


@needs_proc
def test_results_keep_their_order_and_the_workers_end() -> None:
    before = set(descendants(os.getpid()))
    results = list(in_processes((delayed(square)(n) for n in range(8)), 2))
    assert [value for value, _ in results] == [n**2 for n in range(8)]
    processes = {pid for _, pid in results}
    assert os.getpid() not in processes
    wait_until(lambda: not processes & set(descendants(os.getpid())))
    assert not processes & before
    assert not [thread for thread in threading.enumerate() if thread.name == "QueueFeederThread"]


@needs_proc
def test_an_error_comes_out_and_the_workers_end() -> None:
    before = set(descendants(os.getpid()))
    with pytest.raises(ValueError, match="bad number 2"):
        list(in_processes((delayed(fail_at)(n, 2) for n in range(6)), 2))
    tracker = multiprocessing.resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    wait_until(lambda: len(set(descendants(os.getpid())) - before - {tracker}) <= 1)  # Loky's resource tracker stays


def test_threads_take_the_place_of_processes_that_cannot_share(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(30, "Read-only file system")

    assert backend() == "loky"
    monkeypatch.setattr(multiprocessing, "Lock", fail)
    assert backend() == "threading"
    assert list(in_processes((delayed(square)(n) for n in range(6)), 2)) == [(n**2, os.getpid()) for n in range(6)]
