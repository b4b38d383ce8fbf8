"""The shipped weights: they load, they are not random, and pretraining starts with them."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from mofore.config import Params
from mofore.method.encoders import build_encoder
from mofore.method.initial_model import initial_model
from mofore.method.shipped import FOLDER, averaged_with_shipped, shipped_encoder


@pytest.mark.parametrize(("kind", "channels"), [("residual", 3), ("rgb", 3), ("two_stream", 6)])
def test_features_are_finite_and_not_those_of_random_weights(kind: str, channels: int) -> None:
    x_BCTHW = torch.randn(8, channels, 8, 56, 56)
    shipped, random = shipped_encoder(kind).eval(), build_encoder("small", 0, kind).eval()
    with torch.no_grad():
        features_BD = shipped(x_BCTHW)
        assert features_BD.isfinite().all()
        assert (features_BD.std(dim=0) > 0).float().mean() > 0.9, "noise reaches nearly all features"
        assert not torch.allclose(features_BD, random(x_BCTHW))


def test_two_streams_are_the_two_single_ones() -> None:
    x_BCTHW = torch.randn(2, 6, 8, 56, 56)
    motion, appearance, both = (shipped_encoder(kind).eval() for kind in ("residual", "rgb", "two_stream"))
    with torch.no_grad():
        alone = torch.cat([motion(x_BCTHW[:, :3]), appearance(x_BCTHW[:, 3:])], dim=1)
        torch.testing.assert_close(both(x_BCTHW), alone)


@pytest.mark.parametrize("start", ["shipped", "random"])
def test_pretraining_starts_with_them_if_told_to(params: Params, start: str) -> None:
    model = initial_model(replace(params.encoder, start=start), "two_stream", params.forecast, seed=1)
    shipped = shipped_encoder("two_stream").state_dict()
    for networks in (model.online, model.ema):
        encoder: Any = networks[0]
        state = encoder.state_dict()
        assert all(torch.equal(state[key], shipped[key]) for key in shipped) == (start == "shipped")


def test_it_is_small_and_says_what_it_is_made_of(params: Params) -> None:
    for stream in ("motion", "appearance"):
        assert (FOLDER / f"{stream}.safetensors").stat().st_size < 1e6
        made_of = json.loads((FOLDER / f"{stream}.json").read_text())
        assert made_of["families"] * 8 >= 10_000
        assert made_of["seed"] != params.demo.seed
        assert made_of["effective_rank"] > 5


@pytest.mark.parametrize("kind", ["residual", "two_stream"])
def test_an_averaged_encoder_has_three_quarters_of_the_trained_weights(kind: str) -> None:
    trained = build_encoder("small", 3, kind)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    shipped, averaged = shipped_encoder(kind).state_dict(), averaged_with_shipped(trained, kind).state_dict()
    for name, value in averaged.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * shipped[name])
        assert torch.equal(trained.state_dict()[name], before[name]), "the trained encoder is not changed"
    same = averaged_with_shipped(shipped_encoder(kind), kind).state_dict()
    assert all(torch.allclose(same[name], shipped[name]) for name in same)
