"""The networks: shapes, gradients, EMA update, and the effect of the gap."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from mofore.config import Forecast, Params
from mofore.method.encoders import build_encoder
from mofore.method.model import LONGEST_GAP, GapEmbedding, MoFore


@pytest.fixture
def forecast(params: Params) -> Forecast:
    return replace(params.forecast, projection_dim=16, hidden_dim=32)


@pytest.fixture
def model(forecast: Forecast) -> MoFore:
    torch.manual_seed(0)
    return MoFore(build_encoder("small", seed=0), forecast)


def clips(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))


def test_shapes(model: MoFore) -> None:
    gap_BF = torch.tensor([[0, 1, 5], [7, 50, 2]])
    embedded = model(clips(2), gap_BF, clips(6), clips(6))
    assert embedded.forecast_NP.shape == embedded.target_NP.shape == embedded.reversed_NP.shape == (6, 16)
    assert embedded.features_BD.shape == (2, model.encoder.dim)
    assert embedded.projection_BP.shape == (2, 16)


def test_a_model_of_one_of_two_streams_takes_differences(model: MoFore, forecast: Forecast) -> None:
    both = MoFore(build_encoder("small", seed=0, input="two_stream"), forecast)
    assert (model.input_of("two_stream"), both.input_of("two_stream")) == ("residual", "two_stream")
    assert [model.input_of(kind) for kind in ("rgb", "residual", "both")] == ["rgb", "residual", "both"]


def forecasts(model: MoFore, gap_BF: torch.Tensor) -> torch.Tensor:
    """Forecasts, [B, F, P]."""
    n_contexts, futures = gap_BF.shape
    forecast_NP: torch.Tensor = model(clips(n_contexts), gap_BF, clips(n_contexts * futures), None).forecast_NP
    return forecast_NP.detach().view(n_contexts, futures, -1)


def test_each_future_is_forecast_from_its_context_at_its_gap(model: MoFore) -> None:
    model.eval()
    gap_BF = torch.tensor([[0, 9], [40, 3]])
    both_BFP = forecasts(model, gap_BF)
    for i in range(2):
        torch.testing.assert_close(forecasts(model, gap_BF[:, i, None])[:, 0], both_BFP[:, i])


def test_gap_conditioning_none_and_shuffled(model: MoFore, forecast: Forecast) -> None:
    gap_BF, other_BF = torch.tensor([[0], [9], [40]]), torch.tensor([[5], [6], [7]])
    untold = MoFore(build_encoder("small", seed=0), replace(forecast, gap_conditioning="none"))
    assert torch.equal(forecasts(untold, gap_BF), forecasts(untold, other_BF))
    predictor: Any = untold.predictor[0]
    assert predictor[0].in_features == 16, "nothing of the gap reaches the predictor"
    true_gap_BFP = forecasts(model, gap_BF)
    model.gap_conditioning = "shuffled"
    shuffled_BFP = forecasts(model, gap_BF)
    assert not torch.allclose(shuffled_BFP, true_gap_BFP)
    torch.testing.assert_close(forecasts(model, gap_BF.roll(-1, 0)), true_gap_BFP)  # rolled back by one context
    model.gap_conditioning = "gap"
    z_BP = torch.randn(3, 16)
    true_gap_NP = model.eval().predict(z_BP, gap_BF)
    model.gap_conditioning = "shuffled"
    assert torch.equal(model.predict(z_BP, gap_BF), true_gap_NP)  # in eval mode the gap is not shuffled


def test_the_target_has_no_gradient(model: MoFore) -> None:
    assert not model.target(clips()).requires_grad
    model(clips(), torch.zeros(4, 1), clips(), None).forecast_NP.sum().backward()
    assert all(p.grad is None for p in model.ema.parameters())
    assert all(p.grad is not None for p in model.online.parameters())
    assert all(p.grad is not None for p in model.predictor.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_the_ema_weights_are_moved_towards_the_online_weights(model: MoFore, momentum: float) -> None:
    before = [p.clone() for p in model.ema.parameters()]
    with torch.no_grad():
        for p in model.online.parameters():
            p.add_(torch.randn_like(p))
    model.update_ema(momentum)
    for old, new, online in zip(before, model.ema.parameters(), model.online.parameters(), strict=True):
        assert torch.allclose(new, momentum * old + (1 - momentum) * online, atol=1e-6)


def test_the_forecast_depends_on_the_gap(model: MoFore) -> None:
    model.eval()
    near, far = (forecasts(model, torch.full((4, 1), gap)) for gap in (0, 40))
    assert (near - far).abs().max() > 1e-3


def test_gap_embeddings_of_different_gaps_differ() -> None:
    gaps = torch.tensor([0, 1, 2, 3, 5, 8, 16, 32, 64, 128, 500, LONGEST_GAP])
    distance = torch.cdist(GapEmbedding()(gaps), GapEmbedding()(gaps)) + 9 * torch.eye(len(gaps))
    assert distance.min() > 0.1


def test_the_encoder_that_is_kept_is_the_online_or_the_ema_one(model: MoFore, forecast: Forecast) -> None:
    assert isinstance(model.encoder, nn.Module)
    assert model.encoder is model.online[0]
    teacher = MoFore(build_encoder("small", seed=0), forecast, keep="ema")
    assert teacher.encoder is teacher.ema[0]


def test_without_a_projector_forecasts_are_made_among_features(forecast: Forecast) -> None:
    model = MoFore(build_encoder("small_2d", 0), replace(forecast, projection_dim=0)).eval()
    embedded = model(clips(2), torch.tensor([[0], [7]]), clips(2), None)
    assert torch.equal(embedded.projection_BP, embedded.features_BD)
    assert torch.equal(embedded.target_NP, model.ema[0](clips(2)))
    assert embedded.forecast_NP.shape == (2, model.encoder.dim)


def test_the_papers_predictor_is_two_layers(forecast: Forecast) -> None:
    """W2 s(W1 z), with biases, and nothing else."""
    plain = replace(forecast, projection_dim=0, batch_norm=False, gap_conditioning="none", residual=False)
    model = MoFore(build_encoder("small_2d", 0), plain)
    z_BP = torch.randn(3, model.projection_dim)
    predictor: Any = model.predictor[0]
    first, last = (layer for layer in predictor if isinstance(layer, nn.Linear))
    expected_BP = (z_BP @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(model.predict(z_BP, torch.zeros(3, 1)), expected_BP)


@pytest.mark.parametrize("gap_conditioning", ["gap", "none"])
@pytest.mark.parametrize("streams", [1, 2])
def test_the_predictor_can_give_the_change_from_the_projection(
    forecast: Forecast, gap_conditioning: str, streams: int
) -> None:
    """The same networks, with and without: forecasts differ by the projection, of each future's own context."""
    forecast = replace(forecast, gap_conditioning=gap_conditioning)
    encoder = build_encoder("small", 0, "residual" if streams == 1 else "two_stream")
    plain, changed = (MoFore(encoder, replace(forecast, residual=residual)).eval() for residual in (False, True))
    changed.load_state_dict(plain.state_dict())
    projection_BP, gap_BF = torch.randn(3, plain.projection_dim), torch.tensor([[0, 5], [1, 9], [30, 2]])
    difference_NP = changed.predict(projection_BP, gap_BF) - plain.predict(projection_BP, gap_BF)
    torch.testing.assert_close(difference_NP, projection_BP.repeat_interleave(2, dim=0))
