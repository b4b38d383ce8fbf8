"""Which processor computes, and in which precision."""

from contextlib import AbstractContextManager

import torch

from mofore.config import Runtime
from mofore.errors import UserError


def pick_device(runtime: Runtime) -> torch.device:
    """`runtime.device` as a torch device; auto takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        UserError: the device named is unknown or not on this machine.
    """
    if runtime.device != "auto":
        try:
            device = torch.device(runtime.device)
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError):
            raise UserError(
                f"params.yaml: runtime.device '{runtime.device}' is not on this machine: use auto or cpu"
            ) from None
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def autocast(runtime: Runtime, device: torch.device) -> AbstractContextManager[None]:
    """A context in which convolutions and matrix products run in the precision of `runtime.precision`.

    auto means bf16 where that is faster: on GPUs that compute in it, and on CPUs with AMX. With only AVX-512's bf16
    dot product, a CPU was measured to train the small encoder slower than in float32: 184 ms a step instead of 150.
    """
    bf16 = runtime.precision == "bf16" or (runtime.precision == "auto" and _has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        features = torch.cpu.get_capabilities()
        return bool(features.get("amx_bf16"))
    return False
