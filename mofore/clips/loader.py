"""Batches of samples, prefetched by low-priority processes while the training computes.

On a CPU, decoding and computing share the cores. Even a step that uses all of them leaves some of their time unused,
between its parallel loops: about a tenth of it, measured on 2 cores, and more than decoding takes. So the processes
that decode yield to those that compute; should they fall behind, the computing waits, and they have all cores.

Shapes: B batch, and behind it whatever a sample has.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch
from torch import multiprocessing
from torch.utils.data import DataLoader

from mofore.errors import UserError
from mofore.runtime.signals import ignore_stop_signals

PREFETCH_BATCHES = 4  # batches made ahead; for a GPU, by each process
WORKER_NICENESS = 10  # of the processes that make batches: they yield, but do not starve beside other programs
ORPHAN_CHECK = 0.5  # seconds between two looks whether the parent still lives; till then they hold its locks


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
        workers: `runtime.workers`, processes that decode; 0: this one; -1: one a core, which with several processes a
            machine is one for each of torch's threads.
        device: where the batches go. Batches for a GPU are made ahead in pinned memory.
    """
    if device.type == "cpu":
        yield from _shared_batches(samples, keys, loader_worker_count(workers))
        return
    loader: DataLoader[Any] = DataLoader(
        samples,  # type: ignore[arg-type] # a protocol of ours is a dataset as well
        batch_sampler=keys,
        num_workers=loader_worker_count(workers),
        pin_memory=device.type == "cuda",
        prefetch_factor=PREFETCH_BATCHES if workers else None,
        worker_init_fn=ignore_stop_signals,
    )
    try:
        yield from loader
    except UserError as error:  # DataLoader puts a traceback before what was said
        raise UserError(str(error).rpartition("UserError: ")[2]) from None


def loader_worker_count(workers: int) -> int:
    """How many processes decode."""
    return torch.get_num_threads() if workers < 0 else workers


def _shared_batches(samples: Samples, keys: Iterable[list[Any]], workers: int) -> Iterator[Any]:
    """Each batch is made in shared memory, its rows by all helpers together.

    A video always falls to the same helper, which may keep what it has decoded.
    """
    helpers: list[_Helper] = []
    slots: list[Any] = []
    asked: deque[tuple[int, list[Any]]] = deque()  # slot and keys of the batches under way
    ahead = PREFETCH_BATCHES if workers else 0
    try:
        for number, batch in enumerate(keys):
            if not slots:
                sample = samples[batch[0]]
                slots = [_room(sample, len(batch)) for _ in range(ahead + 1)]
                helpers = [_Helper(samples, slots, part, workers) for part in range(workers)]
            slot = number % len(slots)
            for helper in helpers:
                helper.ask(slot, batch)
            asked.append((slot, batch))
            if len(asked) > ahead:
                yield _finish(samples, slots, helpers, *asked.popleft())
        while asked:
            yield _finish(samples, slots, helpers, *asked.popleft())
    finally:
        for helper in helpers:
            helper.end()


def _finish(samples: Samples, slots: list[Any], helpers: "list[_Helper]", slot: int, batch: list[Any]) -> Any:
    """Wait for the helpers' rows; make those of helpers that have died, or all without helpers, here."""
    for helper in helpers:
        if not helper.done():
            _make_rows(samples, batch, slots[slot], helper.part, len(helpers))
    if not helpers:
        _make_rows(samples, batch, slots[slot], 0, 1)
    parts = [tensor[: len(batch)] for tensor in _fields(slots[slot])]
    return type(slots[slot])(*parts) if isinstance(slots[slot], tuple) else parts[0]


class _Helper:
    """A process that makes some rows of each batch. Should it die, its rows are left to the caller."""

    def __init__(self, samples: Samples, slots: list[Any], part: int, parts: int) -> None:
        """`part`: of the rows, 0 to parts - 1."""
        self.part = part
        self.pipe, theirs = multiprocessing.Pipe()
        arguments = (samples, slots, part, parts, theirs, os.getpid())
        self.process = multiprocessing.Process(target=_help, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, slot: int, batch: list[Any]) -> None:
        self._send((slot, batch))

    def done(self) -> bool:
        """Wait for its rows of the first batch asked for and not yet waited for; False if it has died.

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
        self._send(None)
        self.pipe.close()
        self.process.join()

    def _send(self, message: tuple[int, list[Any]] | None) -> None:
        with suppress(OSError):  # it has died, as `done` will find
            self.pipe.send(message)


def _room(sample: Any, batch_size: int) -> Any:
    """Shared memory for a batch of samples like this one."""
    tensors = [torch.as_tensor(field) for field in _fields(sample)]
    room = [torch.empty((batch_size, *x.shape), dtype=x.dtype).share_memory_() for x in tensors]
    return type(sample)(*room) if isinstance(sample, tuple) else room[0]


def _fields(sample: Any) -> tuple[Any, ...]:
    return sample if isinstance(sample, tuple) else (sample,)


def _help(samples: Samples, slots: list[Any], part: int, parts: int, pipe: Connection, parent: int) -> None:
    ignore_stop_signals()
    os.nice(WORKER_NICENESS)
    while os.getppid() == parent:  # the pipe's end does not tell: this process holds a copy of the parent's end, too
        if not pipe.poll(ORPHAN_CHECK):
            continue
        try:
            asked = pipe.recv()
            if asked is None:
                return
            slot, batch = asked
            _make_rows(samples, batch, slots[slot], part, parts)
        except (EOFError, ConnectionError):  # the parent has gone
            return
        except Exception as error:  # the parent raises it
            pipe.send(error)
        else:
            pipe.send(None)


def _make_rows(samples: Samples, batch: list[Any], room: Any, part: int, parts: int) -> None:
    arrays = [tensor.numpy() for tensor in _fields(room)]
    for row, key in enumerate(batch):
        if samples.video(key) % parts == part:
            for array, field in zip(arrays, _fields(samples[key]), strict=True):
                array[row] = field
