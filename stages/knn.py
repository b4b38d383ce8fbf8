"""data/embeddings + controls + supervised -> results/knn.json: retrieval and kNN, test among training videos.

Shapes: N test videos, R values of k.
"""

from pathlib import Path

from mofore.config import load_params
from mofore.embedding.store import ENCODERS, Embeddings, read_representations
from mofore.errors import run_stage
from mofore.evaluation.beside_first import NOT_SCORED
from mofore.evaluation.grouped_split import grouped_scores
from mofore.evaluation.knn import evaluate_knn, evaluate_rows, recall_table
from mofore.evaluation.per_class import score_classes
from mofore.utils.files import write_csv, write_json


def main() -> None:
    params = load_params()
    rows = read_representations()
    results = evaluate_rows(rows, params.knn, params.scores.folds, params.seed)
    test = rows["mofore"].labelled("test")
    if results:

        def score(test: Embeddings, train: Embeddings) -> dict[str, float]:
            return evaluate_knn(test, train, params.knn).scores

        results["mofore"].scores |= grouped_scores(rows["mofore"], score, "r_at_1")

    write_json(Path("results/knn.json"), {name: results[name].scores if results else {} for name in rows})
    write_csv(Path("results/retrieval.csv"), recall_table(results, test.group), "%.6g")
    hits = {name: results[name].hit_NR[:, 0] for name in ENCODERS if results}
    write_csv(Path("results/classes_knn.csv"), score_classes(hits, test.label, test.group), "%.6g")

    scores = [f"{name} {result.scores['r_at_1']:.3f}" for name, result in results.items()]
    print(f"knn: R@1 {', '.join(scores) or NOT_SCORED}")


if __name__ == "__main__":
    run_stage(main)
