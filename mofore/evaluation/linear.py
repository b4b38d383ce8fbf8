"""Linear evaluation: logistic regression on frozen embeddings.

Features are standardised with the mean and standard deviation of the training videos. The regularisation is chosen by
cross-validation over training groups, never on test videos. Then the classifier is fitted on all training videos.

Shapes: N videos, D dimensions, C classes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from joblib import delayed
from sklearn.decomposition import KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mofore.embedding.store import Embeddings, train_test
from mofore.evaluation.beside_first import beside_first
from mofore.evaluation.bootstrap import with_interval
from mofore.evaluation.cross_validation import labelled_folds, over_folds
from mofore.splits import group_folds
from mofore.utils.workers import in_processes

C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse regularisation strengths to choose from
MAX_ITER = 2000  # iterations of the solver; far more than it needs


@dataclass
class LinearResult:
    """Scores (0 to 1) and the chosen C; for each test video its predicted label, and whether that is correct."""

    scores: dict[str, float]
    predicted_N: npt.NDArray[np.str_]
    hit_N: npt.NDArray[np.bool_]


def evaluate_linear(test: Embeddings, train: Embeddings, holdout: float, seed: int) -> LinearResult:
    """Fit on train and score on test.

    Uses one thread: the solver makes many short steps, in which threads mostly wait (10 times slower on 2 cores).

    Args:
        test: labelled test videos.
        train: labelled training videos of at least two classes.
        holdout: share of the training groups in each validation fold, see `choose_c`.
        seed: of the validation folds.

    Returns:
        Scores `top1` with its 95 % interval over groups (`_low`, `_high`), `top5` (the true label is among the five
        most probable) and the chosen `C`. A class without training videos cannot be predicted, so its test videos
        count as wrong.
    """
    with fitting():
        c = choose_c(train, holdout, seed)
        classifier = _classifier(c, train.x_ND.shape).fit(train.x_ND, train.label)
        probability_NC = classifier.predict_proba(test.x_ND)
    ranked_NC = classifier.classes_[np.argsort(-probability_NC, axis=1, kind="stable")]
    hit_NC = ranked_NC == test.label[:, None]
    scores = with_interval("top1", hit_NC[:, 0], test.group)
    scores |= {"top5": float(hit_NC[:, :5].any(axis=1).mean()), "C": c}
    return LinearResult(scores, ranked_NC[:, 0], hit_NC[:, 0])


@contextmanager
def fitting() -> Iterator[None]:
    """Fit with one thread, as the solver makes many short steps, and without the warning that classes are small.

    Scikit-learn takes the labels for numbers where there are more than half as many classes as videos.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        yield


def choose_c(train: Embeddings, holdout: float, seed: int) -> float:
    """Choose C, the inverse of the regularisation strength, by cross-validation over the training groups.

    Each group is held out once. A single validation split would be too noisy for small folders of two dozen groups.

    Args:
        train: labelled training videos.
        holdout: share of the groups in each validation fold; there are round(1 / holdout) folds.
        seed: of the folds.

    Returns:
        The C of C_GRID with the most correct validation videos; of equals, the smallest. 1 if there are fewer than two
        groups, or if each fold leaves only one class for training.
    """
    correct = dict.fromkeys(C_GRID, 0)
    for fold_N in group_folds(train.label.tolist(), train.group.tolist(), round(1 / holdout), seed):
        fit, validation = train.rows(~fold_N), train.rows(fold_N)
        if len(np.unique(fit.label)) < 2:
            continue
        features = _features(fit.x_ND.shape)
        fit_ND, validation_ND = features.fit_transform(fit.x_ND), features.transform(validation.x_ND)
        classifier = LogisticRegression(max_iter=MAX_ITER, warm_start=True)  # each fit starts from the previous one
        for c in C_GRID:
            predicted_N = classifier.set_params(C=c).fit(fit_ND, fit.label).predict(validation_ND)
            correct[c] += int((predicted_N == validation.label).sum())
    return max(C_GRID, key=lambda c: correct[c]) if any(correct.values()) else 1.0


def evaluate_rows(
    rows: dict[str, Embeddings], holdout: float, folds: int, seed: int, workers: int
) -> dict[str, LinearResult]:
    """Score each representation on the split, and by cross-validation over all labelled videos.

    Args:
        rows: representations of the same videos, by name. The others are compared with the first.
        holdout: share of the training groups in each validation fold, see `choose_c`.
        folds: number of folds of the cross-validation, see `cross_validation.labelled_folds`; 0: none.
        seed: of all folds.
        workers: number of worker processes.

    Returns:
        Results by name; empty if the split has no labelled test videos or fewer than two classes for training. The
        scores are those of `evaluate_linear`, and:
        cv_top1, cv_top1_std: mean and standard deviation of `top1` over the folds. The encoder may have been
            pretrained, without labels, on test videos of a fold;
        lead, lead_low, lead_high, constant: see `beside_first`, of `top1`.
    """
    first = next(iter(rows.values()))
    if train_test(first) is None:
        return {}
    test_folds = labelled_folds(first, folds, seed)
    jobs = []
    for row in rows.values():
        train, test = row.labelled("train"), row.labelled("test")
        labelled = row.rows(row.label != "")
        splits = [(test, train)] + [(labelled.rows(fold_N), labelled.rows(~fold_N)) for fold_N in test_folds]
        jobs += [delayed(evaluate_linear)(*split, holdout, seed) for split in splits]
    done: list[LinearResult] = list(in_processes(jobs, workers))

    results: dict[str, LinearResult] = {}
    for i, name in enumerate(rows):
        results[name], *of_folds = done[i * (1 + len(test_folds)) : (i + 1) * (1 + len(test_folds))]
        results[name].scores |= over_folds("cv_top1", [fold.scores["top1"] for fold in of_folds])
    for name, scores in beside_first(rows, {name: result.hit_N for name, result in results.items()}):
        results[name].scores |= scores
    return results


def _features(shape: tuple[int, ...]) -> Pipeline:
    """What the classifier gets of N embeddings of D dimensions: standardised ones.

    If there are more dimensions than embeddings, they are projected onto the directions in which the embeddings differ,
    all of them. The classifier is the same, as its weights lie in these directions, and is fitted several times faster.
    """
    n, dim = shape
    wide = [KernelPCA(n - 1, kernel="linear", eigen_solver="dense")] if dim > n > 1 else []
    return make_pipeline(StandardScaler(), *wide)


def _classifier(c: float, shape: tuple[int, ...]) -> Pipeline:
    return make_pipeline(_features(shape), LogisticRegression(C=c, max_iter=MAX_ITER))
