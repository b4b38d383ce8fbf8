"""Collapse diagnostics at the limits of their ranges and against their definitions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mofore.embedding import geometry
from mofore.embedding.geometry import alignment, effective_rank, is_constant, spread, standardise, uniformity


def gaussian(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(np.ones((50, 8))) == pytest.approx(1, abs=1e-3)
    assert effective_rank(np.tile(np.eye(8), (5, 1))) == pytest.approx(8, rel=1e-4)
    flat = gaussian(500, 3) @ gaussian(3, 20, seed=1)
    assert 2 < effective_rank(flat) <= 3.001


def test_spread_is_0_when_collapsed_and_1_when_isotropic() -> None:
    assert spread(np.ones((50, 16))) == pytest.approx(0, abs=1e-6)
    assert spread(gaussian(2000, 64)) == pytest.approx(1, abs=0.03)


@given(n=st.integers(1, 40), dim=st.integers(1, 12), scale=st.sampled_from([0.0, 1e-3, 1.0, 50.0]))
def test_rank_and_spread_equal_their_definitions(n: int, dim: int, scale: float) -> None:
    """The definitions are written in torch here."""
    x = (1 + scale * np.random.default_rng(n).normal(size=(n, dim))).astype(np.float32)
    z = torch.from_numpy(x)
    share = torch.linalg.svdvals(z) / torch.linalg.svdvals(z).sum().clamp_min(1e-12)
    rank = torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()).item()
    assert effective_rank(x) == pytest.approx(rank, rel=1e-2)
    coordinates = torch.nn.functional.normalize(z, dim=1)
    deviation = coordinates.std(dim=0, unbiased=False).mean().item()
    assert spread(x) == pytest.approx(deviation * dim**0.5, rel=1e-3, abs=1e-5)


def test_rank_of_orthogonal_directions_is_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.repeat(np.eye(12, dtype=np.float32)[:7], 5, axis=0)
    assert effective_rank(x) == pytest.approx(7)
    monkeypatch.setattr(geometry, "ROWS_PER_BLOCK", 3)
    assert effective_rank(x) == pytest.approx(7)
    assert effective_rank(np.zeros((5, 3), np.float32)) == 1


def test_alignment_is_0_to_4() -> None:
    z = gaussian(10, 5)
    assert alignment(z, 3 * z) == pytest.approx(0, abs=1e-6)
    assert alignment(z, -z) == pytest.approx(4, abs=1e-5)


def test_uniformity_equals_its_definition() -> None:
    z = gaussian(7, 4)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    potentials = [math.exp(-2 * float(np.square(z[i] - z[j]).sum())) for i in range(7) for j in range(7) if i < j]
    assert uniformity(5 * z) == pytest.approx(math.log(sum(potentials) / len(potentials)), abs=1e-5)
    assert uniformity(np.ones((9, 4))) == pytest.approx(0, abs=1e-6)


def test_constant_embeddings() -> None:
    x_ND = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert not is_constant(x_ND)
    assert is_constant(x_ND[:1])
    assert is_constant(np.repeat(x_ND[:1], 4, axis=0))
    assert is_constant(np.zeros((4, 3), np.float32))
    near = np.repeat(x_ND[:1], 4, axis=0)
    near[2, 1] *= 1 + 1e-6
    assert is_constant(near), "rounding"
    near[2, 1] *= 1.1
    assert not is_constant(near)


def test_features_are_standardised_by_the_training_videos() -> None:
    x = np.random.default_rng(0).normal(5, 3, (30, 4))
    train = np.arange(30) < 20
    found = standardise(x, train)
    assert found == pytest.approx((x - x[:20].mean(axis=0)) / x[:20].std(axis=0), abs=1e-5)
    other_test = np.where(train[:, None], x, 1000)
    assert (standardise(other_test, train)[:20] == found[:20]).all()


def test_a_feature_that_is_constant_over_training_videos_becomes_zero() -> None:
    x = np.random.default_rng(0).normal(size=(6, 2))
    x[:, 0] = math.log(161)
    x[5, 0] = 7  # a test video that differs
    found = standardise(x, np.arange(6) < 4)
    assert (found[:, 0] == 0).all()
    assert (found[:, 1] != 0).all()


def test_without_training_videos_all_videos_are_used_to_standardise() -> None:
    found = standardise(np.random.default_rng(0).normal(size=(9, 2)), np.zeros(9, bool))
    assert found.mean(axis=0) == pytest.approx(0, abs=1e-6)
    assert found.std(axis=0) == pytest.approx(1, abs=1e-6)


def test_a_feature_whose_differences_are_rounding_becomes_zero() -> None:
    x = np.full((20, 1), 300, np.float32) + np.random.default_rng(0).choice([0, 3e-5], (20, 1)).astype(np.float32)
    assert len(np.unique(x)) == 2
    assert (standardise(x, np.ones(20, bool)) == 0).all()
