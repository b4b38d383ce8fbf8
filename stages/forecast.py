"""data/model + data/embeddings -> results/forecast.json: skill and accuracy of forecasts on held-out videos.

Shapes: K clips, N forecasts, D feature dimensions.
"""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
from pathlib import Path

from mofore.config import load_params
from mofore.embedding.store import EMBEDDINGS
from mofore.errors import run_stage
from mofore.evaluation.forecast_run import score_run
from mofore.evaluation.forecast_skill import by_gap, summary
from mofore.utils.files import write_csv, write_json
from mofore.utils.text import counted


def main() -> None:
    params = load_params()
    pairs, trained = score_run(EMBEDDINGS, Path("data/model"), params.clip, params.seed)
    scores = summary(pairs, trained)
    skill, accuracy = by_gap(pairs, params.temporal.bins, trained)
    write_json(Path("results/forecast.json"), {"mofore": scores})
    write_csv(Path("results/forecast.csv"), skill, "%.6g")
    write_csv(Path("results/forecast_accuracy.csv"), accuracy, "%.6g")
    print(f"forecast: {describe(scores)}")


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
