"""data/embeddings -> results/temporal.json: are embeddings of one video stable over time?"""

from pathlib import Path

import pandas as pd

from mofore.clips import clip_span
from mofore.config import load_params
from mofore.embeddings import ENCODERS, read_clip_embeddings, read_embeddings
from mofore.errors import run_stage
from mofore.files import write_csv, write_json
from mofore.temporal import evaluate_temporal


def main() -> None:
    params = load_params()
    folder = Path("data/embeddings")
    scores, tables = {}, []
    for encoder in ENCODERS:
        videos, clips = read_embeddings(folder, encoder), read_clip_embeddings(folder, encoder)
        scores[encoder], table = evaluate_temporal(
            clips, videos, clip_span(params.clip), params.temporal.bins, params.seed
        )
        table.insert(0, "series", encoder + ", " + table.pop("kind"))
        tables.append(table)

    write_json(Path("results/temporal.json"), scores)
    write_csv(Path("results/temporal.csv"), pd.concat(tables), "%.6g")
    margins = [f"{name} {score['margin']:.3f}" for name, score in scores.items() if "margin" in score]
    print(f"temporal: same video above other videos by {', '.join(margins) or 'nothing to compare'}")


if __name__ == "__main__":
    run_stage(main)
