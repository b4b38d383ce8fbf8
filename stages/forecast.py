"""data/model + data/embeddings -> results/forecast.json: skill and accuracy of forecasts on held-out videos."""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
from dataclasses import replace
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.store import EMBEDDINGS, FloatArray, read_embeddings
from mofore.embedding.streams import StreamChoice, read_choice
from mofore.errors import run_stage
from mofore.evaluation.forecast_inputs import read_forecast_inputs
from mofore.evaluation.forecast_pairs import Forecaster, IntArray, score_pairs
from mofore.evaluation.forecast_skill import by_gap, summary
from mofore.method.saved_model import forecast_clips, load_forecaster
from mofore.utils.files import write_csv, write_json
from mofore.utils.text import counted


def main() -> None:
    params = load_params()
    model, trained = load_forecaster(Path("data/model"))
    features, targets = read_forecast_inputs(EMBEDDINGS, model)
    videos = read_embeddings(EMBEDDINGS, "mofore")
    forecaster: Forecaster = partial(forecast_clips, model)
    choice = read_choice(EMBEDDINGS)
    if choice and model.streams > 1:  # score the forecasts of the streams that are embedded
        targets = replace(targets, x_ND=choice.select_unit(targets.x_ND))
        forecaster = partial(_selected, choice, forecaster)
    with threadpool_limits(1):  # same result for any number of cores; also faster, as one video is little work
        pairs = score_pairs(features, targets, videos, forecaster, clip_span(params.clip), params.seed)

    scores = summary(pairs, trained)
    skill, accuracy = by_gap(pairs, params.temporal.bins, trained)
    write_json(Path("results/forecast.json"), {"mofore": scores})
    write_csv(Path("results/forecast.csv"), skill, "%.6g")
    write_csv(Path("results/forecast_accuracy.csv"), accuracy, "%.6g")
    print(f"forecast: {describe(scores)}")


def _selected(
    choice: StreamChoice, forecaster: Forecaster, features_KD: FloatArray, context_N: IntArray, gap_N: IntArray
) -> FloatArray:
    return choice.select_unit(forecaster(features_KD, context_N, gap_N))


def describe(scores: dict[str, float]) -> str:
    """The main scores in one line."""
    if not scores:
        return "no skill: every video is too short for two clips that do not overlap"
    skills = [
        f"{scores[f'skill_{name}']:.3f} against {name} "
        f"({scores[f'skill_{name}_low']:.3f} to {scores[f'skill_{name}_high']:.3f})"
        for name in ("persistence", "climatology")
        if f"skill_{name}" in scores
    ]
    return f"skill {', '.join(skills) or 'not defined, all targets are equal'}; {counted(int(scores['pairs']), 'pair')}"


if __name__ == "__main__":
    run_stage(main)
