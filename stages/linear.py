"""data/embeddings + controls + supervised -> results/linear.json: linear evaluation of each representation.

Shapes: N test videos.
"""

from pathlib import Path

import pandas as pd

from mofore.config import load_params
from mofore.embedding.store import ENCODERS, Embeddings, read_few_labels, read_representations
from mofore.errors import run_stage
from mofore.evaluation.beside_first import NOT_SCORED
from mofore.evaluation.few_labels import few_labels
from mofore.evaluation.grouped_split import grouped_scores
from mofore.evaluation.linear import evaluate_linear, evaluate_rows
from mofore.evaluation.per_class import score_classes
from mofore.utils.files import write_csv, write_json
from mofore.utils.text import counted
from mofore.utils.workers import worker_count


def main() -> None:
    params = load_params()
    rows = read_representations()
    workers = max(1, worker_count(params.runtime.workers))
    results = evaluate_rows(rows, params.linear.holdout, params.scores.folds, params.seed, workers)
    test = rows["mofore"].labelled("test")
    if results:

        def score(test: Embeddings, train: Embeddings) -> dict[str, float]:
            return evaluate_linear(test, train, params.linear.holdout, params.seed).scores

        results["mofore"].scores |= grouped_scores(rows["mofore"], score, "top1")

    write_json(Path("results/linear.json"), {name: results[name].scores if results else {} for name in rows})
    predicted = {"actual": test.label, "predicted": results["mofore"].predicted_N} if results else {}
    write_csv(Path("results/confusion.csv"), pd.DataFrame(predicted, columns=["actual", "predicted"]))
    hits = {name: results[name].hit_N for name in ENCODERS if results}
    few = few_labels(rows, params.seed, workers, read_few_labels())
    write_csv(Path("results/few_labels.csv"), few, "%.6g")
    write_csv(Path("results/classes_linear.csv"), score_classes(hits, test.label, test.group), "%.6g")

    scores = [f"{name} {result.scores['top1']:.3f}" for name, result in results.items()]
    print(f"linear: top1 {', '.join(scores) or NOT_SCORED}")
    least = few[few.labels == few.labels.min()]
    if len(least):
        of_rows = ", ".join(f"{name} {top1:.3f}" for name, top1 in zip(least.encoder, least.top1, strict=True))
        print(f"linear: top1 with {counted(int(least.labels.iloc[0]), 'label')} a class: {of_rows}")


if __name__ == "__main__":
    run_stage(main)
