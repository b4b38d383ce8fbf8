"""A Dask cluster on this machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.helpers.processes import wait_until

ROOT = Path(__file__).parents[2]


@contextmanager
def dask_cluster(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two workers of a Dask scheduler on localhost, each a process; DASK_SCHEDULER_ADDRESS is set.

    Skips the test if Dask is missing. `folder` is their working folder, with their log.
    """
    pytest.importorskip("distributed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__DAEMON": "false"}
    log = folder / "log"
    dask = [sys.executable, "-m", "dask"]
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch, log.open("wb") as out:

        def start(*more: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([*dask, *more, *options], env=environment, stderr=out, cwd=folder)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        start("scheduler", "--port", "0")
        wait_until(lambda: bool(re.search(r"Scheduler at: +tcp", log.read_text())))
        found = re.search(r"tcp://[\d.:]+", log.read_text())
        assert found
        patch.setenv("DASK_SCHEDULER_ADDRESS", found.group())
        workers = [start("worker", found.group(), "--nthreads", "1") for _ in range(2)]
        wait_until(lambda: log.read_text().count("Registered to:") >= 2)
        yield workers
