"""The losses equal slow versions in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mofore.method.losses import (
    DIRECTIONS,
    FARTHEST,
    POINTS,
    decorrelation_loss,
    forecasting_loss,
    sigreg_loss,
    vicreg_loss,
)
from tests.helpers.info_nce import info_nce

sizes = st.integers(2, 12)


def slow_cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def slow_contrastive(
    forecast: torch.Tensor,
    target: torch.Tensor,
    group: list[int],
    temperature: float,
    backwards: torch.Tensor | None = None,
) -> float:
    total = 0.0
    for i in range(len(group)):
        score = {
            j: math.exp(slow_cosine(forecast[i].tolist(), target[j].tolist()) / temperature)
            for j in range(len(group))
            if j == i or group[j] != group[i]
        }
        if backwards is not None:
            score[-1] = math.exp(slow_cosine(forecast[i].tolist(), backwards[i].tolist()) / temperature)
        total -= math.log(score[i] / sum(score.values()))
    return total / len(group)


@given(batch=sizes, dim=sizes, seed=st.integers(0, 1000))
def test_forecasting_loss_is_the_squared_distance_of_unit_vectors(batch: int, dim: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, batch, dim, generator=generator)
    expected = sum(2 - 2 * slow_cosine(x.tolist(), y.tolist()) for x, y in zip(a, b, strict=True)) / batch
    assert forecasting_loss(a, b).item() == pytest.approx(expected, abs=1e-5)


@given(batch=sizes, dim=sizes, groups=st.integers(1, 4), temperature=st.floats(0.05, 2), seed=st.integers(0, 1000))
def test_contrastive_loss_equals_the_definition(
    batch: int, dim: int, groups: int, temperature: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, batch, dim, generator=generator)
    group = torch.randint(groups, (batch,), generator=generator)
    loss, accuracy = info_nce(a, b, group, temperature)
    assert loss.item() == pytest.approx(slow_contrastive(a, b, group.tolist(), temperature), rel=1e-3, abs=1e-4)
    assert 0 <= accuracy.item() <= 1


@given(batch=sizes, dim=sizes, seed=st.integers(0, 1000))
def test_the_time_reversed_future_is_one_more_negative(batch: int, dim: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b, backwards = torch.randn(3, batch, dim, generator=generator)
    group = torch.randint(3, (batch,), generator=generator)
    loss, accuracy = info_nce(a, b, group, 0.3, backwards)
    assert loss.item() == pytest.approx(slow_contrastive(a, b, group.tolist(), 0.3, backwards), rel=1e-3, abs=1e-4)
    assert info_nce(a, b, group, 0.3, a)[1].item() <= accuracy.item()


def test_a_perfect_forecast_is_nearest_to_its_own_target() -> None:
    z = torch.eye(6)
    loss, accuracy = info_nce(z, z, torch.arange(6), temperature=0.05)
    assert accuracy.item() == 1
    assert loss.item() < 1e-6


def test_videos_of_the_same_group_are_no_negatives() -> None:
    forecast, target = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
    loss, accuracy = info_nce(forecast, target, torch.zeros(8, dtype=torch.long), temperature=0.1)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert accuracy.item() == 1


def test_no_gradient_reaches_masked_negatives() -> None:
    forecast, target = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    target.requires_grad_()
    loss, _ = info_nce(forecast[:1].expand(4, -1), target, torch.tensor([0, 0, 1, 2]), temperature=0.1)
    loss.backward()
    assert torch.isfinite(target.grad).all()


def test_losses_do_not_depend_on_lengths() -> None:
    forecast, target = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    group = torch.arange(6)
    assert forecasting_loss(7 * forecast, target).item() == pytest.approx(
        forecasting_loss(forecast, 3 * target).item(), abs=1e-5
    )
    a = info_nce(7 * forecast, target, group, 0.1)[0].item()
    b = info_nce(forecast, 3 * target, group, 0.1)[0].item()
    assert a == pytest.approx(b, rel=1e-4)


def test_bf16_inputs_are_compared_in_float32() -> None:
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(2)).bfloat16()
    assert forecasting_loss(z, z).dtype == torch.float32
    assert info_nce(z, z, torch.arange(4), 0.1)[0].dtype == torch.float32
    assert decorrelation_loss(z).dtype == torch.float32


@given(batch=st.integers(3, 12), dim=sizes, seed=st.integers(0, 1000))
def test_decorrelation_loss_equals_the_definition(batch: int, dim: int, seed: int) -> None:
    x = torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed))
    r = np.corrcoef(x.double().numpy(), rowvar=False)
    expected = sum(r[i, j] ** 2 for i in range(dim) for j in range(dim) if i != j) / dim
    assert decorrelation_loss(x).item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_decorrelation_loss_of_copies_and_of_independent_features() -> None:
    x = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(3))
    assert decorrelation_loss(torch.cat([x, -5 * x, x + 7], dim=1)).item() == pytest.approx(2, abs=1e-4)
    independent = torch.randn(10_000, 20, generator=torch.Generator().manual_seed(4))
    assert decorrelation_loss(independent).item() == pytest.approx(20 / 10_000, rel=0.3)


def test_decorrelation_of_a_constant_feature_has_finite_gradients() -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(5))
    x[:, 1] = 0.5
    x.requires_grad_()
    decorrelation_loss(x).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_further_candidates_are_negatives_unless_they_are_of_the_same_group() -> None:
    generator = torch.Generator().manual_seed(0)
    forecast, target, others = torch.randn(3, 4, 6, generator=generator)
    candidates, group = torch.cat([target, others]), [0, 1, 2, 3, 1, 9, 9, 0]
    expected = 0.0
    for i in range(4):
        score = {
            j: math.exp(slow_cosine(forecast[i].tolist(), candidates[j].tolist()) / 0.3)
            for j in range(8)
            if j == i or group[j] != group[i]
        }
        expected -= math.log(score[i] / sum(score.values())) / 4
    assert info_nce(forecast, candidates, torch.tensor(group), 0.3)[0].item() == pytest.approx(expected, rel=1e-4)


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
        distances = [
            abs(np.mean(np.exp(1j * t * along)) - math.exp(-(t**2) / 2)) ** 2 * math.exp(-(t**2) / 2) for t in points
        ]
        total += len(x) * np.trapezoid(distances, points)
    return total / directions.shape[1]


def test_sigreg_equals_the_definition() -> None:
    x_BP = normal(9, 5)
    torch.manual_seed(3)
    found = sigreg_loss(x_BP).item()
    torch.manual_seed(3)
    directions = torch.randn(5, DIRECTIONS).double().numpy()
    assert found == pytest.approx(slow_sigreg(x_BP.double().numpy(), directions), rel=1e-4)


@pytest.mark.parametrize("loss", [vicreg_loss, sigreg_loss])
def test_isotropic_projections_have_a_lower_loss_than_collapsed_ones(loss: object) -> None:
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
