"""data/embeddings + controls + supervised -> results/structure.json: do videos cluster by class, or by group?"""

from pathlib import Path

from threadpoolctl import threadpool_limits

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.store import EMBEDDINGS, ENCODERS, read_representations
from mofore.embedding.streams import read_embedded_clips
from mofore.errors import run_stage
from mofore.evaluation.structure import clip_alignment, evaluate_structure
from mofore.utils.files import write_json


def main() -> None:
    params = load_params()
    scores = {}
    with threadpool_limits(1):  # faster: in many small problems, threads mostly wait for each other
        for row, videos in read_representations().items():
            scores[row] = evaluate_structure(videos.rows(videos.held_out()), params.seed)
            if row in ENCODERS:
                scores[row] |= clip_alignment(read_embedded_clips(EMBEDDINGS, row), videos, clip_span(params.clip))

    write_json(Path("results/structure.json"), scores)
    summary = []
    for by in ("class", "group"):
        key = f"silhouette_{by}"
        found = [f"{row} {scores[row][key]:.3f}" for row in ENCODERS if key in scores[row]]
        summary.append(f"by {by} {', '.join(found) or 'not defined'}")
    print(f"structure: silhouette {'; '.join(summary)}")


if __name__ == "__main__":
    run_stage(main)
