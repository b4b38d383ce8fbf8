"""The forecasting error of the MoFore paper, of the trained model and of the same model with random weights.

Shapes: N clips, D feature dimensions.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mofore.config import Encoder as EncoderParams
from mofore.embedding.store import EMBEDDINGS, ClipEmbeddings, Embeddings, read_clip_embeddings
from mofore.evaluation.forecast_inputs import read_forecast_inputs
from mofore.evaluation.paper_measures import forecasting_error
from mofore.method.encoders import load_encoder
from mofore.method.initial_model import first_targets, fit_normalisation, initial_model
from mofore.method.saved_model import forecast_clips, load_forecaster
from mofore.splits import these_or_all


def trained_error(folder: Path, videos: Embeddings, span: int) -> dict[str, float]:
    """Error of the forecasts of the trained model.

    Args:
        folder: of the model.
        videos: those whose clips are forecast, with their splits.
        span: video frames that a clip covers.

    Returns:
        As `forecasting_error`.
    """
    model, _ = load_forecaster(folder)
    features, targets = read_forecast_inputs(EMBEDDINGS, model)
    return forecasting_error(features, targets, videos, partial(forecast_clips, model), span)


def untrained_error(
    folder: Path, features: ClipEmbeddings, videos: Embeddings, span: int, seed: int
) -> dict[str, float]:
    """Error of the forecasts of the same model with random weights, of the same clips.

    Its targets are its own projections of the features, because at the start the EMA networks equal the others.

    Args:
        folder: of the trained model, which tells the encoder and the sizes of the heads.
        features: of the clips, by the untrained encoder.
        videos: as for `trained_error`.
        span: video frames that a clip covers.
        seed: of the weights.

    Returns:
        As `forecasting_error`; empty if there is one training clip, of which no statistics can be taken.
    """
    trained, forecast = load_forecaster(folder)
    _, name, clip = load_encoder(folder)
    untrained = EncoderParams(name, keep="online", start="random")
    model = initial_model(untrained, trained.input_of(clip.input), forecast, seed)
    features = replace(features, x_ND=features.x_ND[:, : model.encoder.dim])
    features = features.rows(np.isin(features.video, read_clip_embeddings(EMBEDDINGS, "targets").video))
    train_N = np.isin(features.video, videos.video[videos.split == "train"])
    train_ND = features.x_ND[these_or_all(train_N)]
    if len(train_ND) == 1:
        return {}
    gap_N = np.random.default_rng(seed).integers(forecast.gap_min, forecast.gap_max, len(train_ND), endpoint=True)
    fit_normalisation(model, train_ND, gap_N)
    targets = replace(features, x_ND=first_targets(model, features.x_ND))
    return forecasting_error(features, targets, videos, partial(forecast_clips, model), span)
