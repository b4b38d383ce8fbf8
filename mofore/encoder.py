"""Encoders by name, and encoders on disk.

A saved encoder is two files: `encoder.safetensors` (weights, no pickle) and `encoder.json` (name and the clips it was
trained on), all that is needed to rebuild and to feed it.

Shapes: B batch, C channels, T frames, H = W side of a clip, D feature dimensions.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
import torchvision.models.video
from safetensors.torch import load_file, save_file
from torch import nn

from mofore.augment import input_channels
from mofore.config import Clip
from mofore.errors import UserError
from mofore.files import write_json
from mofore.small import SmallR2Plus1D


def build_encoder(name: str, seed: int, channels: int = 3) -> nn.Module:
    """A freshly initialised encoder, [B, C, T, H, W] -> [B, D]; its `dim` is D.

    Args:
        name: "small", or one of torchvision's video networks, "r3d_18" or "r2plus1d_18".
        seed: of the initial weights; the caller's random state is left alone.
        channels: C, see `input_channels`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "small":
            encoder: nn.Module = SmallR2Plus1D(channels)
        else:
            encoder = getattr(torchvision.models.video, name)()
            encoder.dim = encoder.fc.in_features  # type: ignore[union-attr]
            encoder.fc = nn.Identity()
            if channels != 3:
                _widen(encoder.stem[0], channels)  # type: ignore[index,arg-type]
    return encoder.to(memory_format=torch.channels_last_3d)


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
        The encoder, its name, and the clips it was trained on.

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


def _widen(conv: nn.Module, channels: int) -> None:
    """Give a convolution of 3 input channels a multiple of 3: its kernels repeated, its outputs as large as before."""
    assert isinstance(conv, nn.Conv3d)
    conv.in_channels = channels
    conv.weight = nn.Parameter(conv.weight.detach().repeat(1, channels // 3, 1, 1, 1) * 3 / channels)
