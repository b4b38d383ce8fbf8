"""Scores the forecasts of a run from its files, those of the stages `pretrain` and `embed`."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from mofore.clips.sampling import clip_span
from mofore.config import Clip, Forecast
from mofore.embedding.store import FloatArray, read_embeddings
from mofore.embedding.streams import StreamChoice, read_choice
from mofore.evaluation.forecast_inputs import read_forecast_inputs
from mofore.evaluation.forecast_pairs import Forecaster, IntArray, score_pairs
from mofore.method.saved_model import forecast_clips, load_forecaster


def score_run(embeddings: Path, model: Path, clip: Clip, seed: int) -> tuple[pd.DataFrame, Forecast]:
    """Forecast every pair of clips of the held-out videos. Only streams that are embedded are scored.

    Args:
        embeddings: the folder that the stage `embed` has written.
        model: the folder that the stage `pretrain` has written.
        clip: of the run.
        seed: of the shuffled gaps and of the candidates.

    Returns:
        The table of `forecast_pairs.score_pairs`, and the section `forecast` that the model was trained with.

    Raises:
        UserError: a file is missing.
    """
    forecasting, trained = load_forecaster(model)
    features, targets = read_forecast_inputs(embeddings, forecasting)
    forecaster: Forecaster = partial(forecast_clips, forecasting)
    choice = read_choice(embeddings)
    if choice and forecasting.streams > 1:
        targets = replace(targets, x_ND=choice.select_unit(targets.x_ND))
        forecaster = partial(_selected, choice, forecaster)
    videos = read_embeddings(embeddings, "mofore")
    with threadpool_limits(1):  # same result for any number of cores; also faster, as one video is little work
        return score_pairs(features, targets, videos, forecaster, clip_span(clip), seed), trained


def _selected(
    choice: StreamChoice, forecaster: Forecaster, features_KD: FloatArray, context_N: IntArray, gap_N: IntArray
) -> FloatArray:
    return choice.select_unit(forecaster(features_KD, context_N, gap_N))
