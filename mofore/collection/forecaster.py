"""The model that `mofore surprise` uses: a trained one with its predictor, or the shipped encoder, which has none.

Shapes: N clips, T frames of a clip, H = W side of a clip, C = 3 colours (RGB), P dimensions.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mofore.collection.encoder import SHIPPED, LoadedEncoder, open_encoder
from mofore.collection.reasons import first_line
from mofore.embedding.inference import view_to_input
from mofore.errors import UserError
from mofore.method.model import MoFore
from mofore.method.saved_model import load_forecaster

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Forecaster:
    """A network that forecasts; or, without a predictor, one that can only compare what is with what was.

    Attributes:
        encoder: the encoder of the model, and its clips.
        model: None for the shipped encoder.
        gap_max: longest gap that the model was trained on, in frames; 0 without a model.
    """

    encoder: LoadedEncoder
    model: MoFore | None
    gap_max: int = 0

    @torch.inference_mode()
    def embed(self, frames_NTHWC: Image) -> tuple[Tensor | None, Tensor]:
        """Embed clips.

        Returns:
            Projections [N, P], from which to forecast; None without a predictor. Targets [N, P], each stream scaled to
            length 1.
        """
        clips, kind = torch.from_numpy(frames_NTHWC), self.encoder.clip.input
        if self.model is None:
            return None, unit_streams(self.encoder.network(view_to_input(clips, "ordered", kind, 0)), 2)
        x_NCTHW = view_to_input(clips, "ordered", self.model.input_of(kind), 0)
        return self.model.online(x_NCTHW), unit_streams(self.model.target(x_NCTHW), self.model.streams)

    @torch.inference_mode()
    def forecast(self, projection_NP: Tensor, gap: int) -> Tensor:
        """Forecasts of the targets `gap` frames later [N, P], each stream scaled to length 1."""
        assert self.model
        gap_N1 = torch.full((len(projection_NP), 1), gap)
        return unit_streams(self.model.predict(projection_NP, gap_N1), self.model.streams)


def unit_streams(x_NP: Tensor, streams: int) -> Tensor:
    """Scale each stream so that the dot product of two rows is the mean of the streams' cosine similarities."""
    parts = [part / part.norm(dim=1, keepdim=True).clamp_min(1e-12) for part in x_NP.chunk(streams, dim=1)]
    return torch.cat(parts, dim=1) / math.sqrt(streams)


def open_forecaster(source: str | Path = SHIPPED) -> Forecaster:
    """Load a trained model, from a folder such as `data/model`; or the shipped encoder, which cannot forecast.

    Raises:
        UserError: the folder holds no encoder or no predictor, or they cannot be read.
    """
    encoder = open_encoder(source)
    if encoder.source == SHIPPED:
        return Forecaster(encoder, None)
    try:
        model, trained = load_forecaster(Path(source))
        return Forecaster(encoder, model, trained.gap_max)
    except UserError:
        raise UserError(
            f"{source}: holds an encoder, but no predictor (forecaster.json and forecaster.safetensors): give the "
            "folder that `dvc repro pretrain` wrote, data/model"
        ) from None
    except Exception as error:  # damaged in any way
        raise UserError(
            f"{source}: its predictor cannot be read: {first_line(error)}: run `dvc repro pretrain`"
        ) from None
