"""Retrieval and k-nearest-neighbour classification: each test video looks among the training videos.

Two protocols. Primary: embeddings as they are (the mean of a video's clips), compared by cosine. Centred: the mean of
the training embeddings is taken off first. The same encoder can score some points apart under the two.

Of equally similar training videos the first counts as nearer; of classes with equal votes, the first by name wins.
Where k exceeds the training videos, all of them are the neighbours. A class that train has not cannot be found: its
test videos count as wrong.

Shapes: N test videos, D dimensions, K neighbours, C classes, R values of k in RECALL_AT.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.config import Knn
from mofore.embedding.store import Embeddings, FloatArray, train_test
from mofore.evaluation.bootstrap import group_interval, with_interval
from mofore.evaluation.cross_validation import labelled_folds, over_folds
from mofore.evaluation.nearest import nearest

RECALL_AT = (1, 5, 10, 20, 50)
ROUNDING = 1e-6  # of a vector's length
BoolArray = npt.NDArray[np.bool_]


@dataclass
class KnnResult:
    """Scores (0 to 1), and whether each test video has one of its class among the nearest 1, 5, ... (RECALL_AT)."""

    scores: dict[str, float]
    hit_NR: BoolArray


def evaluate_knn(test: Embeddings, train: Embeddings, knn: Knn) -> KnnResult:
    """Scores of one encoder.

    Returns:
        top1: share of test videos whose label wins the vote of `knn.k` neighbours, each vote weighted by
            exp(similarity / temperature), as in "Unsupervised Feature Learning via Non-Parametric Instance
            Discrimination" (Wu et al., 2018).
        r_at_K: share of test videos with at least one of their own class among the K nearest (R@K).
        centred_top1, centred_r_at_1, centred_r_at_5: the same, centred. Those of one neighbour and of the vote stand
        with their 95 % interval over groups (`_low`, `_high`).
    """
    won_N, hit_NR = _hits(test, train, knn)
    centred_won_N, centred_hit_NR = _hits(*_centred(test, train), knn)
    recall, centred_recall = (
        {f"r_at_{k}": float(share) for k, share in zip(RECALL_AT, hit.mean(axis=0), strict=True)}
        for hit in (hit_NR, centred_hit_NR)
    )
    scores = with_interval("top1", won_N, test.group) | with_interval("r_at_1", hit_NR[:, 0], test.group) | recall
    scores |= with_interval("centred_top1", centred_won_N, test.group)
    scores |= with_interval("centred_r_at_1", centred_hit_NR[:, 0], test.group)
    return KnnResult(scores | {"centred_r_at_5": centred_recall["r_at_5"]}, hit_NR)


def evaluate_rows(rows: dict[str, Embeddings], knn: Knn, folds: int, seed: int) -> dict[str, KnnResult]:
    """Score every row on the split, and by cross-validation over all its labelled videos.

    Args:
        rows: embeddings of the same videos; the first is the one that the others are compared with.
        folds: parts for the cross-validation, by group (`mofore.evaluation.cross_validation`); 0: none.
        seed: of these parts.

    Returns:
        By row; nothing where there are no labels to score with. Scores as of `evaluate_knn`, and `cv_r_at_1`,
        `cv_r_at_1_std`: mean and standard deviation over the folds. Beside all rows but the first `lead`: the first
        row's `r_at_1` minus this row's, with the 95 % interval of the difference, over groups, on the same test videos.
    """
    first = next(iter(rows.values()))
    split = train_test(first)
    if split is None:
        return {}
    held_out = labelled_folds(first, folds, seed)
    results: dict[str, KnnResult] = {}
    for name, row in rows.items():
        result = evaluate_knn(row.labelled("test"), row.labelled("train"), knn)
        result.scores |= _cross_validated(row.rows(row.label != ""), held_out, knn.index)
        if results:
            first_hit_N = next(iter(results.values())).hit_NR[:, 0]
            result.scores |= with_interval("lead", first_hit_N.astype(float) - result.hit_NR[:, 0], split[1].group)
        results[name] = result
    return results


def recall_table(results: dict[str, KnnResult], group_N: npt.NDArray[np.str_]) -> pd.DataFrame:
    """Recall at each k with its 95 % interval over the test videos' groups: columns encoder, k, recall, low, high."""
    table = [
        (name, k, *group_interval(hit_N, group_N))
        for name, result in results.items()
        for k, hit_N in zip(RECALL_AT, result.hit_NR.T, strict=True)
    ]
    return pd.DataFrame(table, columns=["encoder", "k", "recall", "low", "high"])


def _hits(test: Embeddings, train: Embeddings, knn: Knn) -> tuple[BoolArray, BoolArray]:
    """Of each test video: does its label win the vote [N], and is it among those of the nearest [N, R]?"""
    rows_NK, similarity_NK = nearest(test.x_ND, train.x_ND, max(knn.k, *RECALL_AT), knn.index)
    classes, class_of = np.unique(np.concatenate([test.label, train.label]), return_inverse=True)
    own_N, class_NK = class_of[: len(test.label)], class_of[len(test.label) :][rows_NK]
    near_NK = similarity_NK[:, : knn.k]
    weight_NK = np.exp((near_NK - near_NK[:, :1]).astype(np.float64) / knn.temperature)
    votes_NC = np.zeros((len(own_N), len(classes)))
    np.add.at(votes_NC, (np.arange(len(own_N))[:, None], class_NK[:, : knn.k]), weight_NK)
    hit_NK = class_NK == own_N[:, None]
    return votes_NC.argmax(axis=1) == own_N, np.stack([hit_NK[:, :k].any(axis=1) for k in RECALL_AT], axis=1)


def _centred(test: Embeddings, train: Embeddings) -> tuple[Embeddings, Embeddings]:
    """Both without the mean of train.

    A vector of which nothing but rounding is left becomes 0, similar to nothing: where an encoder gives the same for
    all videos, noise would choose the neighbours.
    """
    mean_D = train.x_ND.mean(axis=0, dtype=np.float64)

    def centred(x_ND: FloatArray) -> FloatArray:
        left_ND = x_ND - mean_D
        rounding_N = np.linalg.norm(left_ND, axis=1) <= ROUNDING * np.linalg.norm(x_ND, axis=1)
        return np.where(rounding_N[:, None], 0, left_ND).astype(np.float32)

    return replace(test, x_ND=centred(test.x_ND)), replace(train, x_ND=centred(train.x_ND))


def _cross_validated(videos: Embeddings, held_out: list[BoolArray], index: str) -> dict[str, float]:
    recall: list[float] = []
    for fold_N in held_out:
        rows_N1, _ = nearest(videos.x_ND[fold_N], videos.x_ND[~fold_N], 1, index)
        recall.append(float((videos.label[~fold_N][rows_N1[:, 0]] == videos.label[fold_N]).mean()))
    return over_folds("cv_r_at_1", recall)
