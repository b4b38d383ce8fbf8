"""The whole model before the first training step, to see what its forecasts are worth without training.

Shapes: N clips, D feature dimensions, P projection dimensions.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mofore.config import Encoder, Forecast
from mofore.method.encoders import build_encoder
from mofore.method.model import MoFore
from mofore.method.shipped import shipped_encoder

MAX_CLIPS = 4096  # of which statistics are taken; more would only cost memory


def initial_model(encoder: Encoder, input: str, forecast: Forecast, seed: int) -> MoFore:
    """A model with the weights with which pretraining starts. Sets torch's global random state.

    Args:
        encoder: its name, the encoder that is kept, and whether it starts with the shipped weights.
        input: kind of input, see `to_input`.
        forecast: sizes of projector and predictor.
        seed: decides all random weights.
    """
    torch.manual_seed(seed)
    shipped = encoder.start == "shipped"
    network = shipped_encoder(input) if shipped else build_encoder(encoder.name, seed, input)
    return MoFore(network, forecast, encoder.keep)


def fit_normalisation(model: MoFore, features_ND: npt.NDArray[np.float32], gap_N: npt.NDArray[np.int64]) -> None:
    """Give projector and predictor of an untrained model normalisations that fit the data; leave it in eval mode.

    A new BatchNorm layer has mean 0 and variance 1, which fit no video; see `embedding.calibration`, which does the
    same for the encoder.

    Args:
        model: on the CPU; changed in place.
        features_ND: features of at least 2 training clips, by the model's encoder.
        gap_N: a gap for each of them, in video frames.
    """
    model.eval()
    projector, predictor = model.online[1], model.predictor
    heads = nn.ModuleList([projector, predictor])
    for layer in heads.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = None  # its statistics become those of the one batch that follows
    some = slice(None, None, -(-len(features_ND) // MAX_CLIPS))
    with torch.inference_mode():
        heads.train()
        model.predict(projector(torch.tensor(features_ND[some])), torch.tensor(gap_N[some])[:, None])
        heads.eval()


def first_targets(model: MoFore, features_ND: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Targets [N, P] of an untrained model, not normalised: its own projections, as the EMA networks are copies."""
    with torch.inference_mode():
        target_NP: npt.NDArray[np.float32] = model.online[1](torch.tensor(features_ND)).numpy()
        return target_NP
