"""Batches of samples, decoded where that holds up the computing least.

For a GPU, processes decode ahead. On a CPU, decoding and computing want the same cores, and a core that a loader takes
from a parallel loop makes all the others wait for it. So there all cores decode, then all compute, in turns: measured
on 2 cores, training is a fifth faster than with one or two processes that decode ahead, whatever their priority.

Shapes: B batch, and behind it whatever a sample has.
"""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch
from torch import multiprocessing
from torch.utils.data import DataLoader

from mofore.stopping import leave_stopping_to_the_parent

ORPHAN_CHECK = 2.0  # seconds between two looks whether the parent still lives


class Samples(Protocol):
    """Samples by key; each is an array, or a named tuple of arrays, of shapes that are the same for all."""

    def __getitem__(self, key: Any) -> Any: ...

    def video(self, key: Any) -> int:
        """Number of the video that a sample is of."""
        ...


def load_batches(
    samples: Samples, keys: Iterable[list[Any]], workers: int, device: torch.device
) -> Generator[Any, None, None]:
    """Batches of samples; each holds only until the next is asked for.

    Args:
        samples: indexed by key.
        keys: those of each batch.
        workers: `runtime.workers`, processes that decode; -1: one a core, which with several processes a machine is
            one for each of torch's threads.
        device: where the batches go. Batches for a GPU are made ahead, in pinned memory.
    """
    workers = torch.get_num_threads() if workers < 0 else workers
    if device.type == "cpu":
        yield from _in_turns(samples, keys, max(1, workers))
    else:
        yield from DataLoader(
            samples,  # type: ignore[arg-type] # a protocol of ours is a dataset as well
            batch_sampler=keys,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_stopping_to_the_parent,
        )


def _in_turns(samples: Samples, keys: Iterable[list[Any]], workers: int) -> Iterator[Any]:
    """Each batch is made when it is asked for, by this process and `workers - 1` helpers together.

    A video always falls to the same process, which may keep what it has decoded.
    """
    helpers: list[_Helper] = []
    shared: Any = None
    try:
        for batch in keys:
            if shared is None:
                shared = _room(samples[batch[0]], len(batch))
                helpers = [_Helper(samples, shared, number, workers) for number in range(1, workers)]
            for helper in helpers:
                helper.ask(batch)
            _make_rows(samples, batch, shared, 0, workers)
            for helper in helpers:
                if not helper.done():
                    _make_rows(samples, batch, shared, helper.number, workers)
            parts = [tensor[: len(batch)] for tensor in _fields(shared)]
            yield type(shared)(*parts) if isinstance(shared, tuple) else parts[0]
    finally:
        for helper in helpers:
            helper.end()


class _Helper:
    """A process that makes some rows of each batch. Should it die, its rows are left to the caller."""

    def __init__(self, samples: Samples, shared: Any, number: int, workers: int) -> None:
        self.number = number
        self.pipe, theirs = multiprocessing.Pipe()
        arguments = (samples, shared, number, workers, theirs)
        self.process = multiprocessing.Process(target=_help, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, batch: list[Any] | None) -> None:
        with suppress(OSError):  # it has died, as `done` will find
            self.pipe.send(batch)

    def done(self) -> bool:
        """Wait for its rows; False if it has died.

        Raises:
            Exception: what it met.
        """
        try:
            error = self.pipe.recv()
        except (EOFError, OSError):
            return False
        if error:
            raise error
        return True

    def end(self) -> None:
        self.ask(None)
        self.pipe.close()
        self.process.join()


def _room(sample: Any, batch_size: int) -> Any:
    """Shared memory for a batch of samples like this one."""
    tensors = [torch.as_tensor(field) for field in _fields(sample)]
    room = [torch.empty((batch_size, *x.shape), dtype=x.dtype).share_memory_() for x in tensors]
    return type(sample)(*room) if isinstance(sample, tuple) else room[0]


def _fields(sample: Any) -> tuple[Any, ...]:
    return sample if isinstance(sample, tuple) else (sample,)


def _help(samples: Samples, shared: Any, number: int, workers: int, pipe: Connection) -> None:
    leave_stopping_to_the_parent()
    parent = os.getppid()
    while os.getppid() == parent:  # the pipe's end does not tell: this process holds a copy of the parent's end, too
        if not pipe.poll(ORPHAN_CHECK):
            continue
        if (batch := pipe.recv()) is None:
            return
        try:
            _make_rows(samples, batch, shared, number, workers)
        except Exception as error:  # the parent raises it
            pipe.send(error)
        else:
            pipe.send(None)


def _make_rows(samples: Samples, batch: list[Any], shared: Any, number: int, workers: int) -> None:
    arrays = [tensor.numpy() for tensor in _fields(shared)]
    for row, key in enumerate(batch):
        if samples.video(key) % workers == number:
            for array, field in zip(arrays, _fields(samples[key]), strict=True):
                array[row] = field
