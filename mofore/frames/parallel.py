"""Making packs on all cores of this machine, or of a Dask cluster."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mofore.errors import UserError
from mofore.frames.packs import Pack
from mofore.frames.watchdog import ctrl_c_held_back, end_child
from mofore.utils.workers import end_workers


def make_packs(packs: Iterable[Pack], workers: int, backend: str) -> Iterator[int]:
    """Make packs, each by itself; yield the number of videos of each, in order.

    Args:
        packs: taken one by one as workers get free.
        workers: processes; with 0 or 1 all is done from this one. A Dask cluster uses all that it has.
        backend: `loky`, processes of this machine, or `dask`, the cluster whose scheduler is at
            DASK_SCHEDULER_ADDRESS. Its workers must have mofore installed, and share the file system with this
            process: they read the videos and write the packs under the same absolute paths.

    Raises:
        UserError: a worker process died, or there is no cluster.
        OSError: a pack cannot be written; carries its name.
    """
    if backend == "dask":
        yield from _on_dask(packs)
    elif workers <= 1:
        try:
            for pack in packs:
                yield _make(pack)
        finally:
            end_child()
    else:
        with ctrl_c_held_back():
            made = joblib.Parallel(workers, backend="loky", return_as="generator", batch_size=1)(
                joblib.delayed(_make)(pack, os.getpid()) for pack in packs
            )
        try:
            with closing(made):
                yield from made
        except TerminatedWorkerError:
            raise UserError(
                "a worker process died: if memory ran out, lower runtime.workers; run again, what is done is kept"
            ) from None
        finally:
            end_workers()


def _on_dask(packs: Iterable[Pack]) -> Iterator[int]:
    try:
        from distributed import Client
    except ImportError:
        raise UserError("params.yaml: runtime.backend is dask, but Dask is missing: pip install distributed") from None
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        raise UserError(
            "params.yaml: runtime.backend is dask, but DASK_SCHEDULER_ADDRESS is not set: set it to your cluster's "
            "scheduler, as tcp://host:8786, or set runtime.backend to loky"
        )
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise UserError(f"DASK_SCHEDULER_ADDRESS: no Dask scheduler answers at {address}: start it ({error})") from None
    with client:
        if not client.ncores():
            raise UserError(f"DASK_SCHEDULER_ADDRESS: the cluster at {address} has no workers: start some")
        with joblib.parallel_config("dask"):
            made = joblib.Parallel(return_as="generator", batch_size=1)(joblib.delayed(_make)(pack) for pack in packs)
        with closing(made):
            yield from made


def _make(pack: Pack, stage: int = 0) -> int:
    if stage:
        _end_with(stage)
    pack.make()
    return len(pack.files)


_watching = threading.Event()


def _end_with(stage: int) -> None:
    """A killed stage cannot tell its workers to stop; they would wait for work for minutes."""

    def watch() -> None:
        while os.getppid() == stage:
            time.sleep(0.5)
        os._exit(1)

    if not _watching.is_set():
        _watching.set()
        threading.Thread(target=watch, daemon=True).start()
