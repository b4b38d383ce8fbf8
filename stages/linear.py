"""data/embeddings -> results/linear.json: a linear classifier on frozen embeddings, and its confusion matrix."""

import json
from pathlib import Path

import pandas as pd

from mofore.config import load_params
from mofore.embeddings import ENCODERS, has_labels, read_embeddings
from mofore.errors import run_stage
from mofore.linear import evaluate_linear


def main() -> None:
    params = load_params()
    scores: dict[str, dict[str, float]] = {encoder: {} for encoder in ENCODERS}
    confusion = pd.DataFrame({"actual": [], "predicted": []})
    summary = "no labels on both sides of the split: no scores"
    for encoder in ENCODERS:
        embeddings = read_embeddings(Path("data/embeddings"), encoder)
        train, test = embeddings.labelled("train"), embeddings.labelled("test")
        if not has_labels(train, test):
            break
        result = evaluate_linear(test, train, params.linear.holdout, params.seed)
        scores[encoder] = result.scores
        if encoder == "mofore":
            confusion = pd.DataFrame({"actual": test.label, "predicted": result.predicted})
        summary = ", ".join(f"{name} top1 {score['top1']:.3f}" for name, score in scores.items() if score)

    Path("results/linear.json").write_text(json.dumps(scores, indent=2) + "\n")
    confusion.to_csv("results/confusion.csv", index=False)
    print(f"linear: {summary}")


if __name__ == "__main__":
    run_stage(main)
