"""Make packs, or other files of videos, in parallel, on the cores of this machine or of a Dask cluster."""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mofore.errors import UserError
from mofore.frames.child import end_child, sigint_blocked
from mofore.utils.workers import backend as local_backend
from mofore.utils.workers import end_workers

LOCAL = "runtime.backend in params.yaml: loky"


class Task(Protocol):
    """A request to make one file of some videos, such as `packs.Pack`; it can be sent to another process."""

    @property
    def files(self) -> Sequence[Path]:
        """The videos."""

    def make(self) -> None:
        """Make the file, in a process of its own if videos must be decoded (see `child`)."""


def make_packs(packs: Iterable[Task], workers: int, backend: str, local: str = LOCAL) -> Iterator[int]:
    """Make packs; yield the number of videos of each, in the order of the packs.

    Args:
        packs: read one at a time, as workers become free.
        workers: number of worker processes of `loky`, or of threads where it does not work, each with a process that
            decodes; with 0 or 1 this process makes the packs. A Dask cluster uses all its workers.
        backend: `loky` for processes of this machine, or `dask` for the cluster whose scheduler is at the address in
            the environment variable DASK_SCHEDULER_ADDRESS. Its workers must have mofore installed and share the file
            system with this process: they read the videos and write the packs under the same absolute paths.
        local: how the user asks for this machine instead of a cluster, for messages.

    Raises:
        UserError: a worker process died, or the Dask cluster is missing.
        OSError: a pack cannot be written; the error has its name.
    """
    if backend == "dask":
        yield from _on_dask(packs, local)
    elif workers <= 1:
        try:
            for pack in packs:
                yield _make(pack)
        finally:
            end_child()
    else:
        with sigint_blocked():
            made = joblib.Parallel(workers, backend=local_backend(), return_as="generator", batch_size=1)(
                joblib.delayed(_make)(pack, os.getpid()) for pack in packs
            )
        try:
            with closing(made):
                yield from made
        except TerminatedWorkerError:
            raise UserError(
                "a worker process died: run again (finished packs are kept); if memory ran out, lower runtime.workers"
            ) from None
        finally:
            end_workers()


def _on_dask(packs: Iterable[Task], local: str) -> Iterator[int]:
    try:
        from distributed import Client
    except ImportError:
        raise UserError("the backend is dask, but Dask is missing: pip install distributed") from None
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        raise UserError(
            "the backend is dask, but DASK_SCHEDULER_ADDRESS is not set: set it to your cluster's scheduler, as "
            f"tcp://host:8786, or work on this machine ({local})"
        )
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise UserError(f"DASK_SCHEDULER_ADDRESS: no Dask scheduler answers at {address}: start it ({error})") from None
    with client:
        if not client.ncores():
            raise UserError(f"DASK_SCHEDULER_ADDRESS: the cluster at {address} has no workers: start at least one")
        with joblib.parallel_config("dask"):
            made = joblib.Parallel(return_as="generator", batch_size=1)(joblib.delayed(_make)(pack) for pack in packs)
        with closing(made):
            yield from made


def _make(pack: Task, parent: int = 0) -> int:
    """Make a pack and return its number of videos. `parent`: the process whose end ends this one too, 0 for none."""
    if parent not in (0, os.getpid()):  # not a thread of the parent
        _exit_with_parent(parent)
    pack.make()
    return len(pack.files)


_is_watching = threading.Event()


def _exit_with_parent(parent: int) -> None:
    """Make this worker exit soon after its parent process ends; without this it would stay idle for minutes.

    A killed parent cannot stop its workers itself.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if not _is_watching.is_set():
        _is_watching.set()
        threading.Thread(target=watch, daemon=True).start()
