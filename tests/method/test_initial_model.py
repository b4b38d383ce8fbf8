"""The untrained model: the weights of the first training step, and normalisations that fit the data."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from mofore.config import Params
from mofore.embedding.store import FloatArray
from mofore.method.initial_model import MAX_CLIPS, first_targets, fit_normalisation, initial_model
from mofore.method.model import MoFore, PerStream
from mofore.method.saved_model import forecast_clips
from mofore.runtime.distributed import init_distributed
from mofore.training.step import make_train_state


def build(params: Params) -> MoFore:
    return initial_model(params.encoder, params.clip.input, params.forecast, params.seed)


def features(model: MoFore, rows: int) -> FloatArray:
    dim = model.online[0].dim
    assert isinstance(dim, int)
    return (3 + 5 * np.random.default_rng(0).normal(size=(rows, dim))).astype(np.float32)


@pytest.fixture(autouse=True)
def random_state() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("seed", [1, 7])
def test_weights_are_those_of_the_first_training_step(tiny: Params, seed: int) -> None:
    tiny.seed = seed
    with init_distributed() as processes:
        wanted = make_train_state(tiny, torch.device("cpu"), processes).model.state_dict()
    found = build(tiny).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("rows", [2, 50, MAX_CLIPS + 1])
def test_hidden_units_are_normalised_on_the_data(tiny: Params, rows: int) -> None:
    model = build(tiny)
    x_ND, rng = features(model, rows), np.random.default_rng(0)
    weights = {name: value.clone() for name, value in model.named_parameters()}
    fit_normalisation(model, x_ND, rng.integers(0, 9, rows))
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())
    projectors = model.online[1]
    assert isinstance(projectors, PerStream)
    projector = projectors[0]
    assert isinstance(projector, nn.Sequential)
    with torch.inference_mode():
        hidden_NH = projector[1](projector[0](torch.tensor(x_ND)))
    assert hidden_NH.mean(dim=0).abs().max() < 0.1
    if rows > 2:
        assert hidden_NH.std(dim=0).numpy() == pytest.approx(1, abs=0.1)


def test_targets_are_those_of_the_ema_networks_without_batch_norm(tiny: Params) -> None:
    tiny.forecast.batch_norm = False
    model = build(tiny)
    x_ND = features(model, 6)
    fit_normalisation(model, x_ND, np.arange(6))
    with torch.inference_mode():
        assert first_targets(model, x_ND) == pytest.approx(model.ema[1](torch.tensor(x_ND)).numpy())
    assert forecast_clips(model, x_ND, np.arange(3), np.arange(3)).shape == (3, 8)


def test_without_a_projector_the_features_are_the_targets(tiny: Params) -> None:
    tiny.forecast.projection_dim = 0
    model = build(tiny)
    x_ND = features(model, 4)
    assert (first_targets(model, x_ND) == x_ND).all()
