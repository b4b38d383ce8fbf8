"""Worker processes: how many, some work shared among them, and their end. (Loky's, through joblib.)"""

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

QUEUE_FEEDER_TIMEOUT = 10.0  # seconds; Loky's queue-feeding threads end within milliseconds


def worker_count(workers: int) -> int:
    """`runtime.workers` as a number of processes: -1 stands for one a core that this process may use."""
    if workers >= 0:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(jobs: Iterable[Any], workers: int) -> Iterator[Any]:
    """Results of joblib's `delayed` calls, in order; with 0 or 1 workers this process does all of them."""
    from joblib import Parallel  # imported here: most stages only need `worker_count`

    try:
        yield from Parallel(max(1, workers), return_as="generator")(jobs)
    finally:
        if workers > 1:
            end_workers()


def end_workers() -> None:
    """End the worker processes, which would otherwise stay idle and keep their memory for minutes."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(kill_workers=True)
    # Loky tells the threads that feed its queues to end, but does not wait for them. They release semaphores as they
    # end. If the stage ended before they have, Loky's resource tracker would warn of leaked semaphores on stderr.
    for thread in threading.enumerate():
        if thread.name == "QueueFeederThread":
            thread.join(QUEUE_FEEDER_TIMEOUT)
