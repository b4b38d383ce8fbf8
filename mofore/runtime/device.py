"""Selects the device and the precision of computations."""

import ctypes
import sys
from contextlib import AbstractContextManager

import torch

from mofore.config import Runtime
from mofore.errors import UserError
from mofore.runtime.distributed import SINGLE, Processes
from mofore.runtime.gpu_lock import lock_free_gpu
from mofore.utils.progress import tell

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt


def pick_device(runtime: Runtime, processes: Processes = SINGLE) -> torch.device:
    """The torch device for `runtime.device`. auto means CUDA if available, else the CPU.

    Apple's MPS is used only if it is named, with a warning: its 3-D convolutions have been wrong without an error
    (https://github.com/pytorch/pytorch/issues/197114).

    With auto and cuda, each of several processes on a machine uses the GPU of its local rank. A single process uses a
    GPU that no other run has locked, and waits for one if necessary.

    Raises:
        UserError: the device is unknown or not on this machine, or the machine has more processes than GPUs.
    """
    if torch.cuda.is_available() and runtime.device in ("auto", "cuda"):
        index = _gpu_of_local_rank(processes) if processes.count > 1 else lock_free_gpu(_gpu_names())
        return _set_up_cuda(runtime, index)
    try:
        device = torch.device("cpu" if runtime.device == "auto" else runtime.device)
        torch.empty(1, device=device)
        if device.type == "cuda":
            if processes.count > 1:
                raise UserError(f"params.yaml: runtime.device is {device}, but each process needs its own: use cuda")
            return _set_up_cuda(runtime, device.index or 0)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"params.yaml: runtime.device '{runtime.device}' is not on this machine: use auto or cpu"
        ) from None
    if device.type == "mps" and processes.is_main:
        tell(
            "warning: params.yaml: runtime.device is mps, where torch's 3-D convolutions have been wrong without an "
            "error: compare the losses in results/pretrain.csv with those of a short run on the cpu"
        )
    return device


def _set_up_cuda(runtime: Runtime, index: int) -> torch.device:
    """Let cuDNN try its algorithms once, since shapes stay the same; use TF32, unless the user wants float32."""
    torch.cuda.set_device(index)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = runtime.precision != "fp32"
    torch.set_float32_matmul_precision("highest" if runtime.precision == "fp32" else "high")
    return torch.device("cuda", index)


def _gpu_of_local_rank(processes: Processes) -> int:
    gpus = torch.cuda.device_count()
    if processes.local_rank >= gpus:
        raise UserError(
            f"params.yaml: runtime.launcher starts more processes than this machine has GPUs: start at most {gpus}"
        )
    return processes.local_rank


def autocast(runtime: Runtime, device: torch.device) -> AbstractContextManager[None]:
    """A context in which convolutions and matrix products use `runtime.precision`.

    auto means bf16 where the hardware supports it natively, because it is faster there: on most GPUs, and on CPUs with
    AMX or AVX-512 bf16 instructions. Measured with AVX-512 bf16, a training step of the small encoder takes 0.65 times
    as long as in float32.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=uses_bf16(runtime, device))


def uses_bf16(runtime: Runtime, device: torch.device) -> bool:
    """Whether `runtime.precision` means bf16 on this device."""
    return runtime.precision == "bf16" or (runtime.precision == "auto" and _has_bf16(device))


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        features = torch.cpu.get_capabilities()
        return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return False


def _gpu_names() -> tuple[str, ...]:
    """UUIDs of the GPUs that this process may use. They identify a GPU to all processes of the machine."""
    return tuple(str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count()))


def keep_freed_memory() -> None:
    """Let glibc keep freed large blocks of memory, because the next training step needs blocks of the same sizes.

    By default glibc returns them to the operating system, which then has to clear new pages for each large tensor.
    Measured on 2 cores, keeping them makes a training step of the small encoder 8 % shorter, and halves the time that
    `to_input` takes. Has no effect without glibc.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
