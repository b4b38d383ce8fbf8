"""Folds of the labelled videos, and the mean and standard deviation over folds."""

import numpy as np
import pytest

from mofore.embedding.store import Embeddings
from mofore.evaluation.cross_validation import labelled_folds, over_folds
from mofore.splits import group_folds


def videos(labels: list[str], groups: list[str]) -> Embeddings:
    label, group = np.array(labels), np.array(groups)
    return Embeddings(np.zeros((len(label), 2), np.float32), group, label, group, np.full(len(label), "train"))


def test_folds_are_those_of_the_labelled_videos() -> None:
    known = ["a", "b"] * 8, [f"g{i // 2}" for i in range(16)]
    some = videos([*known[0], "", ""], [*known[1], "g0", "other"])
    folds = labelled_folds(some, 4, seed=3)
    assert len(folds) == 4
    assert np.array_equal(folds, group_folds(*known, 4, seed=3))


def test_a_fold_that_leaves_one_class_for_training_is_left_out() -> None:
    some = videos(["a", "a", "a", "b"], ["g0", "g1", "g2", "g3"])
    folds = labelled_folds(some, 4, seed=0)
    assert len(folds) == 3
    assert not any(fold[3] for fold in folds)


@pytest.mark.parametrize("some", [videos(["", ""], ["g0", "g1"]), videos(["a", "b"], ["g", "g"])])
def test_without_labels_or_groups_there_are_no_folds(some: Embeddings) -> None:
    assert labelled_folds(some, 4, seed=0) == []


def test_mean_and_standard_deviation() -> None:
    assert over_folds("cv_top1", [0.5, 0.7]) == pytest.approx({"cv_top1": 0.6, "cv_top1_std": 0.1})
    assert over_folds("cv_top1", []) == {}
