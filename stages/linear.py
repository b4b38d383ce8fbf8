"""data/embeddings -> results/linear.json: a linear classifier on frozen embeddings, and its confusion matrix."""

from pathlib import Path

import pandas as pd

from mofore.config import load_params
from mofore.embeddings import ENCODERS, read_train_test
from mofore.errors import run_stage
from mofore.files import write_csv, write_json
from mofore.linear import evaluate_linear


def main() -> None:
    params = load_params()
    scores: dict[str, dict[str, float]] = {encoder: {} for encoder in ENCODERS}
    confusion = pd.DataFrame({"actual": [], "predicted": []})
    summary = "no labels on both sides of the split: no scores"
    for encoder in ENCODERS:
        split = read_train_test(Path("data/embeddings"), encoder)
        if split is None:
            break
        train, test = split
        result = evaluate_linear(test, train, params.linear.holdout, params.seed)
        scores[encoder] = result.scores
        if encoder == "mofore":
            confusion = pd.DataFrame({"actual": test.label, "predicted": result.predicted})
        summary = ", ".join(f"{name} top1 {score['top1']:.3f}" for name, score in scores.items() if score)

    write_json(Path("results/linear.json"), scores)
    write_csv(Path("results/confusion.csv"), confusion)
    print(f"linear: {summary}")


if __name__ == "__main__":
    run_stage(main)
