"""The networks: shapes, what learns and what follows, and that the gap is heard."""

import pytest
import torch
from torch import nn

from mofore.encoder import build_encoder
from mofore.model import LONGEST_GAP, GapEmbedding, MoFore


@pytest.fixture
def model() -> MoFore:
    torch.manual_seed(0)
    return MoFore(build_encoder("small", seed=0), projection=16, hidden=32)


def clips(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))


def test_shapes(model: MoFore) -> None:
    forecast, features = model.forecast(clips(), torch.tensor([0, 1, 5, 50]))
    assert forecast.shape == (4, 16)
    assert features.shape == (4, model.encoder.dim)
    assert model.target(clips()).shape == (4, 16)


def test_the_target_has_no_gradient(model: MoFore) -> None:
    assert not model.target(clips()).requires_grad
    model.forecast(clips(), torch.zeros(4))[0].sum().backward()
    assert all(p.grad is None for p in model.ema.parameters())
    assert all(p.grad is not None for p in model.online.parameters())
    assert all(p.grad is not None for p in model.predictor.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_the_ema_encoder_follows(model: MoFore, momentum: float) -> None:
    before = [p.clone() for p in model.ema.parameters()]
    with torch.no_grad():
        for p in model.online.parameters():
            p.add_(torch.randn_like(p))
    model.update_ema(momentum)
    for old, new, online in zip(before, model.ema.parameters(), model.online.parameters(), strict=True):
        assert torch.allclose(new, momentum * old + (1 - momentum) * online, atol=1e-6)


def test_the_forecast_depends_on_the_gap(model: MoFore) -> None:
    model.eval()
    near, far = (model.forecast(clips(), torch.full((4,), gap))[0] for gap in (0, 40))
    assert (near - far).abs().max() > 1e-3


def test_gap_embedding_tells_every_pair_of_gaps_apart() -> None:
    gaps = torch.tensor([0, 1, 2, 3, 5, 8, 16, 32, 64, 128, 500, LONGEST_GAP])
    distance = torch.cdist(GapEmbedding()(gaps), GapEmbedding()(gaps)) + 9 * torch.eye(len(gaps))
    assert distance.min() > 0.1


def test_the_encoder_that_is_kept_is_the_online_one(model: MoFore) -> None:
    assert isinstance(model.encoder, nn.Module)
    assert model.encoder is model.online[0]
