"""How many processes may work at once."""

import os


def worker_count(workers: int) -> int:
    """`runtime.workers` as a number of processes: -1 stands for one a core that this process may use."""
    if workers >= 0:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
