"""The linear probe learns what is there, and never looks at the test videos before scoring."""

import numpy as np
import pytest

from mofore.embeddings import Embeddings
from mofore.linear import STRENGTHS, choose_strength, evaluate_linear


def blobs(n: int, noise: float, seed: int, split: str, classes: int = 3, shuffle: bool = False) -> Embeddings:
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=n)
    x = np.eye(8)[label] + noise * rng.normal(size=(n, 8))
    if shuffle:
        rng.shuffle(label)
    names = np.array([f"{split}{i}" for i in range(n)])
    groups = np.array([f"{split}{i // 3}" for i in range(n)])
    return Embeddings(x.astype(np.float32), names, label.astype(str), groups, np.array([split] * n))


def test_separable_classes_are_told_apart() -> None:
    result = evaluate_linear(blobs(60, 0.1, 1, "test"), blobs(120, 0.1, 0, "train"), holdout=0.25, seed=0)
    assert result.scores["top1"] == 1
    assert result.scores["top5"] == 1
    assert result.scores["C"] in STRENGTHS


def test_shuffled_labels_give_chance() -> None:
    test, train = blobs(300, 0.5, 1, "test", shuffle=True), blobs(300, 0.5, 0, "train", shuffle=True)
    assert evaluate_linear(test, train, holdout=0.25, seed=0).scores["top1"] == pytest.approx(1 / 3, abs=0.12)


def test_scale_of_features_does_not_matter() -> None:
    test, train = blobs(60, 0.6, 1, "test"), blobs(120, 0.6, 0, "train")
    plain = evaluate_linear(test, train, holdout=0.25, seed=0)
    for embeddings in (test, train):
        embeddings.x_ND = embeddings.x_ND * np.float32(1000) + np.float32(5)
    assert (evaluate_linear(test, train, holdout=0.25, seed=0).predicted == plain.predicted).mean() > 0.97


def test_the_strength_is_chosen_by_training_groups_alone() -> None:
    train = blobs(120, 0.6, 0, "train")
    assert choose_strength(train, 0.25, seed=0) == choose_strength(train, 0.25, seed=0)
    a = evaluate_linear(blobs(60, 0.6, 1, "test"), train, 0.25, seed=0)
    b = evaluate_linear(blobs(60, 0.6, 2, "test", shuffle=True), train, 0.25, seed=0)
    assert a.scores["C"] == b.scores["C"]


def test_one_group_only_still_gets_an_answer() -> None:
    train = blobs(30, 0.1, 0, "train")
    train.group[:] = "one"
    assert evaluate_linear(blobs(30, 0.1, 1, "test"), train, 0.25, seed=0).scores["C"] == 1
