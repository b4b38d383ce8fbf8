"""Batches are copied to a GPU one ahead, from buffers that are filled again only when their copy has ended.

A stand-in for a GPU's streams copies late: when a stream is waited for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from mofore.clips import transfer
from mofore.clips.transfer import pin, transferred, unpin

DEVICE = torch.device("cuda", 0)


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


class LateStream:
    """A stream on which copies are done when something waits for it."""

    def __init__(self, gpu: "LateGpu") -> None:
        self.gpu, self.queued = gpu, list[Callable[[], object]]()

    def synchronize(self) -> None:
        self.gpu.said.append("synchronize")
        for copy in self.queued:
            copy()
        self.queued.clear()

    def wait_stream(self, other: "LateStream") -> None:
        """Only kernels of this stream wait, not the caller."""
        assert other is not self
        self.gpu.said.append("wait")


class LateGpu:
    """In the place of torch.cuda."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.compute, self.active = LateStream(self), list[LateStream]()

    def Stream(self, _: torch.device) -> LateStream:  # noqa: N802 # the name in torch.cuda
        return LateStream(self)

    def current_stream(self, _: torch.device) -> LateStream:
        return self.compute

    @contextmanager
    def stream(self, stream: LateStream) -> Iterator[None]:
        self.active.append(stream)
        yield
        self.active.pop()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> LateGpu:
    gpu = LateGpu()

    def to(tensor: Tensor, device: torch.device, non_blocking: bool) -> Tensor:
        assert device == DEVICE
        assert non_blocking
        copy = torch.full_like(tensor, -1)
        gpu.active[-1].queued.append(partial(copy.copy_, tensor))
        return copy

    monkeypatch.setattr(torch, "get_device_module", lambda _: gpu)
    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(Tensor, "record_stream", lambda *_: gpu.said.append("record"))
    return gpu


def reused(gpu: LateGpu, count: int) -> Iterator[Pair]:
    """Batches in one buffer, which is filled again for each."""
    buffer = Pair(torch.zeros(2), torch.zeros(1, dtype=torch.int64))
    for number in range(1, count + 1):
        gpu.said.append(f"fill {number}")
        for field in buffer:
            field.fill_(number)
        yield buffer


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_each_batch_arrives_whole_though_buffers_are_filled_again(gpu: LateGpu, count: int) -> None:
    found = [(batch.x.tolist(), batch.y.tolist()) for batch in transferred(reused(gpu, count), DEVICE)]
    assert found == [([number, number], [number]) for number in range(1, count + 1)]


def test_a_batch_is_copied_while_the_one_before_is_in_use(gpu: LateGpu) -> None:
    for batch in transferred(reused(gpu, 3), DEVICE):
        gpu.said.append(f"use {int(batch.x[0])}")
    ready = ["wait", "record", "record", "synchronize"]
    assert gpu.said == ["fill 1", *ready, "fill 2", "use 1", *ready, "fill 3", "use 2", *ready, "use 3"]


def test_bare_tensors(gpu: LateGpu) -> None:
    batches = (torch.full((2,), float(number)) for number in range(3))
    assert [batch.tolist() for batch in transferred(batches, DEVICE)] == [[0, 0], [1, 1], [2, 2]]
    assert gpu.said


@pytest.mark.parametrize("works", [True, False])
def test_memory_is_pinned_and_unpinned_if_the_driver_can(
    works: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registered: dict[int, int] = {}

    class Runtime:
        def cudaHostRegister(self, address: int, size: int, _: int) -> int:  # noqa: N802 # the name in CUDA
            registered[address] = size
            return 0 if works else 2

        def cudaHostUnregister(self, address: int) -> int:  # noqa: N802
            return registered.pop(address) * 0

    runtime: Any = Runtime()
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    tensors = [torch.zeros(4), torch.zeros(3, dtype=torch.uint8)]
    pinned = transfer.pin(tensors)
    if works:
        assert registered == {tensors[0].data_ptr(): 16, tensors[1].data_ptr(): 3}
        unpin(pinned)
        assert not registered
    else:
        assert pinned == []
        assert "cannot be pinned" in capsys.readouterr().err
    assert pin([]) == []
