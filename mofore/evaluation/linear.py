"""Linear evaluation: a logistic regression on frozen embeddings.

Features are standardised with the training videos' statistics. The regularisation is chosen on held-out training
groups, never on test videos; then the classifier is fitted once more on all training videos.

Shapes: N videos, D dimensions, C classes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from joblib import delayed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mofore.embedding.store import Embeddings, train_test
from mofore.evaluation.bootstrap import with_interval
from mofore.evaluation.cross_validation import labelled_folds, over_folds
from mofore.splits import group_folds
from mofore.utils.workers import in_processes

C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # candidates for LogisticRegression's C
MAX_ITER = 2000  # of the solver; far more than it needs


@dataclass
class LinearResult:
    """Scores (0 to 1), the C chosen, and of each test video the label predicted and whether it is right."""

    scores: dict[str, float]
    predicted_N: npt.NDArray[np.str_]
    hit_N: npt.NDArray[np.bool_]


def evaluate_linear(test: Embeddings, train: Embeddings, holdout: float, seed: int) -> LinearResult:
    """Fit on train, score on test.

    Runs on one thread: with more, they wait for one another in each of many short steps (10 times slower on 2 cores).

    Args:
        holdout: share of the training groups that are held out at a time, to choose the regularisation.
        seed: of the choice of those groups.

    Returns:
        Scores `top1` with its 95 % interval over groups, `top5` (true label among the five most probable) and `C`. A
        class that train has not cannot be predicted: its test videos count as wrong.
    """
    with threadpool_limits(1):
        c = choose_c(train, holdout, seed)
        classifier = _classifier(c).fit(train.x_ND, train.label)
        probability_NC = classifier.predict_proba(test.x_ND)
    ranked_NC = classifier.classes_[np.argsort(-probability_NC, axis=1, kind="stable")]
    hit_NC = ranked_NC == test.label[:, None]
    scores = with_interval("top1", hit_NC[:, 0], test.group)
    scores |= {"top5": float(hit_NC[:, :5].any(axis=1).mean()), "C": c}
    return LinearResult(scores, ranked_NC[:, 0], hit_NC[:, 0])


def choose_c(train: Embeddings, holdout: float, seed: int) -> float:
    """The C with the best accuracy on held-out training groups, each held out once; of equals, the smallest.

    C is the inverse of the regularisation strength.

    A single hold-out would choose by luck in a small folder of two dozen groups. With fewer than two groups, or where
    each hold-out leaves one class to learn from, C is 1.
    """
    right = dict.fromkeys(C_GRID, 0)
    for check_N in group_folds(train.label.tolist(), train.group.tolist(), round(1 / holdout), seed):
        fit, check = train.rows(~check_N), train.rows(check_N)
        if len(np.unique(fit.label)) < 2:
            continue
        scaler = StandardScaler().fit(fit.x_ND)
        fit_ND, check_ND = scaler.transform(fit.x_ND), scaler.transform(check.x_ND)
        classifier = LogisticRegression(max_iter=MAX_ITER, warm_start=True)  # each fit starts from the one before
        for c in C_GRID:
            predicted_N = classifier.set_params(C=c).fit(fit_ND, fit.label).predict(check_ND)
            right[c] += int((predicted_N == check.label).sum())
    return max(C_GRID, key=lambda c: right[c]) if any(right.values()) else 1.0


def evaluate_rows(
    rows: dict[str, Embeddings], holdout: float, folds: int, seed: int, workers: int
) -> dict[str, LinearResult]:
    """Score every row on the split, and by cross-validation over all its labelled videos.

    Args:
        rows: embeddings of the same videos; the first is the one that the others are compared with.
        folds: parts for the cross-validation, by group; 0: none.
        workers: processes that share the work.

    Returns:
        By row; nothing where there are no labels to score with. Scores as of `evaluate_linear`, and `cv_top1`,
        `cv_top1_std`: mean and standard deviation over the folds. The encoder may have been pretrained, without
        labels, on videos that a fold holds out. Beside the first row, `lead`: its `top1` minus this row's, with the
        95 % interval of the difference, over groups, on the same test videos.
    """
    first = next(iter(rows.values()))
    split = train_test(first)
    if split is None:
        return {}
    held_out = labelled_folds(first, folds, seed)
    jobs = []
    for row in rows.values():
        train, test = row.labelled("train"), row.labelled("test")
        labelled = row.rows(row.label != "")
        parts = [(test, train)] + [(labelled.rows(fold_N), labelled.rows(~fold_N)) for fold_N in held_out]
        jobs += [delayed(evaluate_linear)(*part, holdout, seed) for part in parts]
    done: list[LinearResult] = list(in_processes(jobs, workers))

    results: dict[str, LinearResult] = {}
    for i, name in enumerate(rows):
        result, *crossed = done[i * (1 + len(held_out)) : (i + 1) * (1 + len(held_out))]
        result.scores |= over_folds("cv_top1", [fold.scores["top1"] for fold in crossed])
        if results:
            mofore_N = next(iter(results.values())).hit_N
            result.scores |= with_interval("lead", mofore_N.astype(float) - result.hit_N, split[1].group)
        results[name] = result
    return results


def _classifier(c: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=MAX_ITER))
