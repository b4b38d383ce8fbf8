"""Builds, saves and loads encoders.

A saved encoder consists of two files. `encoder.safetensors` holds the weights, without pickle. `encoder.json` holds the
name of the network and the clip parameters. Together they suffice to rebuild the encoder and to prepare its input.

Shapes: B batch, C channels, T frames, H = W side of a clip, N = B T frames of a batch, D feature dimensions, G parts of
the frame. A prime marks the sizes of a feature map, such as H'.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
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


def small_trunk(channels: int, width: int = WIDTH) -> nn.Sequential:
    """A small (2+1)D network that is fast on a CPU: [B, C, T, H, W] -> [B, 4 width, T / 2, H / 16, W / 16].

    Designed for clips of 8 frames of 56x56 pixels. Spatial and temporal convolutions alternate, as in "A Closer Look at
    Spatiotemporal Convolutions for Action Recognition" (Tran et al., 2018). To save time on a CPU, it has no residual
    connections, which so few layers do not need; no normalisation between the spatial and the temporal convolution; and
    a stem with stride 4, so that no layer works at half resolution.
    """
    return nn.Sequential(
        nn.Conv3d(channels, width, (1, 7, 7), (1, 4, 4), (0, 3, 3), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
        conv_2plus1d(width, 2 * width, time_stride=1),
        conv_2plus1d(2 * width, 4 * width, time_stride=2),
    )


class Encoder(nn.Module):
    """A network and the mean over its feature map: [B, C, T, H, W] -> features [B, D]."""

    n_streams = 1

    def __init__(self, trunk: nn.Module, dim: int, standardise: bool = False) -> None:
        """Pool the output of `trunk`.

        Args:
            trunk: maps clips to feature maps, [B, C, T, H, W] -> [B, dim, T', H', W'].
            dim: D.
            standardise: batch normalisation (without affine parameters) of the features, which gives all of them the
                same weight in cosine similarity.
        """
        super().__init__()
        self.trunk, self.dim = trunk, dim
        self.norm: nn.Module = nn.BatchNorm1d(dim, affine=False) if standardise else nn.Identity()

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        features_BD: Tensor = self.norm(self.trunk(x_BCTHW).mean(dim=(2, 3, 4)))
        return features_BD

    def pyramid(self, x_BCTHW: Tensor, grid: int) -> Tensor:
        """Features of the whole frame, then of each cell of a grid: [B, G, D] with G = 1 + grid^2; [B, 1, D] for 0.

        A spatial pyramid (Lazebnik et al., "Beyond Bags of Features", 2006): it tells where in the picture things are.
        In eval mode only. The first row equals `forward`.
        """
        map_BDHW = self.trunk(x_BCTHW).mean(dim=2)
        levels = [F.adaptive_avg_pool2d(map_BDHW, cells).flatten(2) for cells in ((1, grid) if grid else (1,))]
        features_BGD = torch.cat(levels, dim=2).transpose(1, 2)
        return self.norm(features_BGD.flatten(0, 1)).view(features_BGD.shape)


class TwoStream(nn.Module):
    """Two encoders side by side: one for frame differences, one for frames: [B, 6, T, H, W] -> features [B, D].

    As in "Two-Stream Convolutional Networks for Action Recognition in Videos" (Simonyan and Zisserman, 2014). Each
    stream is trained by losses of its own (see `method.model`): in one network, the still scene, which is easy to
    predict, would leave nothing to learn about motion.
    """

    n_streams = 2

    def __init__(self, motion: Encoder, appearance: Encoder) -> None:
        super().__init__()
        self.streams = nn.ModuleList([motion, appearance])
        self.dim = motion.dim + appearance.dim

    @property
    def motion(self) -> Encoder:
        """The motion stream."""
        stream = self.streams[0]
        assert isinstance(stream, Encoder)
        return stream

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        inputs = x_BCTHW.chunk(2, dim=1)
        return torch.cat([stream(x) for stream, x in zip(self.streams, inputs, strict=True)], dim=1)


class PerFrame(nn.Module):
    """An image network applied to each frame: [B, C, T, H, W] -> [B, D, T, H', W'].

    The encoder of the MoFore paper, which calls its blindness to motion its main limit.
    """

    def __init__(self, network: nn.Module) -> None:
        """`network`: maps frames [N, C, H, W] to feature maps [N, D, H', W']."""
        super().__init__()
        self.network = network

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        clips, _, frames = x_BCTHW.shape[:3]
        map_NDHW: Tensor = self.network(x_BCTHW.transpose(1, 2).flatten(0, 1))
        return map_NDHW.unflatten(0, (clips, frames)).transpose(1, 2)


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


def small_image_trunk(channels: int, width: int = WIDTH) -> nn.Sequential:
    """`small_trunk` without its convolutions over time, for frames of 56x56: [N, C, H, W] -> [N, 4 width, H', W']."""
    layers: list[nn.Module] = []
    shapes = ((channels, width, 7, 4), (width, 2 * width, 3, 2), (2 * width, 4 * width, 3, 2))
    for c_in, c_out, kernel, stride in shapes:
        convolution = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def build_encoder(name: str, seed: int, input: str = "residual") -> Encoder | TwoStream:
    """Build an encoder with random weights: [B, C, T, H, W] -> [B, D]. Its attribute `dim` is D.

    Args:
        name: "small", or one of torchvision's video networks, "r3d_18" or "r2plus1d_18"; or a network for each frame:
            "small_2d", or one of torchvision's image networks, "resnet18" or "resnet50".
        seed: of the initial weights; the global random state does not change.
        input: kind of input, see `to_input`; decides C, and with "two_stream" there are two such networks.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if input == "two_stream":
            return TwoStream(_one_stream(name, 3), _one_stream(name, 3))
        return _one_stream(name, input_channels(input))


def _one_stream(name: str, channels: int) -> Encoder:
    if name == "small":
        encoder = Encoder(small_trunk(channels), 4 * WIDTH, standardise=True)
    elif name == "small_2d":
        encoder = Encoder(PerFrame(small_image_trunk(channels)), 4 * WIDTH)
    else:
        encoder = _torchvision_encoder(name, channels)
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            module.__class__ = RightGradientConv3d
    per_frame = isinstance(encoder.trunk, PerFrame)
    return encoder.to(memory_format=torch.channels_last if per_frame else torch.channels_last_3d)


def save_encoder(folder: Path, encoder: Encoder | TwoStream, name: str, clip: Clip) -> None:
    """Write `encoder.safetensors` and `encoder.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    save_file(weights, folder / "encoder.safetensors")
    description = {"encoder": name, "dim": encoder.dim, "clip": asdict(clip)}
    write_json(folder / "encoder.json", description)


def load_encoder(folder: Path) -> tuple[Encoder | TwoStream, str, Clip]:
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
    encoder = build_encoder(description["encoder"], 0, clip.input)
    encoder.load_state_dict(weights)
    return encoder, description["encoder"], clip


def _torchvision_encoder(name: str, channels: int) -> Encoder:
    """A network of torchvision without its pooling and classifier."""
    import torchvision.models  # here, since most runs need none, and it takes as long to load as torch
    import torchvision.models.video

    is_image = hasattr(torchvision.models, name)
    network: Any = getattr(torchvision.models if is_image else torchvision.models.video, name)()
    stem = [network.conv1, network.bn1, network.relu, network.maxpool] if is_image else [network.stem]
    if channels != 3:
        _widen(network.conv1 if is_image else network.stem[0], channels)
    trunk = nn.Sequential(*stem, network.layer1, network.layer2, network.layer3, network.layer4)
    return Encoder(PerFrame(trunk) if is_image else trunk, network.fc.in_features)


def _widen(conv: nn.Conv2d | nn.Conv3d, channels: int) -> None:
    """Widen a convolution from 3 to `channels` input channels, a multiple of 3.

    The kernels are repeated and scaled down, so that the outputs keep their scale.
    """
    conv.in_channels = channels
    conv.weight = nn.Parameter(torch.cat([conv.weight.detach()] * (channels // 3), dim=1) * 3 / channels)
