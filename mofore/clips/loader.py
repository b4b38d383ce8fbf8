"""Loads batches of samples, prefetched by low-priority worker processes while the training computes.

On a CPU, decoding and training share the cores. Even a training step that uses all cores leaves about a tenth of their
time idle between its parallel loops (measured on 2 cores). Decoding needs less than that. So the workers run at low
priority and use the idle time. If they fall behind, the training waits for a batch, and the workers have all cores.

Shapes: B batch; the other dimensions are those of a sample.
"""

import math
import mmap
import os
import shutil
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import multiprocessing
from torch.utils.data import DataLoader

from mofore.errors import UserError
from mofore.runtime.signals import ignore_stop_signals
from mofore.utils.text import counted

PREFETCH_BATCHES = 4  # batches made ahead: on a CPU by all workers together, for a GPU by each worker
FORKS = sys.platform == "linux"  # elsewhere, processes start anew, and share memory by name
SHARED_MEMORY = Path("/dev/shm")  # of Linux
WORKER_NICENESS = 10  # of the worker processes: below the training, but not starved by other programs
ORPHAN_CHECK_SECONDS = 0.5  # time between two checks that the parent lives; an orphan holds its locks until then


class Samples(Protocol):
    """Samples by key. Each is an array, or a named tuple of arrays; shapes and types are the same for all samples."""

    def __getitem__(self, key: Any) -> Any: ...

    def video(self, key: Any) -> int:
        """Index of the video that a sample comes from."""
        ...


def load_batches(
    samples: Samples, keys: Iterable[list[Any]], workers: int, device: torch.device
) -> Generator[Any, None, None]:
    """Load batches of samples. On a CPU, a batch is valid only until the next one is requested.

    Args:
        samples: indexed by key.
        keys: the keys of each batch; the first batch is the largest.
        workers: number of worker processes, as in `runtime.workers`. 0: the calling process decodes. -1: one worker for
            each of torch's threads, which are the cores divided by the processes of the machine.
        device: where the batches will be used. Batches for a GPU are prefetched into pinned memory.

    Yields:
        Each batch in CPU memory, with the type of a sample: a tensor [B, ...] or a named tuple of them.

    Raises:
        UserError: a sample cannot be read, or for a GPU, the workers need more shared memory than there is.
    """
    if device.type == "cpu":
        yield from _shared_memory_batches(samples, keys, loader_worker_count(workers))
        return
    rest = iter(keys)
    first = next(rest, [])
    _check_shared_memory(samples, first, loader_worker_count(workers))
    loader: DataLoader[Any] = DataLoader(
        samples,  # type: ignore[arg-type] # `Samples` has all that DataLoader needs of a dataset
        batch_sampler=chain([first] if first else [], rest),
        num_workers=loader_worker_count(workers),
        pin_memory=device.type == "cuda",
        prefetch_factor=PREFETCH_BATCHES if workers else None,
        worker_init_fn=ignore_stop_signals,
    )
    try:
        yield from loader
    except UserError as error:  # DataLoader puts the worker's traceback before the message: remove it
        raise UserError(str(error).rpartition("UserError: ")[2]) from None


def loader_worker_count(workers: int) -> int:
    """Number of worker processes for a value of `runtime.workers`."""
    return torch.get_num_threads() if workers < 0 else workers


def _check_shared_memory(samples: Samples, batch: list[Any], workers: int) -> None:
    """Check that all batches that DataLoader prefetches have room. Without it, a worker would be killed by a bus error.

    Raises:
        UserError: they have not, as in a container, which has 64 MB by default.
    """
    if not (workers and batch and SHARED_MEMORY.is_dir()):
        return
    sample = sum(torch.as_tensor(field).nbytes for field in _fields(samples[batch[0]]))
    needed = sample * len(batch) * PREFETCH_BATCHES * workers
    free = shutil.disk_usage(SHARED_MEMORY).free if os.access(SHARED_MEMORY, os.W_OK) else 0
    if needed > free:
        raise UserError(
            f"{SHARED_MEMORY} has room for {free / 1e6:,.0f} MB, but the batches that "
            f"{counted(workers, 'process prefetches', 'processes prefetch')} take {needed / 1e6:,.0f} MB: start the "
            f"container with docker run --shm-size={math.ceil(needed / 1e9 + 1)}g, or lower runtime.workers in "
            "params.yaml (0 needs none)"
        )


