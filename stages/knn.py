"""data/embeddings -> results/knn.json: retrieval and k-nearest-neighbour classification, test against train."""

from pathlib import Path

import pandas as pd

from mofore.config import load_params
from mofore.embeddings import ENCODERS, read_train_test
from mofore.errors import run_stage
from mofore.files import write_csv, write_json
from mofore.knn import RECALL_AT, evaluate_knn


def main() -> None:
    params = load_params()
    scores: dict[str, dict[str, float]] = {encoder: {} for encoder in ENCODERS}
    summary = "no labels on both sides of the split: no scores"
    for encoder in ENCODERS:
        split = read_train_test(Path("data/embeddings"), encoder)
        if split is None:
            break
        train, test = split
        scores[encoder] = evaluate_knn(test, train, params.knn)
        summary = ", ".join(f"{name} R@1 {score['r_at_1']:.3f}" for name, score in scores.items() if score)

    write_json(Path("results/knn.json"), scores)
    recall = [(name, k, score[f"r_at_{k}"]) for name, score in scores.items() if score for k in RECALL_AT]
    write_csv(Path("results/retrieval.csv"), pd.DataFrame(recall, columns=["encoder", "k", "recall"]))
    print(f"knn: {summary}")


if __name__ == "__main__":
    run_stage(main)
