"""Synchronised batch normalisation equals that of one process with all rows."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mofore.runtime.distributed import SINGLE, Processes
from mofore.runtime.sync_batchnorm import CpuSyncBatchNorm, convert_sync_batchnorm
from tests.helpers.launched import run_distributed

ROWS = 12
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "features": (nn.BatchNorm1d(5), (5,)),
    "not affine": (nn.BatchNorm1d(5, affine=False), (5,)),
    "clips": (nn.BatchNorm3d(5, momentum=0.3), (5, 2, 4, 3)),
}


def rows(shape: tuple[int, ...], seed: int) -> Tensor:
    """Random rows with a standard deviation of 3 and a mean that grows from row to row."""
    x = torch.randn(ROWS, *shape, generator=torch.Generator().manual_seed(seed))
    x = 3 * x + torch.arange(ROWS).view(-1, *[1] * len(shape))
    return x.contiguous(memory_format=torch.channels_last_3d) if x.ndim == 5 else x


def normalise(processes: Processes, kind: str, dtype: torch.dtype) -> list[Any]:
    """Outputs, gradients and running statistics of two batches, then the output in eval mode."""
    layer, shape = LAYERS[kind]
    network = nn.Sequential(copy.deepcopy(layer)).train()
    if processes.count > 1:
        convert_sync_batchnorm(network)
        assert isinstance(network[0], CpuSyncBatchNorm)
    for number, parameter in enumerate(network.parameters()):
        nn.init.uniform_(parameter, 1 + number, 2 + number, torch.Generator().manual_seed(7))
    own_rows, found = processes.shard(list(range(ROWS))), []
    for seed in range(2):
        x = rows(shape, seed)[own_rows].to(dtype).requires_grad_()
        y = network(x)
        (y.float() * rows(shape, 9)[own_rows]).square().sum().backward()
        parameters = [p.grad for p in network.parameters()]
        found.append({"y": y.detach(), "x": x.grad, "parameters": parameters, "buffers": dict(network.state_dict())})
        network.zero_grad()
    network.eval()
    return [*found, network(rows(shape, 5).to(dtype)).detach()]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", list(LAYERS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_equals_one_process_with_all_rows(count: int, kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    *expected, expected_eval = normalise(SINGLE, kind, dtype)
    exact: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.5}
    by_rank = run_distributed(count, tmp_path / "many", normalise, kind, dtype)
    for rank, (*steps, evaluated) in enumerate(by_rank):
        own_rows = Processes(rank, count).shard(list(range(ROWS)))
        torch.testing.assert_close(evaluated, expected_eval, **exact)
        for step, wanted in zip(steps, expected, strict=True):
            torch.testing.assert_close(step["y"], wanted["y"][own_rows], **exact)
            torch.testing.assert_close(step["x"], wanted["x"][own_rows], **exact)
            torch.testing.assert_close(step["buffers"], wanted["buffers"], **exact)
    for number, wanted in enumerate(expected):
        for parameter, gradient in enumerate(wanted["parameters"]):
            total = sum(steps[number]["parameters"][parameter] for steps in by_rank)
            torch.testing.assert_close(total, gradient, rtol=exact["rtol"], atol=exact["rtol"] * gradient.abs().max())


def test_parameters_and_their_names_are_kept() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()))
    before = dict(network.state_dict(keep_vars=True))
    convert_sync_batchnorm(network)
    after = dict(network.state_dict(keep_vars=True))
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
