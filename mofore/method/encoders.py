"""Builds, saves and loads encoders.

A saved encoder consists of two files. `encoder.safetensors` holds the weights, without pickle. `encoder.json` holds the
name of the network and the clip parameters. Together they suffice to rebuild the encoder and to prepare its input.

Shapes: B batch, C channels, T frames, H = W side of a clip, N = B T frames of a batch, D feature dimensions.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision.models
import torchvision.models.video
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mofore.clips.augment import input_channels
from mofore.config import Clip
from mofore.errors import UserError
from mofore.utils.files import write_json

WIDTH = 48  # channels of the first layer of the small networks; the features are four times as many


def conv_2plus1d(c_in: int, c_out: int, time_stride: int) -> nn.Sequential:
    """A spatial convolution (1x3x3, stride 2), then a temporal one (3x1x1, stride `time_stride`).

    [B, c_in, T, H, W] -> [B, c_out, T / time_stride, H / 2, W / 2], rounded up.
    """
    return nn.Sequential(
        nn.Conv3d(c_in, c_out, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
        nn.ReLU(inplace=True),
        nn.Conv3d(c_out, c_out, (3, 1, 1), (time_stride, 1, 1), (1, 0, 0), bias=False),
        nn.BatchNorm3d(c_out),
        nn.ReLU(inplace=True),
    )


class SmallR2Plus1D(nn.Sequential):
    """A small (2+1)D network that is fast on a CPU: [B, C, T, H, W] -> globally pooled features [B, dim].

    Designed for clips of 8 frames of 56x56 pixels. Spatial and temporal convolutions alternate, as in "A Closer Look at
    Spatiotemporal Convolutions for Action Recognition" (Tran et al., 2018). To save time on a CPU, it has no residual
    connections, which so few layers do not need; no normalisation between the spatial and the temporal convolution; and
    a stem with stride 4, so that no layer works at half resolution.

    The final batch normalisation (without affine parameters) gives all features the same weight in cosine similarity.
    """

    def __init__(self, channels: int = 3, width: int = WIDTH) -> None:
        super().__init__(
            nn.Conv3d(channels, width, (1, 7, 7), (1, 4, 4), (0, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            conv_2plus1d(width, 2 * width, time_stride=1),
            conv_2plus1d(2 * width, 4 * width, time_stride=2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.BatchNorm1d(4 * width, affine=False),
        )
        self.dim = 4 * width


class FrameEncoder(nn.Module):
    """An image network applied to each frame, and the mean over frames: [B, C, T, H, W] -> [B, D].

    The encoder of the MoFore paper, which calls its blindness to motion its main limit.
    """

    def __init__(self, network: nn.Module, dim: int) -> None:
        """`network`: maps frames [N, C, H, W] to features [N, dim]."""
        super().__init__()
        self.network, self.dim = network, dim

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        clips, _, frames = x_BCTHW.shape[:3]
        features_ND: Tensor = self.network(x_BCTHW.transpose(1, 2).flatten(0, 1))
        return features_ND.unflatten(0, (clips, frames)).mean(dim=1)


class RightGradientConv3d(nn.Conv3d):
    """nn.Conv3d with the right gradient of its weights in bf16 on a CPU, too.

    PyTorch 2.14.1 leaves parts of that gradient uninitialised if there are two frames, and kernel 3, stride 1 and
    padding 1 in time (seen on a processor with AVX-512 bf16). r3d_18 and r2plus1d_18 have two frames in their last
    layers if clips have 16. A third frame of zeros leaves the output for the other two as it is, and avoids the error.
    """

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        in_time = (self.kernel_size[0], self.stride[0], self.padding[0], x_BCTHW.shape[2])
        on_cpu = x_BCTHW.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if on_cpu and torch.is_grad_enabled() and in_time == (3, 1, 1, 2):
            return super().forward(F.pad(x_BCTHW, (0, 0, 0, 0, 0, 1)))[:, :, :2]
        return super().forward(x_BCTHW)


def small_image_network(channels: int = 3, width: int = WIDTH) -> nn.Sequential:
    """`SmallR2Plus1D` without its convolutions over time, for frames of 56x56: [N, C, H, W] to [N, 4 width]."""
    layers: list[nn.Module] = []
    shapes = ((channels, width, 7, 4), (width, 2 * width, 3, 2), (2 * width, 4 * width, 3, 2))
    for c_in, c_out, kernel, stride in shapes:
        convolution = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def build_encoder(name: str, seed: int, channels: int = 3) -> nn.Module:
    """Build an encoder with random weights: [B, C, T, H, W] -> [B, D]. Its attribute `dim` is D.

    Args:
        name: "small", or one of torchvision's video networks, "r3d_18" or "r2plus1d_18"; or a frame encoder with
            "small_2d", or one of torchvision's image networks, "resnet18" or "resnet50".
        seed: of the initial weights; the global random state does not change.
        channels: C, a multiple of 3 (see `input_channels`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "small":
            encoder: nn.Module = SmallR2Plus1D(channels)
        elif name == "small_2d":
            encoder = FrameEncoder(small_image_network(channels), dim=4 * WIDTH)
        elif name.startswith("resnet"):
            encoder = FrameEncoder(*_without_classifier(getattr(torchvision.models, name)(), channels))
        else:
            encoder, dim = _without_classifier(getattr(torchvision.models.video, name)(), channels)
            encoder.dim = dim  # type: ignore[assignment]
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            module.__class__ = RightGradientConv3d
    over_frames = isinstance(encoder, FrameEncoder)
    return encoder.to(memory_format=torch.channels_last if over_frames else torch.channels_last_3d)


def save_encoder(folder: Path, encoder: nn.Module, name: str, clip: Clip) -> None:
    """Write `encoder.safetensors` and `encoder.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    save_file(weights, folder / "encoder.safetensors")
    description = {"encoder": name, "dim": encoder.dim, "clip": asdict(clip)}
    write_json(folder / "encoder.json", description)


def load_encoder(folder: Path) -> tuple[nn.Module, str, Clip]:
    """Rebuild a saved encoder.

    Returns:
        The encoder, its name, and the parameters of the clips it was trained on.

    Raises:
        UserError: the folder holds no encoder.
    """
    try:
        description = json.loads((folder / "encoder.json").read_text())
        weights = load_file(folder / "encoder.safetensors")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename or folder}: no such file: run `dvc repro pretrain`") from None
    clip = Clip(**description["clip"])
    encoder = build_encoder(description["encoder"], 0, input_channels(clip.input))
    encoder.load_state_dict(weights)
    return encoder, description["encoder"], clip


def _without_classifier(network: Any, channels: int) -> tuple[nn.Module, int]:
    """A network of torchvision that gives pooled features, and their number."""
    dim = network.fc.in_features
    network.fc = nn.Identity()
    if channels != 3:
        _widen(network.conv1 if hasattr(network, "conv1") else network.stem[0], channels)
    return network, dim


def _widen(conv: nn.Conv2d | nn.Conv3d, channels: int) -> None:
    """Widen a convolution from 3 to `channels` input channels, a multiple of 3.

    The kernels are repeated and scaled down, so that the outputs keep their scale.
    """
    conv.in_channels = channels
    conv.weight = nn.Parameter(torch.cat([conv.weight.detach()] * (channels // 3), dim=1) * 3 / channels)
