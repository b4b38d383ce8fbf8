"""Choice of device and precision."""

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
def test_precision_is_as_set_and_auto_takes_the_fastest(
    precision: str, has: str, expected: torch.dtype, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False, has: True}, raising=False)
    params.runtime.precision = precision
    matrix = torch.ones(2, 2)
    with autocast(params.runtime, CPU):
        assert (matrix @ matrix).dtype == expected
    assert (matrix @ matrix).dtype == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_bf16_on_gpus_that_support_it_natively(
    native: bool, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    enabled_bf16: list[bool] = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: enabled_bf16.append(enabled))
    params.runtime.precision = "auto"
    autocast(params.runtime, torch.device("cuda"))
    assert enabled_bf16 == [native]


@pytest.mark.parametrize("name", ["gpu", "cuda:77", "cpu0", ""])
def test_a_missing_device_is_an_error(name: str, params: Params) -> None:
    params.runtime.device = name
    with pytest.raises(
        UserError, match=f"^params.yaml: runtime.device '{name}' is not on this machine: use auto or cpu$"
    ):
        pick_device(params.runtime)


def test_auto_never_takes_mps(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    params.runtime.device = "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device(params.runtime) == CPU


def test_mps_by_name_warns_once(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params.runtime.device = "mps"
    monkeypatch.setattr(torch, "empty", lambda *_, device: None)
    assert pick_device(params.runtime) == torch.device("mps")
    assert pick_device(params.runtime, Processes(rank=1, count=2)) == torch.device("mps")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: params.yaml: runtime.device is mps, where ")


def test_processes_use_the_gpu_of_their_local_rank_and_a_single_one_a_free_gpu(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(device, "_gpu_names", lambda: ("a", "b", "c", "d"))
    monkeypatch.setattr(device, "lock_free_gpu", lambda names: len(names) - 1)
    for name in ("auto", "cuda"):
        params.runtime.device = name
        assert pick_device(params.runtime, Processes(rank=6, count=8, local_rank=2)) == torch.device("cuda:2")
        assert pick_device(params.runtime) == torch.device("cuda:3")
        with pytest.raises(UserError, match="more processes than this machine has GPUs: start at most 4"):
            pick_device(params.runtime, Processes(rank=4, count=8, local_rank=4))
    assert current == [2, 3, 2, 3]
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    params.runtime.device = "cuda:1"
    assert pick_device(params.runtime) == torch.device("cuda:1")
    with pytest.raises(UserError, match=r"runtime.device is cuda:1, but each process needs its own: use cuda"):
        pick_device(params.runtime, Processes(rank=1, count=2, local_rank=1))


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
@pytest.mark.parametrize(("precision", "tf32"), [("auto", True), ("fp32", False), ("bf16", True)])
def test_a_gpu_uses_tf32_unless_float32_is_wanted_and_tries_cudnns_algorithms(
    name: str, precision: str, tf32: bool, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)  # on a GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(device, "_gpu_names", lambda: ("a",))
    monkeypatch.setattr(device, "lock_free_gpu", lambda _: 0)
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    params.runtime.device, params.runtime.precision = name, precision
    try:
        pick_device(params.runtime)
        assert torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.allow_tf32 == tf32
        assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before[:2]
        torch.set_float32_matmul_precision(before[2])
