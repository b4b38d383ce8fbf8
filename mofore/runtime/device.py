"""Which processor computes, and in which precision."""

import ctypes
import sys
from contextlib import AbstractContextManager

import torch

from mofore.config import Runtime
from mofore.errors import UserError
from mofore.runtime.distributed import SINGLE, Processes
from mofore.runtime.gpu_lock import lock_free_gpu

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def pick_device(runtime: Runtime, processes: Processes = SINGLE) -> torch.device:
    """`runtime.device` as a torch device; auto takes CUDA, then Apple's MPS, then the CPU.

    With auto and cuda, a process alone takes a GPU that no other run has; processes of one machine take one each.

    Raises:
        UserError: the device named is unknown or not on this machine, or there are fewer GPUs than processes.
    """
    if torch.cuda.is_available() and runtime.device in ("auto", "cuda"):
        number = _own_gpu(processes) if processes.count > 1 else lock_free_gpu(_gpu_names())
        torch.cuda.set_device(number)
        return torch.device("cuda", number)
    if runtime.device == "auto":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(runtime.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"params.yaml: runtime.device '{runtime.device}' is not on this machine: use auto or cpu"
        ) from None
    return device


def _own_gpu(processes: Processes) -> int:
    gpus = torch.cuda.device_count()
    if processes.local_rank >= gpus:
        raise UserError(
            f"params.yaml: runtime.launcher starts more processes a machine than its {gpus} GPUs: start at most {gpus}"
        )
    return processes.local_rank


def autocast(runtime: Runtime, device: torch.device) -> AbstractContextManager[None]:
    """A context in which convolutions and matrix products run in the precision of `runtime.precision`.

    auto means bf16 where the processor computes in it, which is faster: GPUs, and CPUs with AMX or with AVX-512's bf16
    instructions. With the latter, a step of the small encoder was measured to take 0.65 of its time in float32.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=uses_bf16(runtime, device))


def uses_bf16(runtime: Runtime, device: torch.device) -> bool:
    """What `runtime.precision` means on this device."""
    return runtime.precision == "bf16" or (runtime.precision == "auto" and _has_bf16(device))


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        features = torch.cpu.get_capabilities()
        return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return False


def _gpu_names() -> list[str]:
    """One for each GPU that this process may use, the same in all processes of the machine."""
    return [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]


def keep_freed_memory() -> None:
    """Let glibc keep large blocks that are freed, for the next step asks for the same again.

    Otherwise the system hands out and clears the pages of each large tensor anew: measured on 2 cores, a training step
    of the small encoder takes 8 % less time with this, and turning frames into input half the time.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
