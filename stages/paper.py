"""data/model + data/embeddings -> results/paper.json: the measures of the MoFore paper, beside random weights."""

import mofore.runtime.openmp  # noqa: F401 # must come before imports that load torch

# isort: split
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.store import EMBEDDINGS, ENCODERS, read_clip_embeddings, read_embeddings
from mofore.embedding.streams import read_embedded_clips
from mofore.errors import run_stage
from mofore.evaluation.paper_forecasts import trained_error, untrained_error
from mofore.evaluation.paper_measures import PAPER, is_ucf101, paper_examples, similarities
from mofore.utils.files import write_json


def main() -> None:
    params = load_params()
    span = clip_span(params.clip)
    model = Path("data/model")
    results: dict[str, dict[str, Any]] = {}
    examples: dict[str, dict[str, float]] = {}
    with threadpool_limits(1):  # same result for any number of cores
        for row in ENCODERS:
            videos, clips = read_embeddings(EMBEDDINGS, row), read_embedded_clips(EMBEDDINGS, row)
            if row == "mofore":
                error = trained_error(model, videos, span)
            else:
                error = untrained_error(model, read_clip_embeddings(EMBEDDINGS, row), videos, span, params.seed)
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
