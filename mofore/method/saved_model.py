"""The forecaster, trained: what stands around the encoder, to forecast and to make the targets of forecasts.

On disk, `forecaster.safetensors` holds all weights of MoFore but those of the encoder that `encoder.safetensors` beside
it holds; `forecaster.json` says which of the two encoders that is (`keep`) and holds the parameters that the model was
trained with (`forecast`), its gaps among them.

Shapes: K clips, N forecasts, D feature and P projection dimensions, G gap features.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from mofore.config import Forecast
from mofore.errors import UserError
from mofore.method.encoders import load_encoder
from mofore.method.model import MoFore
from mofore.utils.files import write_json

IntArray = npt.NDArray[np.int64]


def save_forecaster(folder: Path, model: MoFore, forecast: Forecast) -> None:
    """Write `forecaster.safetensors` and `forecaster.json` into `folder`, which `save_encoder` completes.

    Args:
        forecast: the parameters that the model was made and trained with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = encoder_prefix(model.keep)
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(prefix)
    }
    save_file(weights, folder / "forecaster.safetensors")
    write_json(folder / "forecaster.json", {"keep": model.keep, "forecast": asdict(forecast)})


def encoder_prefix(keep: str) -> str:
    """How the names of the weights of one of the two encoders, "online" or "ema", begin in a MoFore model."""
    return f"{keep}.0."


def load_forecaster(folder: Path) -> tuple[MoFore, Forecast]:
    """Rebuild the whole model from what `save_encoder` and `save_forecaster` wrote.

    Returns:
        The model, in eval mode, and the parameters that it was trained with.

    Raises:
        UserError: the folder holds no encoder, or no forecaster.
    """
    encoder, _, _ = load_encoder(folder)
    described, stored = folder / "forecaster.json", folder / "forecaster.safetensors"
    for path in (described, stored):
        if not path.exists():
            raise UserError(f"{path}: no such file: run `dvc repro pretrain`")
    description, weights = json.loads(described.read_text()), load_file(stored)
    forecast, keep = Forecast(**description["forecast"]), description["keep"]
    weights |= {f"{encoder_prefix(keep)}{name}": value.clone() for name, value in encoder.state_dict().items()}
    model = MoFore(encoder, forecast, keep)  # loading overwrites the weights of `encoder`, hence the clones
    model.load_state_dict(weights)
    return model.eval(), forecast


def forecast_clips(
    model: MoFore, features_KD: npt.NDArray[np.float32], context_N: IntArray, gap_N: IntArray
) -> npt.NDArray[np.float32]:
    """Forecasts from features that the online encoder has made already.

    Args:
        model: on the CPU, in eval mode.
        features_KD: of K clips.
        context_N: which of them each forecast is made from, 0 to K - 1.
        gap_N: the gap that each forecast is told, in video frames.

    Returns:
        [N, P], not normalised.
    """
    with torch.inference_mode():
        projection_KP = model.online[1](torch.tensor(features_KD))
        return model.predict(projection_KP[torch.tensor(context_N)], torch.tensor(gap_N)[:, None]).numpy()
