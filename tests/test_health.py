"""Health measures at the ends of their ranges, and against their definitions."""

import math

import pytest
import torch

from mofore.health import alignment, effective_rank, spread, uniformity


def gaussian(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(torch.ones(50, 8)) == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.eye(8).repeat(5, 1)) == pytest.approx(8, rel=1e-4)
    flat = gaussian(500, 3) @ gaussian(3, 20, seed=1)
    assert 2 < effective_rank(flat) <= 3.001


def test_spread_tells_collapse_from_health() -> None:
    assert spread(torch.ones(50, 16)) == pytest.approx(0, abs=1e-6)
    assert spread(gaussian(2000, 64)) == pytest.approx(1, abs=0.03)


def test_alignment_is_0_to_4() -> None:
    z = gaussian(10, 5)
    assert alignment(z, 3 * z) == pytest.approx(0, abs=1e-6)
    assert alignment(z, -z) == pytest.approx(4, abs=1e-5)


def test_uniformity_equals_its_definition() -> None:
    z = torch.nn.functional.normalize(gaussian(7, 4), dim=1)
    potentials = [math.exp(-2 * float((z[i] - z[j]).square().sum())) for i in range(7) for j in range(7) if i < j]
    assert uniformity(5 * z) == pytest.approx(math.log(sum(potentials) / len(potentials)), abs=1e-5)
    assert uniformity(torch.ones(9, 4)) == pytest.approx(0, abs=1e-6)
