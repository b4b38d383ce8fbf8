"""Loky's worker processes: some work shared among them, and their end."""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from joblib import Parallel
from joblib.externals.loky import get_reusable_executor

FEEDER = 10.0  # seconds that Loky's threads have to end; it takes them milliseconds


def in_processes(jobs: Iterable[Any], workers: int) -> Iterator[Any]:
    """Results of joblib's `delayed` calls, in order; with 0 or 1 workers all is done in this process."""
    try:
        yield from Parallel(max(1, workers), return_as="generator")(jobs)
    finally:
        if workers > 1:
            end_workers()


def end_workers() -> None:
    """End the worker processes: idle, they would keep their memory for minutes."""
    get_reusable_executor().shutdown(kill_workers=True)
    # Loky tells the threads that fed its queues to end, but does not wait for them. They free semaphores as they end;
    # cut off amid this by the end of the stage, they would have its resource tracker warn on stderr of a leak.
    for thread in threading.enumerate():
        if thread.name == "QueueFeederThread":
            thread.join(FEEDER)
