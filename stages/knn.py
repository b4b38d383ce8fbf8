"""data/embeddings -> results/knn.json: retrieval and k-nearest-neighbour classification, test against train."""

import json
from pathlib import Path

import pandas as pd

from mofore.config import load_params
from mofore.embeddings import ENCODERS, has_labels, read_embeddings
from mofore.errors import run_stage
from mofore.knn import RECALL_AT, evaluate_knn


def main() -> None:
    params = load_params()
    scores: dict[str, dict[str, float]] = {encoder: {} for encoder in ENCODERS}
    summary = "no labels on both sides of the split: no scores"
    for encoder in ENCODERS:
        embeddings = read_embeddings(Path("data/embeddings"), encoder)
        train, test = embeddings.labelled("train"), embeddings.labelled("test")
        if not has_labels(train, test):
            break
        scores[encoder] = evaluate_knn(test, train, params.knn)
        summary = ", ".join(f"{name} R@1 {score['r_at_1']:.3f}" for name, score in scores.items() if score)

    Path("results/knn.json").write_text(json.dumps(scores, indent=2) + "\n")
    recall = [(name, k, score[f"r_at_{k}"]) for name, score in scores.items() if score for k in RECALL_AT]
    pd.DataFrame(recall, columns=["encoder", "k", "recall"]).to_csv("results/retrieval.csv", index=False)
    print(f"knn: {summary}")


if __name__ == "__main__":
    run_stage(main)
