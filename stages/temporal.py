"""data/embeddings -> results/temporal.json: are embeddings of one video stable over time, without collapse?"""

from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.store import EMBEDDINGS, ENCODERS, read_embeddings
from mofore.embedding.streams import read_embedded_clips
from mofore.errors import run_stage
from mofore.evaluation.temporal import evaluate_temporal
from mofore.utils.files import write_csv, write_json


def main() -> None:
    params = load_params()
    scores, similarities, speeds, margins = {}, [], [], []
    for encoder in ENCODERS:
        videos, clips = read_embeddings(EMBEDDINGS, encoder), read_embedded_clips(EMBEDDINGS, encoder)
        with threadpool_limits(1):  # same result for any number of cores, and no slower
            found = evaluate_temporal(clips, videos, clip_span(params.clip), params.temporal.bins)
        scores[encoder] = found.scores
        found.similarity.insert(0, "series", encoder + ", " + found.similarity.pop("kind"))
        found.speed.insert(0, "encoder", encoder)
        similarities.append(found.similarity)
        speeds.append(found.speed)
        if "margin" in found.scores:
            text = "{} {margin:.3f} (in sd {margin_in_sd:.2f}, effective rank {effective_rank:.1f})"
            margins.append(text.format(encoder, **found.scores))

    write_json(Path("results/temporal.json"), scores)
    write_csv(Path("results/temporal.csv"), pd.concat(similarities), "%.6g")
    write_csv(Path("results/speed.csv"), pd.concat(speeds), "%.6g")
    print(f"temporal: margin of same video over other videos: {', '.join(margins) or 'not defined'}")


if __name__ == "__main__":
    run_stage(main)
