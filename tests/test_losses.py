"""The losses against slow references written from their definitions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mofore.losses import contrastive_loss, decorrelating_loss, forecasting_loss

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
    loss, picked = contrastive_loss(a, b, group, temperature)
    assert loss.item() == pytest.approx(slow_contrastive(a, b, group.tolist(), temperature), rel=1e-3, abs=1e-4)
    assert 0 <= picked.item() <= 1


@given(batch=sizes, dim=sizes, seed=st.integers(0, 1000))
def test_the_future_backwards_is_one_more_negative(batch: int, dim: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b, backwards = torch.randn(3, batch, dim, generator=generator)
    group = torch.randint(3, (batch,), generator=generator)
    loss, picked = contrastive_loss(a, b, group, 0.3, backwards)
    assert loss.item() == pytest.approx(slow_contrastive(a, b, group.tolist(), 0.3, backwards), rel=1e-3, abs=1e-4)
    assert contrastive_loss(a, b, group, 0.3, a)[1].item() <= picked.item()


def test_a_perfect_forecast_picks_its_own_future() -> None:
    z = torch.eye(6)
    loss, picked = contrastive_loss(z, z, torch.arange(6), temperature=0.05)
    assert picked.item() == 1
    assert loss.item() < 1e-6


def test_videos_of_one_group_are_no_negatives() -> None:
    forecast, target = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
    loss, picked = contrastive_loss(forecast, target, torch.zeros(8, dtype=torch.long), temperature=0.1)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert picked.item() == 1


def test_no_gradient_reaches_masked_negatives() -> None:
    forecast, target = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    target.requires_grad_()
    loss, _ = contrastive_loss(forecast[:1].expand(4, -1), target, torch.tensor([0, 0, 1, 2]), temperature=0.1)
    loss.backward()
    assert torch.isfinite(target.grad).all()


def test_losses_do_not_depend_on_lengths() -> None:
    forecast, target = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    group = torch.arange(6)
    assert forecasting_loss(7 * forecast, target).item() == pytest.approx(
        forecasting_loss(forecast, 3 * target).item(), abs=1e-5
    )
    a = contrastive_loss(7 * forecast, target, group, 0.1)[0].item()
    b = contrastive_loss(forecast, 3 * target, group, 0.1)[0].item()
    assert a == pytest.approx(b, rel=1e-4)


def test_bf16_inputs_are_compared_in_float32() -> None:
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(2)).bfloat16()
    assert forecasting_loss(z, z).dtype == torch.float32
    assert contrastive_loss(z, z, torch.arange(4), 0.1)[0].dtype == torch.float32
    assert decorrelating_loss(z).dtype == torch.float32


@given(batch=st.integers(3, 12), dim=sizes, seed=st.integers(0, 1000))
def test_decorrelation_loss_equals_the_definition(batch: int, dim: int, seed: int) -> None:
    x = torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed))
    r = np.corrcoef(x.double().numpy(), rowvar=False)
    expected = sum(r[i, j] ** 2 for i in range(dim) for j in range(dim) if i != j) / dim
    assert decorrelating_loss(x).item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_decorrelation_loss_of_copies_and_of_independent_features() -> None:
    x = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(3))
    assert decorrelating_loss(torch.cat([x, -5 * x, x + 7], dim=1)).item() == pytest.approx(2, abs=1e-4)
    independent = torch.randn(10_000, 20, generator=torch.Generator().manual_seed(4))
    assert decorrelating_loss(independent).item() == pytest.approx(20 / 10_000, rel=0.3)


def test_a_dead_feature_is_no_trouble_to_decorrelation() -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(5))
    x[:, 1] = 0.5
    x.requires_grad_()
    decorrelating_loss(x).backward()
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
    assert contrastive_loss(forecast, candidates, torch.tensor(group), 0.3)[0].item() == pytest.approx(
        expected, rel=1e-4
    )
