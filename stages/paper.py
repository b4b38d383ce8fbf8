"""data/model + data/embeddings -> results/paper.json: the measures of the MoFore paper, beside random weights.

Shapes: N clips, or training clips, D feature dimensions.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mofore.clips.augment import input_channels
from mofore.clips.sampling import clip_span
from mofore.config import Forecast, load_params
from mofore.embedding.store import (
    EMBEDDINGS,
    ENCODERS,
    ClipEmbeddings,
    Embeddings,
    read_clip_embeddings,
    read_embeddings,
)
from mofore.errors import run_stage
from mofore.evaluation.paper_measures import PAPER, forecasting_error, is_ucf101, paper_examples, similarities
from mofore.method.encoders import load_encoder
from mofore.method.initial_model import first_targets, fit_normalisation, initial_model
from mofore.method.model import MoFore
from mofore.method.saved_model import forecast_clips, load_forecaster
from mofore.utils.files import write_json

MODEL = Path("data/model")


def main() -> None:
    params = load_params()
    span = clip_span(params.clip)
    model, forecast = load_forecaster(MODEL)
    results: dict[str, dict[str, Any]] = {}
    examples: dict[str, dict[str, float]] = {}
    with threadpool_limits(1):  # same result for any number of cores
        for row in ENCODERS:
            videos, clips = read_embeddings(EMBEDDINGS, row), read_clip_embeddings(EMBEDDINGS, row)
            if row == "mofore":
                error = trained_error(model, videos, span)
            else:
                error = untrained_error(forecast, clips, videos, span, params.seed)
            results[row] = error | similarities(clips, videos)
            if of_examples := paper_examples(clips, videos):
                examples[row] = of_examples
    closing = describe(results)
    if examples:
        results["examples"] = examples
    if is_ucf101(params.data.source, videos.video):
        results["paper"] = PAPER
    write_json(Path("results/paper.json"), results)
    print(f"paper: {closing}")


def trained_error(model: MoFore, videos: Embeddings, span: int) -> dict[str, float]:
    """Error of the forecasts of the trained model."""
    contexts = "mofore" if model.keep == "online" else "contexts"
    features, targets = (read_clip_embeddings(EMBEDDINGS, name) for name in (contexts, "targets"))
    return forecasting_error(features, targets, videos, partial(forecast_clips, model), span)


def untrained_error(
    forecast: Forecast, features: ClipEmbeddings, videos: Embeddings, span: int, seed: int
) -> dict[str, float]:
    """Error of the forecasts of the same model before training, of the same clips.

    Its targets are its own projections of the features, because at the start the EMA networks equal the others.
    """
    _, encoder, clip = load_encoder(MODEL)
    model = initial_model(encoder, input_channels(clip.input), forecast, seed)
    features = features.rows(np.isin(features.video, read_clip_embeddings(EMBEDDINGS, "targets").video))
    train_N = np.isin(features.video, videos.video[videos.split == "train"])
    train_ND = features.x_ND[train_N] if train_N.any() else features.x_ND
    if len(train_ND) == 1:
        return {}  # one clip a video: no pairs
    gap_N = np.random.default_rng(seed).integers(forecast.gap_min, forecast.gap_max, len(train_ND), endpoint=True)
    fit_normalisation(model, train_ND, gap_N)
    targets = replace(features, x_ND=first_targets(model, features.x_ND))
    return forecasting_error(features, targets, videos, partial(forecast_clips, model), span)


def describe(rows: dict[str, dict[str, Any]]) -> str:
    """The measures in one line, those of random weights in brackets."""
    mofore, random = rows["mofore"], rows["random_init"]
    digits = {"forecasting_error": 4, "effective_rank": 1}
    return (
        "; ".join(
            f"{name.replace('_', ' ')} {mofore[name]:.{digits.get(name, 3)}f} ({random[name]:.{digits.get(name, 3)}f})"
            for name in mofore
            if name in random and not name.endswith(("_low", "_high"))
        )
        + "; in brackets: random weights"
    )


if __name__ == "__main__":
    run_stage(main)
