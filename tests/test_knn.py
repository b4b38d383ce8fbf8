"""Retrieval and kNN against slow references, and on cases with known answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofore import knn as knn_module
from mofore.config import Knn
from mofore.embeddings import Embeddings
from mofore.knn import RECALL_AT, evaluate_knn, nearest


def embeddings(x: np.ndarray, labels: list[str], split: str) -> Embeddings:
    n = len(x)
    names = np.array([f"{split}{i}" for i in range(n)])
    return Embeddings(x.astype(np.float32), names, np.array(labels), names, np.array([split] * n))


def random_sets(n: int, m: int, classes: int, seed: int) -> tuple[Embeddings, Embeddings]:
    rng = np.random.default_rng(seed)
    label = [str(c) for c in rng.integers(classes, size=n + m)]
    x = rng.normal(size=(n + m, 5))
    return embeddings(x[:n], label[:n], "test"), embeddings(x[n:], label[n:], "train")


def slow_scores(test: Embeddings, train: Embeddings, knn: Knn) -> dict[str, float]:
    hits, recall = 0, dict.fromkeys(RECALL_AT, 0)
    for query, label in zip(test.x_ND, test.label, strict=True):
        cosine = [float(query @ x) / math.sqrt(float(query @ query)) / math.sqrt(float(x @ x)) for x in train.x_ND]
        order = sorted(range(len(cosine)), key=lambda i: -cosine[i])
        votes: dict[str, float] = {}
        for i in order[: knn.k]:
            votes[train.label[i]] = votes.get(train.label[i], 0) + math.exp(cosine[i] / knn.temperature)
        hits += max(votes, key=lambda c: votes[c]) == label
        for k in RECALL_AT:
            recall[k] += any(train.label[i] == label for i in order[:k])
    return {"top1": hits / len(test.x_ND)} | {f"r_at_{k}": recall[k] / len(test.x_ND) for k in RECALL_AT}


@given(
    n=st.integers(1, 12), m=st.integers(2, 60), classes=st.integers(1, 5), k=st.integers(1, 30), seed=st.integers(0, 99)
)
def test_scores_equal_the_definition(n: int, m: int, classes: int, k: int, seed: int) -> None:
    test, train = random_sets(n, m, classes, seed)
    knn = Knn(k=k, temperature=0.1)
    assert evaluate_knn(test, train, knn) == pytest.approx(slow_scores(test, train, knn))


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    test, train = random_sets(50, 40, 4, seed=0)
    whole = nearest(test, train, 7)
    monkeypatch.setattr(knn_module, "ROWS_A_BLOCK", 8)
    blocks = nearest(test, train, 7)
    assert (whole[0] == blocks[0]).all()
    assert np.allclose(whole[1], blocks[1])


def test_a_twin_in_train_is_found() -> None:
    test, train = random_sets(10, 30, 3, seed=1)
    train = embeddings(np.concatenate([train.x_ND, 4 * test.x_ND]), [*train.label, *test.label], "train")
    scores = evaluate_knn(test, train, Knn(k=1, temperature=0.1))
    assert scores["r_at_1"] == scores["top1"] == 1
