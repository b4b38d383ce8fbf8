"""Copies batches to a device; to a GPU while it computes the step before, from memory that the loader fills."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from mofore.utils.progress import tell


def fields_of(batch: Any) -> tuple[Any, ...]:
    """The fields of a batch or sample, which is a named tuple of them, or a single one."""
    return batch if isinstance(batch, tuple) else (batch,)


def like(batch: Any, fields: Sequence[Tensor]) -> Any:
    """A batch of the type of `batch` with other fields."""
    return type(batch)(*fields) if isinstance(batch, tuple) else fields[0]


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch on `device`. CUDA does not wait for copies from pinned memory, nor does a batch that is there already."""
    return like(batch, [field.to(device, non_blocking=device.type == "cuda") for field in fields_of(batch)])


def transferred(batches: Iterable[Any], device: torch.device) -> Iterator[Any]:
    """Yield each batch on a GPU. The next one is copied meanwhile, on a stream of its own.

    Args:
        batches: in pinned memory, else nothing is gained. A batch need be valid only until the next one is requested:
            by then its copy has ended.
        device: a CUDA device.
    """
    backend: Any = torch.get_device_module(device)  # torch.cuda
    stream = backend.Stream(device)
    ahead = None
    for batch in batches:
        with backend.stream(stream):
            copy = to_device(batch, device)
        if ahead is not None:
            yield ahead
        compute = backend.current_stream(device)
        compute.wait_stream(stream)
        for field in fields_of(copy):
            field.record_stream(compute)  # else its memory could be given to the next copy too early
        stream.synchronize()
        ahead = copy
    if ahead is not None:
        yield ahead


def pin(tensors: list[Tensor]) -> list[Tensor]:
    """Pin the memory of tensors that processes share, so that a GPU can read it by itself.

    Returns:
        Those that were pinned; to be unpinned (`unpin`) before their memory is freed.
    """
    pinned = []
    for tensor in tensors:
        error = torch.cuda.cudart().cudaHostRegister(tensor.data_ptr(), tensor.nbytes, 0)
        if int(error):
            with suppress(RuntimeError):  # CUDA keeps its last error for the next kernel, which is not at fault
                torch.ones(1, device="cuda")
            tell(f"warning: memory for {tensor.nbytes / 1e6:,.0f} MB of clips cannot be pinned: copies to the GPU wait")
            break
        pinned.append(tensor)
    return pinned


def unpin(tensors: list[Tensor]) -> None:
    """Undo `pin`."""
    for tensor in tensors:
        torch.cuda.cudart().cudaHostUnregister(tensor.data_ptr())
