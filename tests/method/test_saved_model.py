"""Saving and loading the whole model; each weight is in exactly one file."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mofore.config import Params
from mofore.errors import UserError
from mofore.method.encoders import Encoder, TwoStream, build_encoder, load_encoder, save_encoder
from mofore.method.model import MoFore
from mofore.method.saved_model import forecast_clips, load_forecaster, save_forecaster
from mofore.method.shipped import averaged_with_shipped


@pytest.fixture(params=["online", "ema"])
def model(tiny: Params, request: pytest.FixtureRequest) -> MoFore:
    """A model whose EMA weights and running statistics differ from the initial ones."""
    torch.manual_seed(0)
    made = MoFore(build_encoder("small", seed=5), tiny.forecast, keep=request.param)
    clips = torch.randn(3, 3, 4, 16, 16)
    made(clips, torch.tensor([[0], [3], [6]]), clips + 1, None)
    with torch.no_grad():
        for weight in made.online.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    made.update_ema(0.5)
    return made


def save(folder: Path, model: MoFore, params: Params) -> Path:
    save_encoder(folder, model.encoder, "small", params.clip)
    save_forecaster(folder, model, params.forecast)
    return folder


def test_a_saved_model_is_rebuilt_exactly(tmp_path: Path, model: MoFore, tiny: Params) -> None:
    loaded, forecast = load_forecaster(save(tmp_path / "model", model, tiny))
    assert forecast == tiny.forecast
    assert loaded.keep == model.keep
    assert not any(module.training for module in loaded.modules())
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)

    clips, gap = torch.randn(2, 3, 4, 16, 16), torch.tensor([1, 5])
    with torch.no_grad():
        before_NP, after_NP = (one.eval()(clips, gap[:, None], clips, None).forecast_NP for one in (model, loaded))
        assert torch.equal(before_NP, after_NP)
        assert torch.equal(model.target(clips), loaded.target(clips))
    assert not any(weight.requires_grad for weight in loaded.ema.parameters())


@pytest.mark.parametrize("input", ["residual", "two_stream"])
def test_one_stream_or_both_of_an_encoder_forecast(tmp_path: Path, model: MoFore, tiny: Params, input: str) -> None:
    """The encoder may have a stream that is not trained; its features come after those of the trained one."""
    if input == "two_stream":
        tiny.clip.input = input
        motion, appearance = model.encoder, build_encoder("small", seed=6)
        assert isinstance(motion, Encoder)
        assert isinstance(appearance, Encoder)
        encoder = TwoStream(motion, appearance)
        save_encoder(tmp_path, encoder, "small", tiny.clip)
        save_forecaster(tmp_path, model, tiny.forecast)
    else:
        save(tmp_path, model, tiny)
    whole, (loaded, _) = load_encoder(tmp_path)[0], load_forecaster(tmp_path)
    before, after = model.state_dict(), loaded.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before | after)
    x_BCTHW = torch.randn(2, 3 * whole.n_streams, 4, 16, 16)
    with torch.no_grad():
        features_BD = whole.eval()(x_BCTHW)
        assert torch.equal(features_BD[:, : loaded.encoder.dim], loaded.encoder(x_BCTHW[:, :3]))


def test_each_weight_is_in_one_file(tmp_path: Path, model: MoFore, tiny: Params) -> None:
    save(tmp_path, model, tiny)
    stored = {}
    for name in ("encoder", "forecaster"):
        with safe_open(tmp_path / f"{name}.safetensors", "pt") as file:
            stored[name] = {key: file.get_tensor(key).numel() for key in file.keys()}  # noqa: SIM118 # no mapping
    assert sum(stored["encoder"].values()) == sum(x.numel() for x in model.encoder.state_dict().values())
    all_numbers = sum(sum(sizes.values()) for sizes in stored.values())
    assert all_numbers == sum(x.numel() for x in model.state_dict().values())


def test_the_range_of_gaps_is_saved(tmp_path: Path, model: MoFore, tiny: Params) -> None:
    tiny.forecast.gap_min, tiny.forecast.gap_max = 2, 17
    _, forecast = load_forecaster(save(tmp_path, model, tiny))
    assert asdict(forecast) == asdict(tiny.forecast)
    assert (forecast.gap_min, forecast.gap_max) == (2, 17)


@pytest.mark.parametrize("missing", ["forecaster.json", "forecaster.safetensors"])
def test_a_missing_file_is_an_error(missing: str, tmp_path: Path, model: MoFore, tiny: Params) -> None:
    save(tmp_path, model, tiny)
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=rf"{missing}: no such file: run `dvc repro pretrain`"):
        load_forecaster(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dvc repro pretrain`"):
        load_forecaster(tmp_path)


def test_forecasts_from_features_are_those_from_clips(model: MoFore) -> None:
    model.eval()
    clips, context, gap = torch.randn(3, 3, 4, 16, 16), torch.tensor([0, 0, 2, 1]), torch.tensor([0, 7, 1, 30])
    with torch.no_grad():
        expected = model(clips[context], gap[:, None], clips[context], None).forecast_NP
        features = model.online[0](clips).numpy()
    found = forecast_clips(model, features, context.numpy(), gap.numpy())
    torch.testing.assert_close(torch.from_numpy(found), expected)
    assert not torch.allclose(expected[0], expected[1])  # the gap has an effect


def test_an_averaged_encoder_forecasts_with_the_trained_one(tmp_path: Path, tiny: Params) -> None:
    torch.manual_seed(0)
    trained = MoFore(build_encoder("small", seed=5), tiny.forecast, keep="averaged").eval()
    averaged = averaged_with_shipped(trained.encoder, "residual")
    save_encoder(tmp_path, averaged, "small", tiny.clip)
    save_forecaster(tmp_path, trained, tiny.forecast)
    loaded, _ = load_forecaster(tmp_path)
    assert loaded.keep == "averaged"
    before, after = trained.state_dict(), loaded.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before | after)
    kept, expected = load_encoder(tmp_path)[0].state_dict(), averaged.state_dict()
    assert all(torch.equal(kept[name], expected[name]) for name in kept)
