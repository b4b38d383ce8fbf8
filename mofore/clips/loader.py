"""Loads batches of samples, prefetched by low-priority worker processes while the training computes.

On a CPU, decoding and training share the cores. Even a training step that uses all cores leaves about a tenth of their
time idle between its parallel loops (measured on 2 cores). Decoding needs less than that. So the workers run at low
priority and use the idle time. If they fall behind, the training waits for a batch, and the workers have all cores.

Shapes: B batch; the other dimensions are those of a sample.
"""

import math
import mmap
import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import torch
from torch import multiprocessing

from mofore.clips.transfer import fields_of, like, pin, transferred, unpin
from mofore.runtime.signals import ignore_stop_signals
from mofore.utils.progress import tell

PREFETCH_BATCHES = 4  # batches made ahead, by all workers together
MAX_BYTES = 2e9  # of the batches made ahead
START = "fork" if sys.platform == "linux" else "spawn"  # how processes start; new ones share memory by name
WORKER_NICENESS = 10  # of the worker processes: below the training, but not starved by other programs
ORPHAN_CHECK_SECONDS = 0.5  # time between two checks that the parent lives; an orphan holds its locks until then


class Samples(Protocol):
    """Samples by key. Each is an array, or a named tuple of arrays; shapes and types are the same for all samples."""

    def __getitem__(self, key: Any) -> Any: ...

    def video(self, key: Any) -> int | None:
        """Index of the sample's video if its frames are cached, so that one worker makes all its samples; else None."""
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
        device: where the batches will be used.

    Yields:
        Each batch, with the type of a sample: a tensor [B, ...] or a named tuple of them. For a CUDA device they are
        there already, else in CPU memory.

    Raises:
        UserError: a sample cannot be read.
    """
    cuda = device.type == "cuda"
    with closing(_shared_memory_batches(samples, keys, loader_worker_count(workers), cuda)) as batches:
        if cuda:
            yield from transferred(batches, device)
        elif device.type == "cpu":
            yield from batches
        else:  # copies to other devices may go on after the buffer is filled again
            for batch in batches:
                yield like(batch, [field.clone() for field in fields_of(batch)])


def loader_worker_count(workers: int) -> int:
    """Number of worker processes for a value of `runtime.workers`."""
    return torch.get_num_threads() if workers < 0 else workers


def _shared_memory_batches(
    samples: Samples, keys: Iterable[list[Any]], n_workers: int, pinned: bool
) -> Generator[Any, None, None]:
    """Batches in shared memory, each filled by all workers together.

    The buffers are reused in turn. The workers take samples in turn, or always those of the same videos, so that their
    caches of decoded frames are of use.
    """
    workers: list[_Worker] = []
    buffers: list[Any] = []
    pins: list[torch.Tensor] = []
    pending: deque[_Request] = deque()
    turn = 0
    try:
        for number, batch in enumerate(keys):
            if not buffers:
                sample = samples[batch[0]]
                ahead = _batches_ahead(sample, len(batch)) if n_workers else 0
                buffers = [_allocate_batch(sample, len(batch)) for _ in range(ahead + 1)]
                workers = [_Worker(samples, buffers, index, n_workers) for index in range(n_workers)]
                pins = pin([field for buffer in buffers for field in fields_of(buffer)]) if pinned else []
            request = _Request(number % len(buffers), batch, turn)
            turn += len(batch)
            for worker in workers:
                worker.send(request)
            pending.append(request)
            if len(pending) > ahead:
                yield _complete_batch(samples, buffers, workers, pending.popleft())
        while pending:
            yield _complete_batch(samples, buffers, workers, pending.popleft())
    finally:
        for worker in workers:
            worker.stop()
        unpin(pins)


def _batches_ahead(sample: Any, batch_size: int) -> int:
    """Number of batches to make ahead: PREFETCH_BATCHES, or fewer if they took more than MAX_BYTES; at least one."""
    batch_bytes = batch_size * sum(torch.as_tensor(field).nbytes for field in fields_of(sample))
    return int(max(1, min(PREFETCH_BATCHES, MAX_BYTES // batch_bytes)))


def _complete_batch(samples: Samples, buffers: list[Any], workers: "list[_Worker]", request: "_Request") -> Any:
    """Wait for the rows of all workers; fill in this process the rows of workers that have died, or all without any."""
    for worker in workers:
        if not worker.wait():
            if not worker.lost:
                worker.lost = True
                tell(f"warning: a process that decodes ended ({worker.how_it_ended()}): this one does its work now")
            _fill_rows(samples, request, buffers, worker.index, len(workers))
    if not workers:
        _fill_rows(samples, request, buffers, 0, 1)
    buffer, count = buffers[request.buffer], len(request.batch)
    return like(buffer, [tensor[:count] for tensor in fields_of(buffer)])


class _Request(NamedTuple):
    """A batch that the workers are asked for.

    Attributes:
        buffer: index of the buffer for it.
        batch: its keys.
        turn: number of rows of all batches before.
    """

    buffer: int
    batch: list[Any]
    turn: int


class _Worker:
    """A process that fills some rows of each batch. If it dies, the caller must fill them."""

    def __init__(self, samples: Samples, buffers: list[Any], index: int, n_workers: int) -> None:
        """Start the process; `index`: 0 to n_workers - 1, decides which rows it fills."""
        self.index, self.lost = index, False
        self.pipe, worker_end = multiprocessing.Pipe()
        arguments = (samples, buffers, index, n_workers, worker_end, os.getpid() if START == "fork" else None)
        processes: Any = multiprocessing.get_context(START)
        self.process = processes.Process(target=_worker_loop, args=arguments, daemon=True)
        self.process.start()
        worker_end.close()

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

    def how_it_ended(self) -> str:
        """For a message."""
        self.process.join(1)
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def stop(self) -> None:
        """End the process and wait for its end."""
        self.send(None)
        self.pipe.close()
        self.process.join()

    def send(self, request: _Request | None) -> None:
        """Ask for its rows of a batch; None: to end."""
        with suppress(OSError):  # the worker has died; `wait` will report it
            self.pipe.send(request)


def _allocate_batch(sample: Any, batch_size: int) -> Any:
    """Allocate shared memory for a batch of samples of this shape and type."""
    tensors = [torch.as_tensor(field) for field in fields_of(sample)]
    return like(sample, [_shared_tensor((batch_size, *x.shape), x.dtype) for x in tensors])


def _shared_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A tensor that worker processes share; where they fork, without /dev/shm, which is small in containers."""
    if START != "fork":
        return torch.empty(shape, dtype=dtype).share_memory_()
    return torch.frombuffer(mmap.mmap(-1, math.prod(shape) * dtype.itemsize), dtype=dtype).view(shape)


