"""Encoders: shapes, seeds, saving and loading."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mofore.clips.augment import to_input
from mofore.config import Params
from mofore.errors import UserError
from mofore.method.encoders import RightGradientConv3d, build_encoder, load_encoder, save_encoder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dim"),
    [("small", 192), ("r3d_18", 512), ("r2plus1d_18", 512), ("small_2d", 192), ("resnet18", 512), ("resnet50", 2048)],
)
def test_features_are_one_vector_per_clip(name: str, dim: int) -> None:
    encoder = build_encoder(name, seed=0).eval()
    assert encoder.dim == dim
    with torch.no_grad():
        assert encoder(torch.randn(2, 3, 4, 32, 32)).shape == (2, dim)


@pytest.mark.parametrize("name", ["small_2d", pytest.param("resnet18", marks=pytest.mark.slow)])
def test_a_frame_encoder_is_the_mean_over_frames_and_blind_to_their_order(name: str) -> None:
    encoder = build_encoder(name, seed=0).eval()
    x_BCTHW = torch.randn(2, 3, 5, 32, 32)
    with torch.no_grad():
        one_by_one = [encoder(x_BCTHW[:, :, [t]]) for t in range(5)]
        features_BD = encoder(x_BCTHW)
        torch.testing.assert_close(features_BD, torch.stack(one_by_one).mean(dim=0))
        torch.testing.assert_close(encoder(x_BCTHW.flip(2)), features_BD)


@pytest.mark.parametrize(("frames", "in_time"), [(2, (3, 1, 1)), (3, (3, 1, 1)), (2, (3, 2, 1)), (2, (1, 1, 0))])
def test_a_convolution_has_the_same_output_and_gradients_in_bf16(frames: int, in_time: tuple[int, int, int]) -> None:
    """PyTorch's own gradient of the weights is wrong for two frames, kernel 3, stride 1 and padding 1, on some CPUs."""
    kernel, stride, padding = in_time
    conv = RightGradientConv3d(64, 64, (kernel, 3, 3), (stride, 1, 1), (padding, 1, 1), bias=False)
    x_BCTHW = torch.randn(4, 64, frames, 7, 7, requires_grad=True)

    def run(bf16: bool) -> tuple[torch.Tensor, ...]:
        garbage = torch.full((conv.weight.numel(),), 1e30)  # in memory that is used next
        del garbage
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            y_BCTHW = conv(x_BCTHW)
        return y_BCTHW.float(), *torch.autograd.grad(y_BCTHW.float().square().mean(), (conv.weight, x_BCTHW))

    for exact, rounded in zip(run(bf16=False), run(bf16=True), strict=True):
        assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "resnet18"])
def test_more_channels_give_the_same_features_of_repeated_ones(name: str) -> None:
    x_BCTHW = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        three, six = (build_encoder(name, 0, kind).eval() for kind in ("rgb", "both"))
        torch.testing.assert_close(six(torch.cat([x_BCTHW, x_BCTHW], dim=1)), three(x_BCTHW), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "grid"), [("small", 0), ("small", 3), ("small_2d", 2), ("r3d_18", 1)])
def test_a_pyramid_has_the_features_of_the_frame_and_of_each_cell(name: str, grid: int) -> None:
    encoder: Any = build_encoder(name, 0)
    encoder.train()(torch.randn(8, 3, 4, 64, 64))  # statistics that are not those of a new network
    encoder.eval()
    x_BCTHW = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        pyramid_BGD = encoder.pyramid(x_BCTHW, grid)
        map_BDTHW = encoder.trunk(x_BCTHW)
        assert pyramid_BGD.shape == (2, 1 + grid**2, encoder.dim)
        torch.testing.assert_close(pyramid_BGD[:, 0], encoder(x_BCTHW))
        if grid == 2:  # 4x4 places, so each cell is a quarter
            quarter_BD = map_BDTHW[..., :2, 2:].mean(dim=(2, 3, 4))
            torch.testing.assert_close(pyramid_BGD[:, 2], quarter_BD)


def test_two_streams_see_differences_and_frames_and_nothing_of_each_other(params: Params) -> None:
    frames_BTHWC = torch.randint(256, (2, 5, 32, 32, 3), dtype=torch.uint8)
    encoder: Any = build_encoder("small", 0, "two_stream").eval()
    with torch.no_grad():
        features_BD = encoder(to_input(frames_BTHWC, "two_stream"))
        motion_BD = encoder.streams[0](to_input(frames_BTHWC, "residual"))
        look_BD = encoder.streams[1](to_input(frames_BTHWC[:, 1:], "rgb"))
    torch.testing.assert_close(features_BD, torch.cat([motion_BD, look_BD], dim=1))
    assert encoder.dim == features_BD.shape[1] == 384


def test_the_seed_sets_the_weights_and_not_the_global_random_state() -> None:
    state = torch.get_rng_state()
    a, b, c = (build_encoder("small", seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "r3d_18", "small_2d"])
def test_a_saved_encoder_is_rebuilt_exactly(name: str, tmp_path: Path, params: Params) -> None:
    encoder = build_encoder(name, seed=3)
    encoder.train()(torch.randn(2, 3, 4, 32, 32))  # changes the running statistics
    clip = replace(params.clip, frames=5, input="rgb")
    save_encoder(tmp_path / "model", encoder, name, clip)
    loaded, loaded_name, loaded_clip = load_encoder(tmp_path / "model")
    x = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(encoder.eval()(x), loaded.eval()(x))
    assert (loaded_name, loaded_clip) == (name, clip)
    assert json.loads((tmp_path / "model/encoder.json").read_text())["dim"] == encoder.dim


def test_a_missing_encoder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dvc repro pretrain`"):
        load_encoder(tmp_path)
