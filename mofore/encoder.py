"""Encoders by name, and encoders on disk.

A saved encoder is two files: `encoder.safetensors` (weights, no pickle) and `encoder.json` (name and the clips it was
trained on), all that is needed to rebuild and to feed it.

Shapes: B batch, T frames, H = W side of a clip, D feature dimensions.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
import torchvision.models.video
from safetensors.torch import load_file, save_file
from torch import nn

from mofore.config import Clip
from mofore.errors import UserError
from mofore.files import write_json
from mofore.small import SmallR2Plus1D


def build_encoder(name: str, seed: int) -> nn.Module:
    """A freshly initialised encoder, [B, 3, T, H, W] -> [B, D]; its `dim` is D.

    Args:
        name: "small", or one of torchvision's video networks, "r3d_18" or "r2plus1d_18".
        seed: of the initial weights; the caller's random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "small":
            encoder: nn.Module = SmallR2Plus1D()
        else:
            encoder = getattr(torchvision.models.video, name)()
            encoder.dim = encoder.fc.in_features  # type: ignore[union-attr]
            encoder.fc = nn.Identity()
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
    encoder = build_encoder(description["encoder"], seed=0)
    encoder.load_state_dict(weights)
    return encoder, description["encoder"], Clip(**description["clip"])