def _worker_loop(
    samples: Samples, buffers: list[Any], index: int, n_workers: int, pipe: Connection, parent: int | None
) -> None:
    """Fill rows as requested through the pipe, until the caller sends None or has ended.

    `parent`: id of the caller if this process was forked from it. The process then holds a copy of the caller's end of
    the pipe, which stays open when the caller dies; so it asks who its parent is.
    """
    ignore_stop_signals()
    os.nice(WORKER_NICENESS)
    while parent in (None, os.getppid()):
        if not pipe.poll(ORPHAN_CHECK_SECONDS):
            continue
        try:
            request = pipe.recv()
            if request is None:
                return
            _fill_rows(samples, request, buffers, index, n_workers)
        except (EOFError, ConnectionError):  # the parent has ended
            return
        except Exception as error:  # the parent raises it
            pipe.send(error)
        else:
            pipe.send(None)


def _fill_rows(samples: Samples, request: _Request, buffers: list[Any], index: int, n_workers: int) -> None:
    """Write those rows of a batch that are the turn of worker `index`, or whose videos belong to it."""
    arrays = [tensor.numpy() for tensor in fields_of(buffers[request.buffer])]
    for row, key in enumerate(request.batch):
        video = samples.video(key)
        if (request.turn + row if video is None else video) % n_workers == index:
            for array, field in zip(arrays, fields_of(samples[key]), strict=True):
                array[row] = field
