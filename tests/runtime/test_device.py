"""Where it runs, and in which precision."""

import pytest
import torch

from mofore.config import Params
from mofore.errors import UserError
from mofore.runtime import device
from mofore.runtime.device import autocast, pick_device
from mofore.runtime.distributed import Processes

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "has", "expected"),
    [
        ("auto", "amx_bf16", torch.bfloat16),
        ("auto", "avx512_bf16", torch.bfloat16),
        ("auto", "avx512_f", torch.float32),
        ("fp32", "amx_bf16", torch.float32),
        ("bf16", "avx512_f", torch.bfloat16),
    ],
)
def test_precision_is_the_one_asked_for_or_the_fast_one(
    precision: str, has: str, expected: torch.dtype, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False, has: True}, raising=False)
    params.runtime.precision = precision
    matrix = torch.ones(2, 2)
    with autocast(params.runtime, CPU):
        assert (matrix @ matrix).dtype == expected
    assert (matrix @ matrix).dtype == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_computes_in_bf16_if_it_has_that_itself(
    native: bool, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    asked: list[bool] = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: asked.append(enabled))
    params.runtime.precision = "auto"
    autocast(params.runtime, torch.device("cuda"))
    assert asked == [native]


@pytest.mark.parametrize("name", ["gpu", "cuda:77", "cpu0", ""])
def test_a_device_that_is_not_here_is_told(name: str, params: Params) -> None:
    params.runtime.device = name
    with pytest.raises(
        UserError, match=f"^params.yaml: runtime.device '{name}' is not on this machine: use auto or cpu$"
    ):
        pick_device(params.runtime)


def test_auto_takes_the_best_there_is(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    params.runtime.device = "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device(params.runtime) == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device(params.runtime) == CPU


def test_processes_of_one_run_take_a_gpu_each_and_one_alone_takes_a_free_one(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(device, "_gpu_names", lambda: ["a", "b", "c", "d"])
    monkeypatch.setattr(device, "lock_free_gpu", lambda names: len(names) - 1)
    for name in ("auto", "cuda"):
        params.runtime.device = name
        assert pick_device(params.runtime, Processes(rank=6, count=8, local_rank=2)) == torch.device("cuda:2")
        assert pick_device(params.runtime) == torch.device("cuda:3")
        with pytest.raises(UserError, match="more processes a machine than its 4 GPUs: start at most 4"):
            pick_device(params.runtime, Processes(rank=4, count=8, local_rank=4))
    assert current == [2, 3, 2, 3]
