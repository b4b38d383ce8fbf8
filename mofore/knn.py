"""Retrieval and k-nearest-neighbour classification: each test video looks among the training videos.

Shapes: N test videos, M training videos, D dimensions, K neighbours.
"""

import numpy as np
import numpy.typing as npt

from mofore.config import Knn
from mofore.embeddings import Embeddings, unit

RECALL_AT = (1, 5, 10, 20, 50)
ROWS_A_BLOCK = 1024  # bounds the memory: a block of similarities is [1024, M]


def nearest(test: Embeddings, train: Embeddings, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The k training videos nearest to each test video by cosine similarity, nearest first.

    Returns:
        Their row numbers [N, K] and similarities [N, K]; K = min(k, M). Equal similarities: lower row first.
    """
    queries_ND, gallery_MD = unit(test.x_ND), unit(train.x_ND)
    k = min(k, len(gallery_MD))
    rows, similarities = [], []
    for begin in range(0, len(queries_ND), ROWS_A_BLOCK):
        similarity_NM = queries_ND[begin : begin + ROWS_A_BLOCK] @ gallery_MD.T
        order_NK = np.argsort(-similarity_NM, axis=1, kind="stable")[:, :k]
        rows.append(order_NK)
        similarities.append(np.take_along_axis(similarity_NM, order_NK, axis=1))
    return np.concatenate(rows), np.concatenate(similarities)


def evaluate_knn(test: Embeddings, train: Embeddings, knn: Knn) -> dict[str, float]:
    """Scores of one encoder, each 0 to 1.

    Returns:
        top1: share of test videos whose label wins the vote of `knn.k` neighbours, each vote weighted by
            exp(similarity / temperature), as in "Unsupervised Feature Learning via Non-Parametric Instance
            Discrimination" (Wu et al., 2018).
        r_at_K: share of test videos with at least one of their own class among the K nearest.
    """
    rows_NK, similarity_NK = nearest(test, train, max(knn.k, *RECALL_AT))
    label_NK = train.label[rows_NK]
    hit_NK = label_NK == test.label[:, None]
    scores = {"top1": float((_vote(label_NK, similarity_NK, knn) == test.label).mean())}
    return scores | {f"r_at_{k}": float(hit_NK[:, :k].any(axis=1).mean()) for k in RECALL_AT}


def _vote(label_NK: npt.NDArray[np.str_], similarity_NK: npt.NDArray[np.float32], knn: Knn) -> npt.NDArray[np.str_]:
    classes, class_NK = np.unique(label_NK[:, : knn.k], return_inverse=True)
    class_NK = class_NK.reshape(len(label_NK), -1)
    near_NK = similarity_NK[:, : knn.k]
    weight_NK = np.exp((near_NK - near_NK[:, :1]) / knn.temperature)
    votes_NC = np.zeros((len(label_NK), len(classes)))
    np.add.at(votes_NC, (np.arange(len(label_NK))[:, None], class_NK), weight_NK)
    return classes[votes_NC.argmax(axis=1)]
