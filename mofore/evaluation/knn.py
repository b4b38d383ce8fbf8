"""Retrieval and kNN classification: test videos are the queries, training videos the gallery.

There are two protocols. The main one compares the embeddings, as they are stored, by cosine similarity. In the centred
one, the mean of the training embeddings is subtracted first. With `embed.standardise` that mean is 0 already, so both
are the same; otherwise the scores of one encoder can differ by some points between the two.

Ties: of equally similar training videos, the first in the table is nearer. Of classes with equal votes, the first by
name wins. If k is larger than the number of training videos, all of them are neighbours. A class without training
videos cannot be predicted, so its test videos count as wrong.

Shapes: N test videos, D dimensions, K neighbours, C classes, R values of k in RECALL_AT.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.config import Knn
from mofore.embedding.store import Embeddings, FloatArray, train_test
from mofore.evaluation.beside_first import beside_first
from mofore.evaluation.bootstrap import group_interval, with_interval
from mofore.evaluation.cross_validation import labelled_folds, over_folds
from mofore.evaluation.nearest import nearest

RECALL_AT = (1, 5, 10, 20, 50)
ROUNDING = 1e-6  # relative to the length of a vector; smaller differences are rounding errors
BoolArray = npt.NDArray[np.bool_]


@dataclass
class KnnResult:
    """Scores (0 to 1) of one representation, and the hits of each test video.

    hit_NR: has the test video a video of its class among the k nearest, for each k of RECALL_AT?
    """

    scores: dict[str, float]
    hit_NR: BoolArray


def evaluate_knn(test: Embeddings, train: Embeddings, knn: Knn) -> KnnResult:
    """Scores of one representation.

    Args:
        test: labelled test videos, the queries.
        train: labelled training videos, the gallery.
        knn: number of neighbours, temperature and index.

    Returns:
        Scores, of which `top1`, `r_at_1` and their centred versions have a 95 % interval over groups (`_low`, `_high`):
        top1: accuracy of a vote of the `knn.k` nearest neighbours with weights exp(similarity / temperature) (Wu et
            al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018);
        r_at_1, r_at_5, ...: share of test videos with a video of their class among the k nearest (R@k);
        centred_top1, centred_r_at_1, centred_r_at_5: the same after centring.
    """
    correct_N, hit_NR = _correct_and_hits(test, train, knn)
    centred_correct_N, centred_hit_NR = _correct_and_hits(*_centred(test, train), knn)
    recall, centred_recall = (
        {f"r_at_{k}": float(share) for k, share in zip(RECALL_AT, hit.mean(axis=0), strict=True)}
        for hit in (hit_NR, centred_hit_NR)
    )
    scores = with_interval("top1", correct_N, test.group) | with_interval("r_at_1", hit_NR[:, 0], test.group) | recall
    scores |= with_interval("centred_top1", centred_correct_N, test.group)
    scores |= with_interval("centred_r_at_1", centred_hit_NR[:, 0], test.group)
    return KnnResult(scores | {"centred_r_at_5": centred_recall["r_at_5"]}, hit_NR)


def evaluate_rows(rows: dict[str, Embeddings], knn: Knn, folds: int, seed: int) -> dict[str, KnnResult]:
    """Score each representation on the split, and by cross-validation over all labelled videos.

    Args:
        rows: representations of the same videos, by name. The others are compared with the first.
        knn: number of neighbours, temperature and index.
        folds: number of folds of the cross-validation, see `cross_validation.labelled_folds`; 0: none.
        seed: of the folds.

    Returns:
        Results by name; empty if the split has no labelled test videos or fewer than two classes for training. The
        scores are those of `evaluate_knn`, and:
        cv_r_at_1, cv_r_at_1_std: mean and standard deviation of R@1 over the folds;
        lead, lead_low, lead_high, constant: see `beside_first`, of `r_at_1`.
    """
    first = next(iter(rows.values()))
    if train_test(first) is None:
        return {}
    test_folds = labelled_folds(first, folds, seed)
    results: dict[str, KnnResult] = {}
    for name, row in rows.items():
        results[name] = evaluate_knn(row.labelled("test"), row.labelled("train"), knn)
        results[name].scores |= _cross_validate(row.rows(row.label != ""), test_folds, knn.index)
    for name, scores in beside_first(rows, {name: result.hit_NR[:, 0] for name, result in results.items()}):
        results[name].scores |= scores
    return results


def recall_table(results: dict[str, KnnResult], group_N: npt.NDArray[np.str_]) -> pd.DataFrame:
    """R@k with its 95 % interval over groups: columns encoder, k, recall, low, high.

    Args:
        results: results by name, as from `evaluate_rows`.
        group_N: group of each test video.
    """
    table = [
        (name, k, *group_interval(hit_N, group_N))
        for name, result in results.items()
        for k, hit_N in zip(RECALL_AT, result.hit_NR.T, strict=True)
    ]
    return pd.DataFrame(table, columns=["encoder", "k", "recall", "low", "high"])


def _correct_and_hits(test: Embeddings, train: Embeddings, knn: Knn) -> tuple[BoolArray, BoolArray]:
    """For each test video: does its class win the vote [N], and is it among the k nearest for each k [N, R]?"""
    rows_NK, similarity_NK = nearest(test.x_ND, train.x_ND, max(knn.k, *RECALL_AT), knn.index)
    classes, class_of = np.unique(np.concatenate([test.label, train.label]), return_inverse=True)
    own_N, class_NK = class_of[: len(test.label)], class_of[len(test.label) :][rows_NK]
    voter_similarity_NK = similarity_NK[:, : knn.k]
    weight_NK = np.exp((voter_similarity_NK - voter_similarity_NK[:, :1]).astype(np.float64) / knn.temperature)
    votes_NC = np.zeros((len(own_N), len(classes)))
    np.add.at(votes_NC, (np.arange(len(own_N))[:, None], class_NK[:, : knn.k]), weight_NK)
    hit_NK = class_NK == own_N[:, None]
    return votes_NC.argmax(axis=1) == own_N, np.stack([hit_NK[:, :k].any(axis=1) for k in RECALL_AT], axis=1)


def _centred(test: Embeddings, train: Embeddings) -> tuple[Embeddings, Embeddings]:
    """Subtract the mean of the training embeddings from both.

    A vector that is equal to the mean up to rounding becomes 0, which has similarity 0 to everything. Otherwise, for an
    encoder that gives all videos the same embedding, rounding errors would choose the neighbours.
    """
    mean_D = train.x_ND.mean(axis=0, dtype=np.float64)

    def centred(x_ND: FloatArray) -> FloatArray:
        difference_ND = x_ND - mean_D
        is_rounding_N = np.linalg.norm(difference_ND, axis=1) <= ROUNDING * np.linalg.norm(x_ND, axis=1)
        return np.where(is_rounding_N[:, None], 0, difference_ND).astype(np.float32)

    return replace(test, x_ND=centred(test.x_ND)), replace(train, x_ND=centred(train.x_ND))


def _cross_validate(videos: Embeddings, folds: list[BoolArray], index: str) -> dict[str, float]:
    """R@1 of the videos of each fold among all other videos: mean and standard deviation over the folds."""
    recall: list[float] = []
    for fold_N in folds:
        rows_N1, _ = nearest(videos.x_ND[fold_N], videos.x_ND[~fold_N], 1, index)
        recall.append(float((videos.label[~fold_N][rows_N1[:, 0]] == videos.label[fold_N]).mean()))
    return over_folds("cv_r_at_1", recall)
