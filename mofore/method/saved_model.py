"""Saves and loads the whole trained model: the encoder with its projector, predictor and EMA networks.

`forecaster.safetensors` holds all weights of MoFore except those of the encoder that is kept, which are in
`encoder.safetensors` in the same folder. `forecaster.json` says which encoder that is, `keep`: "online" or "ema"; or
"averaged", which is none of MoFore's, so that all of these are in `forecaster.safetensors`. It also has the number of
streams that forecast, and the section `forecast` of the training parameters. If one stream forecasts and the encoder
has two, it is the first, the motion stream.

Shapes: K clips, N forecasts, D feature dimensions, P projection dimensions.
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
from mofore.method.encoders import TwoStream, load_encoder
from mofore.method.model import MoFore
from mofore.utils.files import write_json

IntArray = npt.NDArray[np.int64]


def save_forecaster(folder: Path, model: MoFore, forecast: Forecast) -> None:
    """Write `forecaster.safetensors` and `forecaster.json`. Call `save_encoder` for the same folder, too.

    Args:
        folder: created if necessary.
        model: the trained model.
        forecast: the parameters that it was trained with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = encoder_prefix(model.keep)
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(prefix)
    }
    save_file(weights, folder / "forecaster.safetensors")
    description = {"keep": model.keep, "streams": model.streams, "forecast": asdict(forecast)}
    write_json(folder / "forecaster.json", description)


def encoder_prefix(keep: str) -> str:
    """How the names of the weights of the kept encoder begin in a MoFore model; no name does, if it is "averaged"."""
    return f"{keep}.0."


def load_forecaster(folder: Path) -> tuple[MoFore, Forecast]:
    """Load the whole model from the files of `save_encoder` and `save_forecaster`.

    Returns:
        The model, in eval mode, and the parameters that it was trained with.

    Raises:
        UserError: one of the files is missing.
    """
    encoder, _, _ = load_encoder(folder)
    params_file, weights_file = folder / "forecaster.json", folder / "forecaster.safetensors"
    for path in (params_file, weights_file):
        if not path.exists():
            raise UserError(f"{path}: no such file: run `dvc repro pretrain`")
    description, weights = json.loads(params_file.read_text()), load_file(weights_file)
    forecast, keep = Forecast(**description["forecast"]), description["keep"]
    if isinstance(encoder, TwoStream) and description["streams"] == 1:
        encoder = encoder.motion
    if keep != "averaged":
        weights |= {f"{encoder_prefix(keep)}{name}": value.clone() for name, value in encoder.state_dict().items()}
    model = MoFore(encoder, forecast, keep)  # loading overwrites the weights of `encoder`, hence the clones
    model.load_state_dict(weights)
    return model.eval(), forecast


def forecast_clips(
    model: MoFore, features_KD: npt.NDArray[np.float32], context_N: IntArray, gap_N: IntArray
) -> npt.NDArray[np.float32]:
    """Forecast targets from features that the online encoder has already computed.

    Args:
        model: on the CPU, in eval mode.
        features_KD: features of K clips.
        context_N: index of the context of each forecast, 0 to K - 1.
        gap_N: gap of each forecast, in video frames.

    Returns:
        Forecasts [N, P], not normalised.
    """
    with torch.inference_mode():
        projection_KP = model.online[1](torch.tensor(features_KD))
        return model.predict(projection_KP[torch.tensor(context_N)], torch.tensor(gap_N)[:, None]).numpy()
