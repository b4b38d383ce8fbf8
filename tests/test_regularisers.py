"""The regularisers against slow references written from their definitions, and what they call well spread."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mofore.regularisers import DIRECTIONS, FARTHEST, POINTS, sigreg_loss, vicreg_loss


def normal(batch: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed))


def slow_vicreg(x: list[list[float]]) -> float:
    n, d = len(x), len(x[0])
    mean = [sum(row[j] for row in x) / n for j in range(d)]
    covariance = [
        [sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in x) / (n - 1) for j in range(d)] for i in range(d)
    ]
    variance = sum(max(0.0, 1 - math.sqrt(covariance[j][j] + 1e-4)) for j in range(d)) / d
    return variance + sum(covariance[i][j] ** 2 for i in range(d) for j in range(d) if i != j) / d / 25


@given(batch=st.integers(2, 9), dim=st.integers(1, 6), seed=st.integers(0, 1000))
def test_vicreg_equals_the_definition(batch: int, dim: int, seed: int) -> None:
    x_BP = 0.7 * normal(batch, dim, seed)
    assert vicreg_loss(x_BP).item() == pytest.approx(slow_vicreg(x_BP.tolist()), rel=1e-4, abs=1e-5)


def slow_sigreg(x: np.ndarray, directions: np.ndarray) -> float:
    points = np.linspace(-FARTHEST, FARTHEST, 2 * POINTS - 1)
    total = 0.0
    for direction in directions.T:
        along = x @ (direction / np.linalg.norm(direction))
        apart = [
            abs(np.mean(np.exp(1j * t * along)) - math.exp(-(t**2) / 2)) ** 2 * math.exp(-(t**2) / 2) for t in points
        ]
        total += len(x) * np.trapezoid(apart, points)
    return total / directions.shape[1]


def test_sigreg_equals_the_definition() -> None:
    x_BP = normal(9, 5)
    torch.manual_seed(3)
    found = sigreg_loss(x_BP).item()
    torch.manual_seed(3)
    directions = torch.randn(5, DIRECTIONS).double().numpy()
    assert found == pytest.approx(slow_sigreg(x_BP.double().numpy(), directions), rel=1e-4)


@pytest.mark.parametrize("loss", [vicreg_loss, sigreg_loss])
def test_a_full_space_beats_a_collapsed_one(loss: object) -> None:
    assert callable(loss)
    full_BP = normal(256, 8)
    shrunk_BP, flat_BP = 0.05 * full_BP, full_BP[:, :1].expand(-1, 8)
    assert loss(full_BP) < 0.2 * min(loss(shrunk_BP), loss(flat_BP))


@pytest.mark.parametrize("loss", [vicreg_loss, sigreg_loss])
def test_gradients_are_finite_at_total_collapse(loss: object) -> None:
    assert callable(loss)
    x_BP = torch.zeros(8, 4, requires_grad=True)
    loss(x_BP).backward()
    assert x_BP.grad is not None
    assert x_BP.grad.isfinite().all()
