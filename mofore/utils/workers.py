"""Runs work in worker processes (joblib with Loky), and ends them afterwards."""

import multiprocessing
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from mofore.utils.limits import usable_cores

QUEUE_FEEDER_TIMEOUT = 10.0  # seconds; an upper limit, since Loky's queue feeder threads end within milliseconds


def worker_count(workers: int) -> int:
    """Return the number of processes for a value of `runtime.workers`: -1 means one per core this process may use."""
    return workers if workers >= 0 else usable_cores()


def backend() -> str:
    """Joblib's backend for local work: `loky`, processes; or `threading` where processes cannot share semaphores.

    That is so where /dev/shm is read-only or missing, as in some containers.
    """
    try:
        multiprocessing.Lock()
    except OSError:
        return "threading"
    return "loky"


def in_processes(jobs: Iterable[Any], workers: int) -> Iterator[Any]:
    """Run calls in worker processes, or in threads where `backend` says so.

    Args:
        jobs: calls made with joblib's `delayed`.
        workers: number of processes; with 0 or 1, all calls run in this process.

    Yields:
        The results, in the order of the calls.
    """
    from joblib import Parallel  # imported here because most stages need only `worker_count`

    try:
        yield from Parallel(max(1, workers), backend=backend(), return_as="generator")(jobs)
    finally:
        if workers > 1:
            end_workers()


def end_workers() -> None:
    """End Loky's worker processes. Otherwise they would stay idle and keep their memory for minutes."""
    if backend() != "loky":
        return
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(kill_workers=True)
    # Loky tells its queue feeder threads to end, but does not wait for them. They release semaphores when they end.
    # If the stage ended earlier, Loky's resource tracker would print a warning about leaked semaphores.
    for thread in threading.enumerate():
        if thread.name == "QueueFeederThread":
            thread.join(QUEUE_FEEDER_TIMEOUT)