def _shared_memory_batches(samples: Samples, keys: Iterable[list[Any]], n_workers: int) -> Iterator[Any]:
    """Batches in shared memory, each filled by all workers together.

    The buffers are reused in turn. The samples of a video are always made by the same worker, so that its cache of
    decoded frames is of use.
    """
    workers: list[_Worker] = []
    buffers: list[Any] = []
    pending: deque[tuple[int, list[Any]]] = deque()  # buffer index and keys of each requested batch
    ahead = PREFETCH_BATCHES if n_workers else 0
    try:
        for number, batch in enumerate(keys):
            if not buffers:
                sample = samples[batch[0]]
                buffers = [_allocate_batch(sample, len(batch)) for _ in range(ahead + 1)]
                workers = [_Worker(samples, buffers, index, n_workers) for index in range(n_workers)]
            buffer = number % len(buffers)
            for worker in workers:
                worker.request(buffer, batch)
            pending.append((buffer, batch))
            if len(pending) > ahead:
                yield _complete_batch(samples, buffers, workers, *pending.popleft())
        while pending:
            yield _complete_batch(samples, buffers, workers, *pending.popleft())
    finally:
        for worker in workers:
            worker.stop()


def _complete_batch(
    samples: Samples, buffers: list[Any], workers: "list[_Worker]", buffer: int, batch: list[Any]
) -> Any:
    """Wait for the rows of all workers; fill in this process the rows of workers that have died, or all without any."""
    for worker in workers:
        if not worker.wait():
            _fill_rows(samples, batch, buffers[buffer], worker.index, len(workers))
    if not workers:
        _fill_rows(samples, batch, buffers[buffer], 0, 1)
    fields = [tensor[: len(batch)] for tensor in _fields(buffers[buffer])]
    return type(buffers[buffer])(*fields) if isinstance(buffers[buffer], tuple) else fields[0]


class _Worker:
    """A process that fills some rows of each batch. If it dies, the caller must fill them."""

    def __init__(self, samples: Samples, buffers: list[Any], index: int, n_workers: int) -> None:
        """Start the process; `index`: 0 to n_workers - 1, decides which videos it decodes."""
        self.index = index
        self.pipe, worker_end = multiprocessing.Pipe()
        arguments = (samples, buffers, index, n_workers, worker_end, os.getpid())
        processes = multiprocessing.get_context("fork" if FORKS else None)
        self.process = processes.Process(target=_worker_loop, args=arguments, daemon=True)
        self.process.start()
        worker_end.close()

    def request(self, buffer: int, batch: list[Any]) -> None:
        """Ask for its rows of a batch, to be written to a buffer."""
        self._send((buffer, batch))

    def wait(self) -> bool:
        """Wait for its rows of the oldest requested batch; False if it has died.

        Raises:
            Exception: the one that the worker raised.
        """
        try:
            error = self.pipe.recv()
        except (EOFError, OSError):
            return False
        if error:
            raise error
        return True

    def stop(self) -> None:
        """End the process and wait for its end."""
        self._send(None)
        self.pipe.close()
        self.process.join()

    def _send(self, message: tuple[int, list[Any]] | None) -> None:
        with suppress(OSError):  # the worker has died; `wait` will report it
            self.pipe.send(message)


def _allocate_batch(sample: Any, batch_size: int) -> Any:
    """Allocate shared memory for a batch of samples of this shape and type."""
    tensors = [torch.as_tensor(field) for field in _fields(sample)]
    buffer = [_shared_tensor((batch_size, *x.shape), x.dtype) for x in tensors]
    return type(sample)(*buffer) if isinstance(sample, tuple) else buffer[0]


def _shared_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A tensor that worker processes share; where they fork, without /dev/shm, which is small in containers."""
    if not FORKS:
        return torch.empty(shape, dtype=dtype).share_memory_()
    return torch.frombuffer(mmap.mmap(-1, math.prod(shape) * dtype.itemsize), dtype=dtype).view(shape)


def _fields(sample: Any) -> tuple[Any, ...]:
    return sample if isinstance(sample, tuple) else (sample,)


def _worker_loop(
    samples: Samples, buffers: list[Any], index: int, n_workers: int, pipe: Connection, parent: int
) -> None:
    """Fill rows as requested through the pipe, until the parent sends None or has ended."""
    ignore_stop_signals()
    os.nice(WORKER_NICENESS)
    # A dead parent does not close the pipe, because this process holds a copy of the parent's end. So ask for its id.
    while os.getppid() == parent:
        if not pipe.poll(ORPHAN_CHECK_SECONDS):
            continue
        try:
            request = pipe.recv()
            if request is None:
                return
            buffer, batch = request
            _fill_rows(samples, batch, buffers[buffer], index, n_workers)
        except (EOFError, ConnectionError):  # the parent has ended
            return
        except Exception as error:  # the parent raises it
            pipe.send(error)
        else:
            pipe.send(None)


def _fill_rows(samples: Samples, batch: list[Any], buffer: Any, index: int, n_workers: int) -> None:
    """Write those rows of a batch whose videos belong to worker `index`."""
    arrays = [tensor.numpy() for tensor in _fields(buffer)]
    for row, key in enumerate(batch):
        if samples.video(key) % n_workers == index:
            for array, field in zip(arrays, _fields(samples[key]), strict=True):
                array[row] = field
